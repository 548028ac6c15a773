"""The provider's public keys: found by `kid`, and fetched anew when one is asked for that is not known.

Rules:

1. A key is used for an algorithm that fits its kind and curve, and for no other than it names itself.
2. Symmetric and private keys, those that are not for signatures, and RSA under 2048 bits are none.
3. A token without `kid` is read only where a single key fits.
4. An unknown `kid` has the keys fetched anew, at most once a minute: made-up ones cost the provider nothing.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from warnings import catch_warnings

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from server.auth.oidc.cached import Cached
from server.auth.oidc.fetching import FetchError

PublicKey = RSAKey | ECKey | OKPKey
_MOST_KEYS = 100
_LEAST_RSA_BITS = 2048
_KINDS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", frozenset((None,)))),
    "ES256": ("EC", frozenset(("P-256",))),
    "ES384": ("EC", frozenset(("P-384",))),
    "ES512": ("EC", frozenset(("P-521",))),
    "EdDSA": ("OKP", frozenset(("Ed25519", "Ed448"))),
    "Ed25519": ("OKP", frozenset(("Ed25519",))),
}


class Published(NamedTuple):
    """A key and what it says of itself."""

    kid: str | None
    kind: str
    curve: str | None
    algorithm: str | None
    key: PublicKey

    def fits(self, kid: str | None, algorithm: str) -> bool:
        """Whether a token of this header may be signed by it."""
        kind, curves = _KINDS[algorithm]
        return (
            kid in {None, self.kid}
            and self.kind == kind
            and self.curve in curves
            and self.algorithm in {None, algorithm}
        )


class PublicKeys:
    """Finds keys."""

    def __init__(self, cached: Cached[Sequence[Published]]) -> None:
        """`cached` fetches all of them."""
        self._cached = cached

    async def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The one key for a token's header. Raises AccessError (oidc_unavailable)."""
        found = _fitting(await self._cached.get(), kid, algorithm)
        if not found and kid is not None:
            found = _fitting(await self._cached.newer() or (), kid, algorithm)
        return found[0].key if len(found) == 1 else None


def read_keys(document: dict[str, Any]) -> Sequence[Published]:
    """The usable keys of a JWK set. Raises FetchError where it is none."""
    keys = document.get("keys")
    if not isinstance(keys, list):
        raise FetchError("no_keys")
    read = [_read(one) for one in keys[:_MOST_KEYS] if isinstance(one, dict)]
    return [one for one in read if one is not None]


def _read(written: dict[str, Any]) -> Published | None:
    texts = {name: written.get(name) for name in ("kid", "kty", "crv", "alg")}
    if any(not isinstance(value, str | None) for value in texts.values()):
        return None
    if written.get("use") not in {None, "sig"} or "d" in written:
        return None
    # What its own fields say of its use is judged here; the library is given the key alone.
    plain: dict[str, Any] = {name: written[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in written}
    try:
        with catch_warnings(action="ignore", category=SecurityWarning):  # of short keys, which are refused below
            key = import_key(plain)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if not isinstance(key, PublicKey):
        return None
    if isinstance(key, RSAKey) and key.raw_value.key_size < _LEAST_RSA_BITS:
        return None
    curve = None if isinstance(key, RSAKey) else texts["crv"]
    return Published(texts["kid"], key.key_type, curve, texts["alg"], key)


def _fitting(keys: Sequence[Published], kid: str | None, algorithm: str) -> list[Published]:
    return [one for one in keys if one.fits(kid, algorithm)]
