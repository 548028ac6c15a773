"""When to try again: exponential backoff with full jitter under a cap, for as long as a schedule lasts.

Full jitter (any delay from nothing to the bound) spreads those who failed together; the bound grows with the failures
in a row. How long to go on is a matter of time, not of counts, so that luck with the dice cannot cut a schedule short.
"""

from collections.abc import Callable
from dataclasses import dataclass

from server.resilience.errors import ErrorClass

_DAY_S = 86_400
_MOST_DOUBLINGS = 40  # past any cap, short of an overflow


@dataclass(frozen=True, slots=True)
class Schedule:
    """Delays grow from `base_s` to `cap_s`; after `lasts_s` of failing it is given up."""

    base_s: float
    cap_s: float
    lasts_s: float

    def delay_ms(self, failures: int, random: Callable[[], float]) -> int:
        """The pause after so many failures in a row (1 is the first); `random` gives [0, 1)."""
        bound = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))
        return int(random() * bound * 1000)

    def is_over(self, failing_since_ms: int, now_ms: int) -> bool:
        """Whether it has failed for so long that only a person can help."""
        return now_ms - failing_since_ms >= self.lasts_s * 1000


@dataclass(frozen=True, slots=True)
class Schedules:
    """One schedule for what will pass, a more careful one for what nobody foresaw."""

    transient: Schedule = Schedule(base_s=1, cap_s=900, lasts_s=3 * _DAY_S)
    unknown: Schedule = Schedule(base_s=60, cap_s=3600, lasts_s=1 * _DAY_S)

    def of(self, error_class: ErrorClass) -> Schedule:
        """The schedule for a class that is tried again."""
        return self.unknown if error_class == "unknown" else self.transient
