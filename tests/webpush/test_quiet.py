"""Quiet hours by the clock on a wall in Rome, right across both changes of it."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.webpush.quiet import Quiet, parse_quiet

ROME = ZoneInfo("Europe/Rome")
NIGHT = parse_quiet("22:00", "07:00")
SMALL = parse_quiet("01:30", "02:30")
DAY_MS = 86_400_000


def ms(text: str) -> int:
    """An instant, by its own offset."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


CASES = {
    "a plain night": (NIGHT, "2025-11-24T23:00+01:00", "2025-11-25T07:00+01:00"),
    "before it": (NIGHT, "2025-11-24T21:59:59+01:00", "2025-11-24T21:59:59+01:00"),
    "its first moment": (NIGHT, "2025-11-24T22:00+01:00", "2025-11-25T07:00+01:00"),
    "its end": (NIGHT, "2025-11-25T07:00+01:00", "2025-11-25T07:00+01:00"),
    "the short night of spring": (NIGHT, "2026-03-28T23:00+01:00", "2026-03-29T07:00+02:00"),
    "the long night of autumn": (NIGHT, "2026-10-24T23:00+02:00", "2026-10-25T07:00+01:00"),
    "an end that spring skips": (SMALL, "2026-03-29T01:45+01:00", "2026-03-29T03:00+02:00"),
    "an end that autumn shows twice, the first time": (SMALL, "2026-10-25T01:45+02:00", "2026-10-25T02:30+02:00"),
    "an end that autumn shows twice, the second": (SMALL, "2026-10-25T02:10+01:00", "2026-10-25T02:30+01:00"),
}


@pytest.mark.parametrize(("quiet", "at", "over"), CASES.values(), ids=CASES.keys())
def test_it_is_over_when_the_wall_says_so(quiet: Quiet, at: str, over: str) -> None:
    """The first moment from then on that is not quiet."""
    assert quiet.over_ms(ms(at)) == ms(over)


def test_the_same_twice_is_never_and_none_is_none() -> None:
    """Nobody can wish for a day without end."""
    never = parse_quiet("08:00", "08:00")
    assert never is not None
    assert not any(never.holds(ms("2025-11-24T00:00+01:00") + hour * 3_600_000) for hour in range(24))
    assert parse_quiet(None, None) is None


TIMES = st.times().map(lambda one: one.replace(second=0, microsecond=0, tzinfo=None))


@given(TIMES, TIMES, st.integers(ms("2026-03-28T00:00+01:00"), ms("2026-03-30T00:00+02:00")) | st.integers(
    ms("2026-10-24T00:00+02:00"), ms("2026-10-26T00:00+01:00")))  # fmt: skip
def test_it_always_ends_within_a_day_and_a_bit_and_not_before(start: object, end: object, at_ms: int) -> None:
    """Around both changes of the clock, whatever the hours."""
    quiet = Quiet(start, end)  # type: ignore[arg-type]  # times, says the strategy
    over_ms = quiet.over_ms(at_ms)
    assert at_ms <= over_ms <= at_ms + DAY_MS + 3_600_000
    assert not quiet.holds(over_ms)
    assert over_ms == at_ms or quiet.holds(over_ms - 1)
