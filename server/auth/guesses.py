"""Guesses at pairing codes: counted in the database, for all processes, before the code is looked up.

Rules:

1. In ten minutes at most `OF_ONE` codes that are nobody's from one address, and `OF_ALL` from everywhere. A code that
   was right is taken off the count again.
2. A code has 40 bits, and there are at most `pairing.MOST_LIVE` = 180 of them at a time. 144 stretches a day of 40
   guesses each are 5,760 guesses; each hits one of 180 among 2^40 with 1.6e-10. That is 9.4e-7 a day: less than one in
   a million that anybody, from however many addresses, hits anybody's code.
3. Whoever spends the count for all keeps others from typing codes for ten minutes; scanned links are not counted, and
   go on.
4. An address is kept as an HMAC, for an hour at most.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Sequence

from server.auth.errors import AccessError
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.clock import encode_instant

STRETCH_MS = 10 * 60 * 1000
OF_ONE, OF_ALL = 10, 40
PURPOSE = "guesses"
_ALL = "all"
_KEPT_MS = 60 * 60 * 1000

_NOBODYS = "00000000-0000-0000-0000-000000000000"
"""The tenant of a code that is not looked up yet."""

_COUNT = Statement(
    """INSERT INTO guesses (tenant_id, origin, stretch, times) VALUES (:tenant_id, :origin, :stretch, 1)
       ON CONFLICT (tenant_id, origin, stretch) DO UPDATE SET times = guesses.times + 1 RETURNING times"""
)
_TAKE_BACK = Statement(
    """UPDATE guesses SET times = times - 1
       WHERE tenant_id = :tenant_id AND origin = :origin AND stretch = :stretch"""
)
_FORGET = Statement("DELETE FROM guesses WHERE tenant_id = :tenant_id AND stretch < :before")


class Guesses:
    """Counts."""

    def __init__(self, derive: Callable[[str], Sequence[bytes]]) -> None:
        """`derive` gives the vault's keys for a purpose."""
        self._derive = derive

    async def count(self, writing: Writing, address: str | None) -> AccessError | None:
        """Count a guess from an address; the refusal, where it is one too many. Returned: the count must stand."""
        stretch = encode_instant(writing.now_ms // STRETCH_MS * STRETCH_MS)
        await writing.tx.execute(
            _FORGET,
            (
                _NOBODYS,
                encode_instant(writing.now_ms - _KEPT_MS),
            ),
        )
        for origin, most in ((self._origin(address), OF_ONE), (_ALL, OF_ALL)):
            ((times,),) = await writing.tx.fetch(_COUNT, _at(origin, stretch))
            if times > most:
                left_s = (STRETCH_MS - writing.now_ms % STRETCH_MS) // 1000 + 1
                message = "Too many codes were tried: wait some minutes, or scan the picture instead."
                return AccessError("too_many_guesses", message, status=429, retry_after_s=left_s)
        return None

    async def take_back(self, writing: Writing, address: str | None, at_ms: int) -> None:
        """A guess of this moment was none: it was right."""
        stretch = encode_instant(at_ms // STRETCH_MS * STRETCH_MS)
        for origin in (self._origin(address), _ALL):
            await writing.tx.execute(_TAKE_BACK, _at(origin, stretch))

    def _origin(self, address: str | None) -> str:
        named = _network(address).encode()
        return hmac.new(self._derive(PURPOSE)[0], named, hashlib.sha256).hexdigest()


def _at(origin: str, stretch: str) -> dict[str, str]:
    return {"tenant_id": _NOBODYS, "origin": origin, "stretch": stretch}


def _network(address: str | None) -> str:
    """An address, or the 64 bits of a long one that a line has: the rest is its own to choose."""
    try:
        known = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(known) if known.version == 4 else str(ipaddress.ip_network((known, 64), strict=False))  # noqa: PLR2004
