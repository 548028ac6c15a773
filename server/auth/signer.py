"""Access tokens: short-lived ES256 JWTs that name a session.

Rules:

1. The signing key of each month derives from the master key: nothing is stored, and all processes agree. Rotating the
   master key rotates these too.
2. The key set that is published has the keys of the month before, this one and the next, of every master key of the
   ring: who fetches it seldom knows a key before it is used, and long enough after.
3. A token says who the session is; what they may do is looked up, so that a change takes effect at once.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

ACCESS_S = 600
"""How long an access token is good."""
AUDIENCE = "rientro"
_ALGORITHMS = ("ES256",)
_SKEW_S = 60
"""A token made by a process whose clock is ahead of ours is taken all the same."""
_LONGEST = 2000
_UNREADABLE = (JoseError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What a header or claims of odd types come to."""


class Access(NamedTuple):
    """What a good access token says; `expires_at_ms` is since 1970."""

    tenant_id: str
    session_id: str
    expires_at_ms: int


class Signer:
    """Makes access tokens and reads them."""

    def __init__(self, masters: Callable[[str], Sequence[bytes]], issuer: str, clock: Callable[[], int]) -> None:
        """`masters` gives the keys for a purpose, newest first; `clock` milliseconds."""
        self._masters, self._issuer, self._clock = masters, issuer, clock

    def make(self, tenant_id: str, session_id: str, subject: str) -> str:
        """A token that is good from now on; `subject` is the person's id, or the device's."""
        now_s = self._clock() // 1000
        key = _key(self._masters(_purpose(_month(now_s, 0)))[0])
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": subject,
            "tenant": tenant_id,
            "session": session_id,
            "iat": now_s,
            "exp": now_s + ACCESS_S,
        }
        return jwt.encode({"alg": "ES256", "kid": key.thumbprint()}, claims, key)

    def read(self, text: str) -> Access | None:
        """What a token says, or None for what is not ours, not yet or no longer good."""
        if len(text) > _LONGEST:
            return None
        try:
            token = jwt.decode(text, self._found, algorithms=list(_ALGORITHMS))
        except _UNREADABLE:
            return None
        return self._checked(token.claims)

    def key_set(self) -> dict[str, Any]:
        """The public keys, as a JWK set."""
        shared = {"use": "sig", "alg": "ES256"}
        return {"keys": [key.as_dict(private=False) | {**shared, "kid": kid} for kid, key in self._keys().items()]}

    def _checked(self, claims: dict[str, Any]) -> Access | None:
        now_s = self._clock() // 1000
        match claims:
            case {
                "iss": self._issuer,
                "aud": "rientro",
                "tenant": str(tenant_id),
                "session": str(session_id),
                "iat": int(made_s),
                "exp": int(until_s),
            } if made_s - _SKEW_S <= now_s < until_s <= made_s + ACCESS_S:
                return Access(tenant_id, session_id, until_s * 1000)
            case _:
                return None

    def _keys(self) -> dict[str, ECKey]:
        now_s = self._clock() // 1000
        purposes = [_purpose(_month(now_s, away)) for away in (-1, 0, 1)]
        keys = [_key(master) for purpose in purposes for master in self._masters(purpose)]
        return {key.thumbprint(): key for key in keys}

    def _found(self, signed: Any) -> ECKey:
        key = self._keys().get(signed.headers().get("kid", ""))
        if key is None:
            raise ValueError("no such key")
        return key


def _month(now_s: int, away: int) -> str:
    now = datetime.fromtimestamp(now_s, UTC)
    months = now.year * 12 + now.month - 1 + away
    return f"{months // 12:04}-{months % 12 + 1:02}"


def _purpose(month: str) -> str:
    return f"access tokens {month}"


@lru_cache(maxsize=64)
def _key(secret: bytes) -> ECKey:
    return ECKey.derive_key(secret, "P-256")
