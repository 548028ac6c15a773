"""`Retry-After` (RFC 9110, 10.2.3): seconds or an HTTP date, as the moment before which nothing may be sent.

It is kept in the endpoint's row. What a process heard it remembers too, from the moment the answer is read: calls about
to start must not miss it while it is being stored.
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_MS = 30 * 86_400_000
"""What lies further ahead is cut to this: nobody asks for more than a month, and a calendar has an end."""

BELIEVABLE_SKEW_MS = 600_000
"""A provider's clock further off than this is not a clock, and only ours counts."""

_SECONDS = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")


class LeftAlone:
    """Until when endpoints asked to be left alone, as far as this process heard; all its workers share it."""

    def __init__(self) -> None:
        """Nobody asked yet."""
        self._until_ms: dict[str, int] = {}

    def until_ms(self, endpoint_id: str) -> int:
        """Milliseconds since 1970; 0 where it did not ask."""
        return self._until_ms.get(endpoint_id, 0)

    def heard(self, endpoint_id: str, until_ms: int | None) -> None:
        """What an answer said; an earlier wish for longer stands."""
        if until_ms is not None:
            self._until_ms[endpoint_id] = max(self.until_ms(endpoint_id), until_ms)


def parse_retry_after(text: str | None, now_ms: int, date: str | None = None) -> int | None:
    """Milliseconds since 1970 before which to stay away, or None where the header says nothing one could use.

    `now_ms` is when the answer was read, never before it was sent; it was cut to the millisecond, so one is added. A
    date is meant by the provider's clock: where its `Date` header shows that to be behind ours, the wait is longer by
    as much.
    """
    if text is None:
        return None
    text = text.strip()
    wait = _seconds_ms(text) if _SECONDS.fullmatch(text) else _until_ms(text, now_ms, date)
    if wait is None or wait <= 0:
        return None
    return now_ms + 1 + min(wait, LONGEST_MS)


def _seconds_ms(text: str) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole) * 1000 + (int(fraction[:3].ljust(3, "0")) + 1 if fraction else 0)


def _until_ms(text: str, now_ms: int, date: str | None) -> int | None:
    until = _http_date_ms(text)
    if until is None:
        return None
    theirs = None if date is None else _http_date_ms(date)
    behind = 0 if theirs is None else now_ms - theirs
    return until - now_ms + (behind if 0 < behind <= BELIEVABLE_SKEW_MS else 0)


def _http_date_ms(text: str) -> int | None:
    try:
        moment: datetime = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 1000  # the oldest form names no zone
