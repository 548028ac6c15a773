"""Reading the audit: newest first for people, page by page; oldest first for an export, to its end.

Entry ids begin with their time, so the key is the order of a page, and whatever was asked for is found by an index that
ends with it: a page reads no more than it shows, however long the audit is.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from server.storage.database import Database, Tx
from server.storage.statement import Statement
from sync.clock import decode_instant

MOST = 1000
"""Rows of a page at most."""

_COLUMNS = """entry_id, at, action, outcome, reason, times, actor_kind, actor_id, subject_kind, subject_id, origin,
    correlation_id"""
_FIRST = "00000000-0000-0000-0000-000000000000"
_LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_BEGINNING = "1900-01-01T00:00:00.000Z"
_WHERE = "WHERE tenant_id = :tenant_id AND at >= :since AND entry_id > :after AND entry_id < :before"
_BY_ACTION, _BY_ACTOR = "AND action = :action", "AND actor_id = :actor"


def _pages(order: str) -> tuple[Statement, Statement, Statement, Statement]:
    """For: everything, one action, one actor, both."""
    narrowed = ("", _BY_ACTION, _BY_ACTOR, f"{_BY_ACTION} {_BY_ACTOR}")
    all_, action, actor, both = (
        Statement(f"SELECT {_COLUMNS} FROM audit {_WHERE} {also} ORDER BY entry_id {order} LIMIT :most")  # noqa: S608
        for also in narrowed
    )
    return all_, action, actor, both


NEWEST, OLDEST = _pages("DESC"), _pages("ASC")
COUNT = Statement(f"SELECT count(*) FROM audit {_WHERE}")  # noqa: S608  # our own text


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as it is read."""

    entry_id: str
    at: str
    action: str
    outcome: str
    reason: str | None
    times: int
    actor_kind: str
    actor_id: str | None
    subject_kind: str | None
    subject_id: str | None
    origin: str | None
    correlation_id: str | None


class Asked(NamedTuple):
    """Which entries: since an instant, of one action, of one actor; None is all."""

    since: str | None = None
    action: str | None = None
    actor: str | None = None


class Lines(NamedTuple):
    """A page, newest first; `next` is the place to go on after, or None at the end."""

    rows: Sequence[Line]
    next: str | None


class Audit:
    """Reads the audit of a tenant."""

    def __init__(self, database: Database) -> None:
        """Nothing is written here."""
        self._database = database

    async def page(self, tenant_id: str, asked: Asked, after: str | None = None, limit: int = 100) -> Lines:
        """At most `limit` entries after the place `after` (None: from the newest on)."""
        rows = await self._read(NEWEST, tenant_id, asked, {"before": after or _LAST, "most": limit + 1})
        return Lines(rows[:limit], rows[limit - 1].entry_id if len(rows) > limit else None)

    async def export(self, tenant_id: str, asked: Asked, batch: int = MOST) -> AsyncIterator[Line]:
        """All of them, oldest first, read a batch at a time."""
        place = _floor(asked.since)
        while rows := await self._read(OLDEST, tenant_id, asked, {"after": place, "most": batch}):
            for row in rows:
                yield row
            place = rows[-1].entry_id

    async def count(self, tenant_id: str, asked: Asked) -> int:
        """How many there are since then, whoever did what: what an export's progress is measured by."""
        named = _named(tenant_id, asked)

        async def work(tx: Tx) -> int:
            return int((await tx.fetch(COUNT, named))[0][0])

        return await self._database.read(work)

    async def _read(
        self, statements: Sequence[Statement], tenant_id: str, asked: Asked, edge: dict[str, object]
    ) -> list[Line]:
        statement = statements[(asked.action is not None) + 2 * (asked.actor is not None)]
        named = _named(tenant_id, asked) | edge

        async def work(tx: Tx) -> list[Line]:
            return [Line(*row) for row in await tx.fetch(statement, named)]

        return await self._database.read(work)


def _named(tenant_id: str, asked: Asked) -> dict[str, object]:
    since = asked.since or _BEGINNING
    known = {"tenant_id": tenant_id, "since": since, "after": _floor(asked.since), "before": _LAST}
    return known | {"action": asked.action, "actor": asked.actor}


def _floor(since: str | None) -> str:
    """An id below those of all that was noted since then: an id begins with the time its entry says."""
    if since is None:
        return _FIRST
    text = f"{max(decode_instant(since) - 1, 0):012x}"
    return f"{text[:8]}-{text[8:]}-0000-0000-000000000000"
