"""Business days: an instant belongs to the day on the shop's wall, which has 23 or 25 hours twice a year.

A day may begin later than midnight (`day_begins`, a whole hour): what a bar sells at one belongs to the evening before.
The hour that comes twice in October is the same hour of the same day both times.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

ROME = ZoneInfo("Europe/Rome")


def business_day(at: datetime, day_begins: int = 0) -> str:
    """The day an aware instant belongs to."""
    wall = at.astimezone(ROME)
    day = wall.date() - timedelta(days=1) if wall.hour < day_begins else wall.date()
    return day.isoformat()


def instant(at: datetime) -> str:
    """In wire form, milliseconds cut."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def at_instant(text: str) -> datetime:
    """The instant of a text in wire form."""
    return datetime.fromisoformat(text)


def millis(at: datetime) -> int:
    """Milliseconds since 1970: as a watermark, for what vendors number by time alone."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
