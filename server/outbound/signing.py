"""HTTP Message Signatures (RFC 9421) on what goes out: method, address, body and what authorises it are covered."""

import logging
from datetime import UTC, datetime
from functools import lru_cache

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from http_message_signatures import HTTPMessageSigner, HTTPSignatureAlgorithm, MappingKeyResolver, algorithms

LABEL = "rientro"
_ALWAYS = ("@method", "@target-uri")
_LEAST_RSA_BITS = 2048
_WHERE_PRESENT = ("authorization", "content-type", "idempotency-key")

logging.getLogger("http_message_signatures").setLevel(logging.WARNING)  # below that it writes what it signs

SigningKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey


class SigningKeyError(Exception):
    """Not a private key we can sign with: PEM, without a password, of Ed25519, ECDSA P-256 or RSA from 2048 bits."""


def sign(request: httpx.Request, pem: str, key_id: str, now_s: int) -> None:
    """Sign a request in place, its body by `Content-Digest`."""
    key, algorithm = load_signing_key(pem)
    resolver = MappingKeyResolver(private_keys={key_id: key}, public_keys={})
    signer = HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=resolver)
    signer.sign(
        request,
        key_id=key_id,
        created=datetime.fromtimestamp(now_s, UTC),
        label=LABEL,
        covered_component_ids=(*_ALWAYS, *(name for name in _WHERE_PRESENT if name in request.headers)),
        body=request.content,
    )


@lru_cache(maxsize=64)
def load_signing_key(pem: str) -> tuple[SigningKey, type[HTTPSignatureAlgorithm]]:
    """The key and the algorithm it is for. Raises SigningKeyError.

    Every delivery needs it, and to check an RSA key takes tens of milliseconds: what was found good is remembered.
    """
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SigningKeyError(SigningKeyError.__doc__) from None
    if isinstance(key, Ed25519PrivateKey):
        return key, algorithms.ED25519
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key, algorithms.ECDSA_P256_SHA256
    if isinstance(key, RSAPrivateKey) and key.key_size >= _LEAST_RSA_BITS:
        return key, algorithms.RSA_PSS_SHA512
    raise SigningKeyError(SigningKeyError.__doc__)
