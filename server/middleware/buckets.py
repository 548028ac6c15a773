"""Token buckets in the memory of one process, by the generic cell rate algorithm: of each bucket, one time is kept.

As many buckets are kept as `most`; the one that was used longest ago goes first, and a bucket that is full again is
like one that was never there.
"""

from collections import OrderedDict
from typing import NamedTuple


class Rate(NamedTuple):
    """So many a second in the long run, and so many at once; 0 a second is no limit."""

    per_s: float
    burst: int


class Buckets:
    """One bucket for each key."""

    def __init__(self, rate: Rate, most: int = 10_000) -> None:
        """All full."""
        self._rate, self._most = rate, most
        self._full_at: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._full_at)

    def take(self, key: bytes, now_s: float) -> float:
        """Take one token: 0, or the seconds until there is one, and then none is taken."""
        if not self._rate.per_s:
            return 0.0
        each_s = 1 / self._rate.per_s
        full_at = max(self._full_at.get(key, now_s), now_s)
        wait_s = full_at - now_s - each_s * (self._rate.burst - 1)
        if wait_s > 1e-9:  # noqa: PLR2004  # what floating-point numbers lose on the way
            self._full_at.move_to_end(key)
            return wait_s
        self._full_at[key] = full_at + each_s
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return 0.0
