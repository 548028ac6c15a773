"""What a provider's token says, once its signature and claims hold (OpenID Connect Core 3.1.3.7, RFC 9068, RFC 8725).

Rules:

1. The algorithm is of a list of ours, and the key is found by `kid` among the issuer's: nothing in the token says
   where else to look.
2. Issuer and audience are ours exactly; a token that is for others too must name us as whom it was made for.
3. Clocks may differ by `SKEW_S`.
4. An ID token is no bearer, and the other way round: they have different audiences, and each has marks of its own.
5. A bearer that is tied to a key (`cnf`) is refused: that its holder has the key is not looked at here.
"""

import base64
import hashlib
import hmac
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol
from warnings import catch_warnings

from joserfc import jws, jwt
from joserfc.errors import JoseError, SecurityWarning

from server.auth.oidc.keys import PublicKey

SKEW_S = 60
LONGEST_BEARER_S = 24 * 3600
LONGEST = 16 * 1024
_LONGEST_SUBJECT = 255
_ID_TYPES, _BEARER_TYPES = frozenset((None, "jwt")), frozenset((None, "jwt", "at+jwt", "application/at+jwt"))
_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}

Why = Literal[
    "malformed", "algorithm", "unknown_key", "signature", "type", "issuer", "audience", "expired", "not_yet",
    "lifetime", "nonce", "access_token", "subject", "client", "sign_in_too_old", "bound",
]  # fmt: skip


class TokenRefusedError(Exception):
    """A token is not taken; `reason` is a stable word, and nothing of the token."""

    def __init__(self, reason: Why) -> None:
        """For the log and the tests."""
        super().__init__(reason)
        self.reason = reason


class Finding(Protocol):
    """Where keys are."""

    async def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The one key for a token's header."""


class Opened(NamedTuple):
    """A token whose signature holds."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


class Asked(NamedTuple):
    """What an ID token must answer. `max_age_s`: so old the sign-in at the provider may be."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None = None
    max_age_s: int | None = None


async def open_token(text: str, keys: Finding, algorithms: Sequence[str], issuer: str) -> Opened:
    """Look at who signed. Raises TokenRefusedError, AccessError (oidc_unavailable)."""
    header = _header(text)
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in algorithms or not isinstance(algorithm, str):
        raise TokenRefusedError("algorithm")
    if not isinstance(kid, str | None):
        raise TokenRefusedError("unknown_key")
    key = await keys.find(kid, algorithm)
    if key is None:
        raise TokenRefusedError("unknown_key")
    try:
        with catch_warnings(action="ignore", category=SecurityWarning):  # of the name EdDSA, which providers use
            opened = jwt.decode(text, key, algorithms=[algorithm])
    except (JoseError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise TokenRefusedError("signature") from None
    if opened.claims.get("iss") != issuer:
        raise TokenRefusedError("issuer")
    return Opened(opened.header, opened.claims)


def names_issuer(text: str, issuer: str) -> bool:
    """Whether a token says it is of this issuer: only then it is worth asking for the issuer's keys."""
    try:
        claims = json.loads(jws.extract_compact(text.encode()).payload or b"")
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        return False
    return isinstance(claims, dict) and claims.get("iss") == issuer


def check_id_token(opened: Opened, asked: Asked, now_s: int) -> str:
    """The subject of an ID token that answers what was asked. Raises TokenRefusedError."""
    claims = opened.claims
    _check_type(opened, _ID_TYPES)
    _check_id_audience(claims, asked.client_id)
    _check_times(claims, now_s)
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), asked.nonce.encode()):
        raise TokenRefusedError("nonce")
    if "at_hash" in claims and claims["at_hash"] != _at_hash(opened.header, asked.access_token):
        raise TokenRefusedError("access_token")
    if asked.max_age_s is not None:
        signed_in_s = _moment(claims, "auth_time", "sign_in_too_old")
        if now_s - signed_in_s > asked.max_age_s + SKEW_S:
            raise TokenRefusedError("sign_in_too_old")
    return _subject(claims)


def check_bearer(opened: Opened, audience: str, now_s: int) -> tuple[str, str]:
    """The subject of an access token that is for us, and the client it was given to. Raises TokenRefusedError."""
    claims = opened.claims
    _check_type(opened, _BEARER_TYPES)
    if "nonce" in claims or "at_hash" in claims:
        raise TokenRefusedError("type")
    if "cnf" in claims:
        raise TokenRefusedError("bound")
    if audience not in _audiences(claims):
        raise TokenRefusedError("audience")
    made_s, until_s = _check_times(claims, now_s)
    if until_s - made_s > LONGEST_BEARER_S:
        raise TokenRefusedError("lifetime")
    client = claims.get("azp", claims.get("client_id"))
    if not isinstance(client, str) or not 0 < len(client) <= _LONGEST_SUBJECT or not client.isprintable():
        raise TokenRefusedError("client")
    return _subject(claims), client


def _header(text: str) -> Mapping[str, Any]:
    if len(text) > LONGEST or not text.isascii():
        raise TokenRefusedError("malformed")
    try:
        return jws.extract_compact(text.encode()).headers()
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise TokenRefusedError("malformed") from None


def _check_type(opened: Opened, types: frozenset[str | None]) -> None:
    written = opened.header.get("typ")
    if not isinstance(written, str | None) or (None if written is None else written.lower()) not in types:
        raise TokenRefusedError("type")


def _check_id_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audiences, made_for = _audiences(claims), claims.get("azp")
    if client_id not in audiences or (made_for is None and len(audiences) > 1) or made_for not in {None, client_id}:
        raise TokenRefusedError("audience")


def _audiences(claims: Mapping[str, Any]) -> list[str]:
    written = claims.get("aud")
    if isinstance(written, str):
        return [written]
    if not isinstance(written, list) or not all(isinstance(one, str) for one in written):
        raise TokenRefusedError("audience")
    return written


def _check_times(claims: Mapping[str, Any], now_s: int) -> tuple[float, float]:
    """When it was made and until when it is good."""
    until_s, made_s = _moment(claims, "exp", "expired"), _moment(claims, "iat", "not_yet")
    if now_s >= until_s + SKEW_S:
        raise TokenRefusedError("expired")
    from_s = _moment(claims, "nbf", "not_yet") if "nbf" in claims else made_s
    if max(made_s, from_s) > now_s + SKEW_S:
        raise TokenRefusedError("not_yet")
    return made_s, until_s


def _moment(claims: Mapping[str, Any], name: str, why: Why) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 40:  # NaN is neither
        raise TokenRefusedError(why)
    return math.floor(value)


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise TokenRefusedError("subject")
    return subject


def _at_hash(header: Mapping[str, Any], access_token: str | None) -> str | None:
    """The left half of the access token's hash, by the hash of the algorithm; Ed25519's is SHA-512."""
    if access_token is None:
        return None
    digest = _HASHES.get(header["alg"][2:], hashlib.sha512)(access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
