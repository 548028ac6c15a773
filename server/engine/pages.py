"""Pages: the rows of a round's ranges, one range after the other, bounded by count and bytes.

One row a record, its latest state, in the order of the tenant's sequence; a record that left a bucket comes as a
tombstone of it. A page can be resumed anywhere.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from server.engine.records import Records
from server.storage.database import Tx
from server.storage.page_sql import end_statement
from server.storage.statement import Statement
from sync.cursor import Bucket, Cursor, Range

MAX_PAGE_BYTES = 4 * 1024 * 1024


class Pages:
    """Reads pages."""

    def __init__(self, records: Records) -> None:
        """`records` have the SQL of each collection."""
        self._records = records

    async def read(self, tx: Tx, tenant_id: str, start: Cursor, limit: int) -> tuple[list[str], Cursor]:
        """Changes until the page is full, and how far that came."""
        rows: list[str] = []
        ranges: list[Range] = []
        target, room, size = start.target or 0, limit, MAX_PAGE_BYTES
        for part in start.ranges:
            until = part.seq
            if part.seq < target and room > 0 and size > 0 and part.buckets:
                found, until = await self._window(tx, tenant_id, part, target, room)
                found, until = _cut(found, until, size)
                rows += [change for _, change in found]
                room, size = limit - len(rows), size - sum(len(change) for _, change in found)
            elif not part.buckets:
                until = target
            ranges.append(part._replace(seq=until))
        return rows, start._replace(ranges=tuple(ranges))

    async def _window(
        self, tx: Tx, tenant_id: str, part: Range, target: int, room: int
    ) -> tuple[list[Sequence[Any]], int]:
        """At most `room` rows of a range: an index-only merge finds where they end, then each bucket is read alone."""
        buckets = sorted(part.buckets)
        until = target
        if target - part.seq > room:
            until = await self._end(tx, tenant_id, buckets, part.seq, target, room)
        rows: list[Sequence[Any]] = []
        for name, audience in buckets:
            rows += await self._records.sql[name].page(tx, tenant_id, audience, part.seq, until)
        if len(buckets) > 1:
            rows.sort(key=lambda row: row[0])
        return rows, until

    async def _end(self, tx: Tx, tenant_id: str, buckets: Sequence[Bucket], after: int, target: int, room: int) -> int:
        statement = _end_statement(tuple((name, self._records.sql[name].table) for name, _ in buckets))
        named: dict[str, Any] = {f"audience_{i}": audience for i, (_, audience) in enumerate(buckets)}
        named |= {"tenant_id": tenant_id, "after": after, "target": target, "offset": room - 1}
        rows = await tx.fetch(statement, named)
        return int(rows[0][0]) if rows else target


@lru_cache(maxsize=256)
def _end_statement(buckets: tuple[tuple[str, str], ...]) -> Statement:
    return end_statement(buckets)


def _cut(rows: list[Sequence[Any]], until: int, size: int) -> tuple[list[Sequence[Any]], int]:
    """No more than `size` bytes, but at least one row."""
    total = 0
    for count, (seq, change) in enumerate(rows):
        total += len(change)
        if total > size and count > 0:
            return rows[:count], int(rows[count - 1][0])
        if total > size:
            return rows[:1], int(seq)
    return rows, until
