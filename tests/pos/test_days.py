"""Business days on the wall of an Italian shop: both clock changes, and nights that belong to the day before."""

from datetime import UTC, datetime, timedelta

import pytest

from server.providers.pos.days import ROME, business_day


@pytest.mark.parametrize(
    ("at", "day_begins", "day"),
    [
        # Spring, 2026-03-29: the wall goes from 01:59:59 to 03:00, the day has 23 hours.
        ("2026-03-28T22:59:59Z", 0, "2026-03-28"),
        ("2026-03-28T23:00:00Z", 0, "2026-03-29"),
        ("2026-03-29T00:59:59Z", 0, "2026-03-29"),
        ("2026-03-29T01:00:00Z", 0, "2026-03-29"),
        ("2026-03-29T21:59:59Z", 0, "2026-03-29"),
        ("2026-03-29T22:00:00Z", 0, "2026-03-30"),
        ("2026-03-29T00:59:59Z", 3, "2026-03-28"),
        ("2026-03-29T01:00:00Z", 3, "2026-03-29"),
        # Autumn, 2026-10-25: 02:00 to 02:59 come twice, the day has 25 hours.
        ("2026-10-24T21:59:59Z", 0, "2026-10-24"),
        ("2026-10-24T22:00:00Z", 0, "2026-10-25"),
        ("2026-10-25T00:30:00Z", 0, "2026-10-25"),
        ("2026-10-25T01:30:00Z", 0, "2026-10-25"),
        ("2026-10-25T22:59:59Z", 0, "2026-10-25"),
        ("2026-10-25T23:00:00Z", 0, "2026-10-26"),
        ("2026-10-25T00:30:00Z", 3, "2026-10-24"),
        ("2026-10-25T01:30:00Z", 3, "2026-10-24"),
        ("2026-10-25T02:00:00Z", 3, "2026-10-25"),
        ("2026-10-25T00:30:00Z", 2, "2026-10-25"),
        ("2026-12-31T23:30:00Z", 4, "2026-12-31"),
    ],
)
def test_an_instant_belongs_to_the_day_on_the_wall(at: str, day_begins: int, day: str) -> None:
    """Whatever zone it was told in."""
    assert business_day(datetime.fromisoformat(at), day_begins) == day
    assert business_day(datetime.fromisoformat(at).astimezone(ROME), day_begins) == day


@pytest.mark.parametrize(("begin", "hours"), [("2026-03-28T23:00:00Z", 23), ("2026-10-24T22:00:00Z", 25)])
def test_days_of_the_clock_change_are_as_long_as_they_are(begin: str, hours: int) -> None:
    """Counted minute by minute: none is lost and none belongs to two days."""
    first = datetime.fromisoformat(begin).astimezone(UTC)
    day = business_day(first)
    minutes = [minute for minute in range(26 * 60) if business_day(first + timedelta(minutes=minute)) == day]
    assert minutes == list(range(hours * 60))
