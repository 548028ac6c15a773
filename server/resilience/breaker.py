"""The breaker: who fails again and again is left alone, and asked by one call at a time whether it works again.

    closed ── so many failures in a row, or too large a share ──▶ open ── pause over ──▶ half open: one probe
       ▲                                                           ▲                        │        │
       └───────────────────────── the probe worked ────────────────┼────────────────────────┘        │
                                                                   └── it failed: a longer pause ────┘

Rules:

1. What counts is whether the other side answered like one that works: a refusal of a single request (4xx, 402) did.
   429, 409 and what went wrong on our own side say nothing.
2. Half open lets one probe through, under a lease with a fence. A dead prober's lease runs out, and the next one
   probes; what comes of a probe whose fence is no longer the latest changes nothing.
3. Calls that were under way when it opened change nothing either: neither a late success nor more failures.
4. Pauses double from `breaker_pause` to `breaker_cap`, each between half of that and all of it, so that those who
   failed together do not come back together. A probe that said nothing costs the shortest pause and no doubling.
5. The share is that of two half windows, the present and the one before, and counts from their first failure on: while
   all is well nothing is written. A clock up to a minute behind another's counts into the half window that it finds.

Pure: clock and dice are brought along.
"""

from typing import Literal, NamedTuple

from server.resilience.classify import Classified
from server.resilience.limiter import SKEW_MS
from server.resilience.limits import Limits

BreakerWord = Literal["closed", "open", "half_open"]
Sign = Literal["worked", "failed", "nothing"]

_MOST_DOUBLINGS = 40  # past any cap, short of an overflow
_NOTHING = frozenset(("throttled", "too_early", "in_use", "pool_timeout", "lease_spent"))
_OURS = frozenset(
    ("bad_url", "insecure_url", "private_address", "unsendable", "bad_settings", "too_late", "nothing_to_take_back")
)


class Breaker(NamedTuple):
    """One endpoint's breaker.

    `failures` in a row while closed; `openings` in a row without a success between. `until_ms`: the end of the pause,
    or of the probe's lease; `fence` is the latest probe's. The counts are those of the half window that began at
    `half_ms` and of the one before.
    """

    state: BreakerWord = "closed"
    failures: int = 0
    openings: int = 0
    until_ms: int = 0
    fence: int = 0
    half_ms: int = 0
    calls: int = 0
    failed: int = 0
    calls_before: int = 0
    failed_before: int = 0

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing that a success would change."""
        return self.state == "closed" and not (self.failures or self.failed or self.failed_before)

    def wants_probe(self, now_ms: int) -> bool:
        """Whether the next call would be the probe."""
        return self.state != "closed" and now_ms >= self.until_ms

    def most(self, now_ms: int, wanted: int) -> int:
        """How many calls may go out now."""
        if self.state == "closed":
            return wanted
        return min(wanted, 1) if self.wants_probe(now_ms) else 0

    def ready_ms(self, now_ms: int) -> int:
        """When it may let something through; by an early success it may be sooner."""
        return now_ms if self.state == "closed" else max(now_ms, self.until_ms)

    def probe(self, now_ms: int, lease_ms: int) -> "Breaker":
        """Let the probe go: it has the new fence."""
        return self._replace(state="half_open", until_ms=now_ms + lease_ms, fence=self.fence + 1)

    def give_up(self, fence: int, now_ms: int) -> "Breaker":
        """The probe was not sent after all: the next call is one."""
        return self._replace(until_ms=now_ms) if self._is_latest(fence) else self

    def report(self, sign: Sign, fence: int | None, limits: Limits, now_ms: int, dice: float) -> "Breaker":
        """What a call says; `fence` where it was a probe, `dice` in [0, 1)."""
        if self.state == "closed":
            return self._counted(sign, limits, now_ms, dice)
        if fence is None or not self._is_latest(fence):
            return self
        match sign:
            case "worked":
                return Breaker(fence=self.fence)
            case "failed":
                return _opened(self, limits, now_ms, dice)
            case "nothing":
                return self._replace(state="open", until_ms=now_ms + _pause_ms(1, limits, dice))

    def _is_latest(self, fence: int) -> bool:
        return self.state == "half_open" and self.fence == fence

    def _counted(self, sign: Sign, limits: Limits, now_ms: int, dice: float) -> "Breaker":
        if sign == "nothing" or (sign == "worked" and self.is_quiet):
            return self
        failed = sign == "failed"
        now = self._moved(limits.breaker_window * 500, now_ms)
        now = now._replace(
            failures=now.failures + 1 if failed else 0, calls=now.calls + 1, failed=now.failed + int(failed)
        )
        return _opened(now, limits, now_ms, dice) if failed and _is_too_much(now, limits) else now

    def _moved(self, half_ms: int, now_ms: int) -> "Breaker":
        """With the counts of the half window that `now_ms` is in."""
        passed = (now_ms - self.half_ms) // half_ms
        if passed == 0 or -SKEW_MS <= now_ms - self.half_ms < 0:  # before it: noted by a faster clock than ours
            return self
        before = (self.calls, self.failed) if passed == 1 else (0, 0)
        return self._replace(half_ms=now_ms - now_ms % half_ms, calls=0, failed=0, calls_before=before[0],
                             failed_before=before[1])  # fmt: skip


def sign_of(classified: Classified, status: int | None) -> Sign:
    """What one call's result says about the other side."""
    match classified.error_class:
        case None | "answered":
            return "worked"
        case "permanent":
            return "nothing" if status is None and classified.code in _OURS else "worked"
        case "transient":
            return "nothing" if classified.code in _NOTHING else "failed"
        case "unknown":
            return "failed" if classified.code == "tls_failed" else "nothing"


def _is_too_much(breaker: Breaker, limits: Limits) -> bool:
    calls, failed = breaker.calls + breaker.calls_before, breaker.failed + breaker.failed_before
    share = calls >= limits.breaker_calls and failed * 100 >= limits.breaker_share * calls
    return share or breaker.failures >= limits.breaker_failures


def _opened(breaker: Breaker, limits: Limits, now_ms: int, dice: float) -> Breaker:
    openings = breaker.openings + 1
    until_ms = now_ms + _pause_ms(openings, limits, dice)
    return Breaker("open", openings=openings, until_ms=until_ms, fence=breaker.fence)


def _pause_ms(openings: int, limits: Limits, dice: float) -> int:
    bound = min(limits.breaker_cap, limits.breaker_pause * 2.0 ** min(openings - 1, _MOST_DOUBLINGS))
    return max(1, int(bound * 500 * (1 + dice)))
