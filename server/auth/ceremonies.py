"""The two ceremonies of WebAuthn, as `webauthn` does them, for one site.

Rules:

1. Discoverable credentials, and the person verified by their authenticator, always: a passkey is enough by itself. The
   user handle is the 32 bytes of tenant and person, so a new phone needs nothing to begin with.
2. The site is `RIENTRO_PUBLIC_URL`; without one it is localhost, at whatever port.
3. No attestation is asked for: which make an authenticator is decides nothing here.
4. The library's look at the counter is left out: it comes before the signature, and a counter that a forger wrote must
   not be taken for a copied authenticator. `passkeys` compares it, in the transaction that stores it.
5. Whatever is wrong with an answer, however it is broken, is one refusal.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from server.auth.challenges import LIFE_MS
from server.auth.errors import AccessError

T = TypeVar("T")

_REQUIRED = UserVerificationRequirement.REQUIRED
_HANDLE_BYTES = 32


class Owner(NamedTuple):
    """Whose a passkey is: tenant and person."""

    tenant_id: str
    person_id: str

    def handle(self) -> bytes:
        """As authenticators keep it."""
        return UUID(self.tenant_id).bytes + UUID(self.person_id).bytes


class Registered(NamedTuple):
    """A credential just made; id and public key in base64url."""

    credential_id: str
    public_key: str
    sign_count: int
    transports: Sequence[str]


class Assertion(NamedTuple):
    """What an answer to a sign-in says, before it is believed."""

    credential: Mapping[str, Any]
    credential_id: str
    owner: Owner
    challenge: bytes


class Site(NamedTuple):
    """Where passkeys are for: the relying party's id, and the origin of its pages, None for localhost at any port."""

    rp_id: str
    origin: str | None

    @classmethod
    def of(cls, public_url: str | None) -> "Site":
        """The site at this address."""
        if public_url is None:
            return cls("localhost", None)
        parts = urlsplit(public_url)
        return cls(parts.hostname or "localhost", f"{parts.scheme}://{parts.netloc}")

    def registration(self, owner: Owner, name: str, challenge: bytes, known: Sequence[str]) -> dict[str, Any]:
        """What `navigator.credentials.create` is asked with; `known` are credentials that need not be made again."""
        options = webauthn.generate_registration_options(
            rp_id=self.rp_id,
            rp_name="rientro",
            user_id=owner.handle(),
            user_name=name,
            challenge=challenge,
            timeout=LIFE_MS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in known],
        )
        return _plain(webauthn.options_to_json(options))

    def authentication(self, challenge: bytes) -> dict[str, Any]:
        """What `navigator.credentials.get` is asked with: any passkey for this site will do."""
        options = webauthn.generate_authentication_options(
            rp_id=self.rp_id, challenge=challenge, timeout=LIFE_MS, user_verification=_REQUIRED
        )
        return _plain(webauthn.options_to_json(options))

    def registered(self, credential: Mapping[str, Any], challenge: bytes, origin: str) -> Registered:
        """The credential that was made for a challenge. Raises AccessError (bad_passkey)."""

        def check() -> Registered:
            found = webauthn.verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self.rp_id,
                expected_origin=self.origin or origin,
                require_user_verification=True,
            )
            said = credential["response"].get("transports") or ()
            transports = [one for one in said if isinstance(one, str)][:8]
            credential_id, public_key = map(bytes_to_base64url, (found.credential_id, found.credential_public_key))
            return Registered(credential_id, public_key, found.sign_count, transports)

        return _believed(check)

    def asserted(self, assertion: Assertion, public_key: str, origin: str) -> int:
        """The counter of an answer that is good. Raises AccessError (bad_passkey)."""

        def check() -> int:
            return webauthn.verify_authentication_response(
                credential=dict(assertion.credential),
                expected_challenge=assertion.challenge,
                expected_rp_id=self.rp_id,
                expected_origin=self.origin or origin,
                credential_public_key=base64url_to_bytes(public_key),
                credential_current_sign_count=0,
                require_user_verification=True,
            ).new_sign_count

        return _believed(check)


def challenge_of(credential: Mapping[str, Any]) -> bytes:
    """The challenge an answer is for. Raises AccessError (bad_passkey)."""

    def read() -> bytes:
        told = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        return base64url_to_bytes(told["challenge"])

    return _believed(read)


def assertion_of(credential: Mapping[str, Any]) -> Assertion:
    """What an answer to a sign-in says. Raises AccessError (bad_passkey)."""

    def read() -> Assertion:
        handle = base64url_to_bytes(credential["response"]["userHandle"])
        if len(handle) != _HANDLE_BYTES:
            raise ValueError("a handle of another site")
        owner = Owner(str(UUID(bytes=handle[:16])), str(UUID(bytes=handle[16:])))
        credential_id = bytes_to_base64url(base64url_to_bytes(credential["id"]))
        return Assertion(credential, credential_id, owner, challenge_of(credential))

    return _believed(read)


def bad_passkey() -> AccessError:
    """The one refusal."""
    return AccessError("bad_passkey", "This passkey was not accepted: try again, or sign in another way.")


def _believed(check: Callable[[], T]) -> T:
    try:
        return check()
    except AccessError:
        raise
    except Exception:  # noqa: BLE001  # a broken answer breaks parsers in many ways, and none of them lets in
        raise bad_passkey() from None


def _plain(text: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(text)
    return told
