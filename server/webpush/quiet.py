"""Quiet hours: from a time of the day to another, by the clock on a wall in Rome. Pure.

They hold whatever the wall says, so a night with a change of the clock is an hour shorter or longer: hours that the
wall shows twice are quiet twice, and an end that it skips comes with the first minute after.
"""

from bisect import bisect_left
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

ROME = ZoneInfo("Europe/Rome")


class Quiet(NamedTuple):
    """From (included) to (excluded), over midnight where `end` is the earlier one; the same twice is never."""

    start: time
    end: time

    def holds(self, at_ms: int) -> bool:
        """Whether it is quiet then, in milliseconds since 1970."""
        wall = datetime.fromtimestamp(at_ms / 1000, ROME).time()
        if self.start <= self.end:
            return self.start <= wall < self.end
        return wall >= self.start or wall < self.end

    def over_ms(self, at_ms: int) -> int:
        """The first moment from then on that is not quiet."""
        quiet_ms = at_ms
        while self.holds(at_ms):
            quiet_ms, at_ms = at_ms, min(one for one in self._ends(at_ms) if one > at_ms)
        if quiet_ms == at_ms:
            return at_ms
        # Where the wall skips the end, it was quiet until the skip: the first moment that is not is looked for.
        return quiet_ms + bisect_left(range(quiet_ms, at_ms + 1), True, key=lambda one: not self.holds(one))  # noqa: FBT003

    def _ends(self, at_ms: int) -> list[int]:
        """When the wall shows the end around then; twice a day where it does."""
        day = datetime.fromtimestamp(at_ms / 1000, ROME).date()
        walls = [datetime.combine(day + timedelta(days=away), self.end, ROME) for away in (0, 1)]
        return [int(wall.replace(fold=fold).astimezone(UTC).timestamp() * 1000) for wall in walls for fold in (0, 1)]


def parse_quiet(start: str | None, end: str | None) -> Quiet | None:
    """Of two times HH:MM, as they are stored; None where there are none."""
    if start is None or end is None:
        return None
    return Quiet(time.fromisoformat(start), time.fromisoformat(end))
