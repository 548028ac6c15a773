"""How many calls may go out now: a token bucket (GCRA) and a sliding window. Pure functions of state and time.

Rules:

1. A bucket of `burst` tokens fills at the rate. GCRA keeps it as one number, the moment at which it is full again (the
   theoretical arrival time of ITU-T I.371, Annex A), in microseconds, so that 300 a second are not 250.
2. The window is exact on the safe side: what went out is noted at a place of a grid of 64 a window, never earlier than
   it was, and is forgotten a whole window after that place. No window of that length ever holds more than the limit.
3. `retry_ms` is the first moment at which one more may go out; `now_ms` itself where it may at once.
4. A state further ahead than any clock of ours could be is cut: it comes from other settings, or from a clock that was
   set back.
"""

import math
from typing import NamedTuple

SKEW_MS = 60_000
"""How far the clocks of two processes may be apart before one takes the other's state for nonsense."""

GRID = 64

Spent = tuple[tuple[int, int], ...]
"""How many calls went out at which moments of the window, in milliseconds, oldest first."""


class Rate(NamedTuple):
    """A call every `interval_us` microseconds, `burst` of them at once."""

    interval_us: int
    burst: int

    @classmethod
    def of(cls, per_second: float, burst: int | None = None) -> "Rate":
        """Never faster than asked. Without a burst of its own, a twentieth of a second's calls."""
        return cls(math.ceil(1_000_000 / per_second), burst or max(1, int(per_second / 20)))


class Window(NamedTuple):
    """At most `limit` calls in any `length_ms`."""

    limit: int
    length_ms: int


class Bucket(NamedTuple):
    """What a bucket says: its state after `allowed` calls, and when one more may go."""

    full_us: int
    allowed: int
    retry_ms: int


class Slid(NamedTuple):
    """What a window says."""

    spent: Spent
    allowed: int
    retry_ms: int


def draw(full_us: int, rate: Rate, now_ms: int, wanted: int) -> Bucket:
    """Take up to `wanted` tokens from a bucket that is full at `full_us` (0 for a new one)."""
    now_us, capacity_us = now_ms * 1000, rate.interval_us * rate.burst
    if full_us > now_us + capacity_us + SKEW_MS * 1000:
        full_us = now_us + capacity_us
    full_us = max(full_us, now_us)
    allowed = max(0, min(wanted, (now_us + capacity_us - full_us) // rate.interval_us))
    full_us += allowed * rate.interval_us
    next_us = full_us + rate.interval_us - capacity_us
    return Bucket(full_us, allowed, max(now_ms, -(-next_us // 1000)))


def slide(spent: Spent, window: Window, now_ms: int, wanted: int) -> Slid:
    """Note up to `wanted` calls in a window."""
    grain = max(1, window.length_ms // GRID)
    place = -(-now_ms // grain) * grain
    # What another, faster clock noted is kept as well.
    live = {at: count for at, count in spent if now_ms - window.length_ms < at <= place + SKEW_MS}
    allowed = max(0, min(wanted, window.limit - sum(live.values())))
    if allowed:
        live[place] = live.get(place, 0) + allowed
    left = tuple(sorted(live.items()))
    return Slid(left, allowed, _room_ms(left, window, now_ms))


def _room_ms(spent: Spent, window: Window, now_ms: int) -> int:
    """When fewer than the limit are left in the window."""
    used = sum(count for _, count in spent)
    for at, count in spent:
        if used < window.limit:
            break
        used -= count
        now_ms = at + window.length_ms
    return now_ms
