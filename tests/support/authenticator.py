"""A virtual authenticator: makes passkeys and signs with them as WebAuthn has it (ES256; attestation packed or none).

Every part of what it says can be bent, so that each check has something to refuse.
"""

import base64
import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import encode_cbor

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass
class Bent:
    """What is said instead of the truth; None says the truth."""

    origin: str | None = None
    rp_id: str | None = None
    challenge: str | None = None
    kind: str | None = None
    flags: int = PRESENT | VERIFIED
    counter: int | None = None
    handle: bytes | None = None
    credential_id: bytes | None = None
    break_signature: bool = False


@dataclass
class Passkey:
    """A credential that is kept here."""

    credential_id: bytes
    private: ec.EllipticCurvePrivateKey
    handle: bytes
    counter: int = 0


@dataclass
class Authenticator:
    """A phone. `counts`: its counter grows; passkeys that are kept in step between devices say zero for ever."""

    origin: str
    seed: int = 1
    attestation: str = "none"
    counts: bool = True
    passkeys: list[Passkey] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def create(self, options: Mapping[str, Any], bent: Bent | None = None) -> dict[str, Any]:
        """Answer `navigator.credentials.create`."""
        bent = bent or Bent()
        private = ec.derive_private_key(self._random.randrange(1, _ORDER), ec.SECP256R1())
        passkey = Passkey(self._random.randbytes(32), private, decode(options["user"]["id"]))
        self.passkeys.append(passkey)
        client = self._client(options, bent, "webauthn.create")
        credential_id = bent.credential_id or passkey.credential_id
        attested = bytes(16) + len(credential_id).to_bytes(2, "big") + credential_id + _cose(private)
        data = self._data(options["rp"]["id"], bent, passkey, ATTESTED) + attested
        statement = {"alg": -7, "sig": _sign(private, data, client, bent)} if self.attestation == "packed" else {}
        told = encode_cbor({"fmt": self.attestation, "attStmt": statement, "authData": data})
        response = {"clientDataJSON": encode(client), "attestationObject": encode(told), "transports": ["internal"]}
        return _credential(credential_id, response)

    def get(
        self, options: Mapping[str, Any], bent: Bent | None = None, passkey: Passkey | None = None
    ) -> dict[str, Any]:
        """Answer `navigator.credentials.get`, with the newest passkey unless told."""
        bent, passkey = bent or Bent(), passkey or self.passkeys[-1]
        passkey.counter += 1 if self.counts else 0
        client, data = self._client(options, bent, "webauthn.get"), self._data(options["rpId"], bent, passkey)
        response = {
            "clientDataJSON": encode(client),
            "authenticatorData": encode(data),
            "signature": encode(_sign(passkey.private, data, client, bent)),
            "userHandle": encode(passkey.handle if bent.handle is None else bent.handle),
        }
        return _credential(bent.credential_id or passkey.credential_id, response)

    def _client(self, options: Mapping[str, Any], bent: Bent, kind: str) -> bytes:
        told = {
            "type": bent.kind or kind,
            "challenge": bent.challenge or options["challenge"],
            "origin": bent.origin or self.origin,
        }
        return json.dumps(told).encode()

    def _data(self, rp_id: str, bent: Bent, passkey: Passkey, flags: int = 0) -> bytes:
        counter = passkey.counter if bent.counter is None else bent.counter
        about = hashlib.sha256((bent.rp_id or rp_id).encode()).digest()
        return about + bytes([bent.flags | flags]) + counter.to_bytes(4, "big")


def encode(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The same, back."""
    return base64.urlsafe_b64decode(text + "===")


def _credential(credential_id: bytes, response: dict[str, Any]) -> dict[str, Any]:
    named = encode(credential_id)
    return {"id": named, "rawId": named, "type": "public-key", "clientExtensionResults": {}, "response": response}


def _cose(private: ec.EllipticCurvePrivateKey) -> bytes:
    public = private.public_key().public_numbers()
    return encode_cbor({1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32, "big"), -3: public.y.to_bytes(32, "big")})


def _sign(private: ec.EllipticCurvePrivateKey, data: bytes, client: bytes, bent: Bent) -> bytes:
    signature = private.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
    return signature[:-1] + bytes([signature[-1] ^ 1]) if bent.break_signature else signature
