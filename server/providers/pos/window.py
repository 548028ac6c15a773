"""The window a poller reads: from some time before what it read last, and once a day from days before.

Vendors hand over late: a till that was offline gives its sales back after days, under the time they were made at. So a
round begins `overlap` before the newest update met, and once in 24 hours `LATE` before it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

LATE = timedelta(hours=96)
DAILY = timedelta(hours=24)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Cursor(BaseModel):
    """`seen` is the newest update met, `deep` when a round last went back for what came late.

    Within a round `begin` is where it began, and `page` the vendor's name for where it goes on.
    """

    model_config = ConfigDict(frozen=True)

    seen: datetime
    deep: datetime | None = None
    begin: datetime | None = None
    page: str | None = None


class Window(BaseModel):
    """One page of a round: everything updated from `begin` on, and the vendor's `page` where it is not the first."""

    model_config = ConfigDict(frozen=True)

    begin: datetime
    page: str | None
    cursor: Cursor

    def after(self, met: Iterable[datetime], page: str | None, now: datetime) -> Cursor:
        """The cursor after this page; `page` names the next, where there is one."""
        seen = max([self.cursor.seen, *(one for one in met if one <= now)])  # a time to come would hide what comes
        if page is None:
            return Cursor(seen=seen, deep=self.cursor.deep)
        return Cursor(seen=seen, deep=self.cursor.deep, begin=self.begin, page=page)


def window(cursor: str | None, settings: Any, now_ms: int) -> Window:
    """The window of the page that comes next. The first round looks `backfill_days` back."""
    now = moment(now_ms)
    if cursor is None:
        begin = now - timedelta(days=int(settings.get("backfill_days", 30)))
        return Window(begin=begin, page=None, cursor=Cursor(seen=begin, deep=now))
    at = Cursor.model_validate_json(cursor)
    if at.begin is not None:
        return Window(begin=at.begin, page=at.page, cursor=at)
    overlap = timedelta(minutes=int(settings.get("poll_overlap_minutes", 60)))
    if at.deep is None or now - at.deep >= DAILY:
        return Window(begin=at.seen - max(LATE, overlap), page=None, cursor=at.model_copy(update={"deep": now}))
    return Window(begin=at.seen - overlap, page=None, cursor=at)


def rewound(cursor: str, since_ms: int) -> str:
    """A cursor whose next round begins before a moment, by as much as any round goes back."""
    at = Cursor.model_validate_json(cursor)
    begun = at.seen if at.begin is None else min(at.seen, at.begin)
    return Cursor(seen=min(begun, moment(since_ms)), deep=None).model_dump_json()


def moment(ms: int) -> datetime:
    """Milliseconds since 1970 as an instant."""
    return _EPOCH + timedelta(milliseconds=ms)
