"""Challenges for passkeys: made here, good for some minutes, for one thing; stored nowhere until they are used.

Form: 16 random bytes, 8 of when it ends (milliseconds since 1970), 24 of an HMAC over both and over what it is for.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence

LIFE_MS = 5 * 60 * 1000
PURPOSE = "challenges"
_RANDOM, _MOMENT, _MAC = 16, 8, 24


class Challenges:
    """Makes challenges and knows its own."""

    def __init__(self, derive: Callable[[str], Sequence[bytes]], clock: Callable[[], int]) -> None:
        """`derive` gives the vault's keys for a purpose, `clock` milliseconds."""
        self._derive, self._clock = derive, clock

    def make(self, what_for: str) -> bytes:
        """A challenge for one thing only."""
        head = secrets.token_bytes(_RANDOM) + (self._clock() + LIFE_MS).to_bytes(_MOMENT, "big")
        return head + _mac(self._derive(PURPOSE)[0], head, what_for)

    def ends_at(self, challenge: bytes, what_for: str) -> int | None:
        """When a challenge ends, or None for one that is not ours, for something else, or too old."""
        head, mac = challenge[: _RANDOM + _MOMENT], challenge[_RANDOM + _MOMENT :]
        if not any(hmac.compare_digest(_mac(key, head, what_for), mac) for key in self._derive(PURPOSE)):
            return None
        ends_ms = int.from_bytes(head[_RANDOM:], "big")
        return ends_ms if self._clock() < ends_ms else None


def _mac(key: bytes, head: bytes, what_for: str) -> bytes:
    return hmac.new(key, head + what_for.encode(), hashlib.sha256).digest()[:_MAC]
