"""Pull: what changed since a cursor, in rounds of pages.

Rules:

1. One row a record, its latest state, in the order of the tenant's sequence.
2. A round's target is the head at its first page, so a round ends under any load; a page can be resumed anywhere.
3. A cursor of another epoch, of a rewound history, forged or unreadable is answered by a reset with a first page.
4. Buckets that a caller gained are read from the beginning as a second range; lost ones are `dropped`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from server.engine.records import Records
from server.ports import Principal
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import UnknownTenantError
from sync.cursor import Bucket, Cursor, CursorKeys, Mark, Range
from sync.errors import CursorError
from sync.protocol import MAX_PAGE, SyncRequest

MAX_PAGE_BYTES = 4 * 1024 * 1024

_HEAD = Statement(
    """SELECT seq, epoch,
       (SELECT m.seq FROM marks AS m WHERE m.tenant_id = t.tenant_id ORDER BY m.seq DESC, m.nonce DESC LIMIT 1),
       (SELECT m.nonce FROM marks AS m WHERE m.tenant_id = t.tenant_id ORDER BY m.seq DESC, m.nonce DESC LIMIT 1),
       (SELECT count(*) FROM marks AS m WHERE m.tenant_id = t.tenant_id AND m.seq = :mark_seq AND m.nonce = :nonce),
       (SELECT min(m.seq) FROM marks AS m WHERE m.tenant_id = t.tenant_id AND m.seq > :mark_seq),
       (SELECT c.last_mutation_id FROM clients AS c WHERE c.tenant_id = t.tenant_id AND c.client_id = :client_id)
       FROM tenants AS t WHERE tenant_id = :tenant_id"""
)
_NO_MARK = Mark(-1, "")


class Page(NamedTuple):
    """A page of changes, each already JSON text, and the cursor that goes with it."""

    epoch: str
    head: str
    last_mutation_id: int
    changes: list[str]
    cursor: str | None
    more: bool = False
    reset: bool = False
    dropped: Sequence[Bucket] = ()


class _Head(NamedTuple):
    seq: int
    epoch: str
    mark: Mark
    mark_known: bool
    next_mark_seq: int | None
    last_mutation_id: int


class Puller:
    """Answers pulls."""

    def __init__(self, database: Database, records: Records, keys: CursorKeys) -> None:
        """`keys` authenticate the cursors."""
        self._database, self._records, self._keys = database, records, keys

    async def pull(self, principal: Principal, request: SyncRequest, *, rewound: bool = False) -> Page:
        """The next page. Raises UnknownTenantError, DatabaseError."""
        wanted = self._buckets(principal, request.get("collections", ()))
        given = None if rewound else self._decode(request.get("cursor"))
        reset = rewound or (given is None and request.get("cursor") is not None)
        limit = request.get("limit", MAX_PAGE)

        async def work(tx: Tx) -> Page:
            head = await self._head(tx, principal.tenant_id, request["client_id"], given)
            cursor = given if given is not None and _holds(given, head) else None
            start, dropped = _resume(cursor, head, wanted, self._records.registry.schema)
            rows, reached = await self._read(tx, principal.tenant_id, start, limit)
            more = any(part.seq < (reached.target or 0) for part in reached.ranges)
            if not more:
                reached = reached._replace(target=None, ranges=(Range(reached.target or 0, wanted),))
            return Page(
                epoch=head.epoch,
                head=self.head_name(principal.tenant_id, head.epoch, head.seq),
                last_mutation_id=head.last_mutation_id,
                changes=rows,
                cursor=self._keys.encode(reached),
                more=more,
                reset=reset or (given is not None and cursor is None),
                dropped=dropped,
            )

        return await self._database.read(work)

    async def head(self, tenant_id: str) -> str:
        """The opaque name of a tenant's head."""

        async def work(tx: Tx) -> str:
            head = await self._head(tx, tenant_id, tenant_id, None)
            return self.head_name(tenant_id, head.epoch, head.seq)

        return await self._database.read(work)

    def head_name(self, tenant_id: str, epoch: str, seq: int) -> str:
        """An opaque name for a place in a tenant's sequence."""
        return self._keys.head(tenant_id, epoch, seq)

    def _decode(self, text: str | None) -> Cursor | None:
        if text is None:
            return None
        try:
            return self._keys.decode(text)
        except CursorError:
            return None

    def _buckets(self, principal: Principal, names: Sequence[str]) -> frozenset[Bucket]:
        """What this caller may read of the collections it named; unknown names are nobody's business."""
        registry = self._records.registry
        known = [registry.collections[name] for name in names if name in registry.collections]
        scope = principal.scope()
        return frozenset(
            (c.name, audience)
            for c in known
            for audience in scope.of_kind(c.options.audience.kind, registry.narrowings)
        )

    async def _head(self, tx: Tx, tenant_id: str, client_id: str, cursor: Cursor | None) -> _Head:
        mark = cursor.mark if cursor is not None else _NO_MARK
        named = {"tenant_id": tenant_id, "client_id": client_id, "mark_seq": mark.seq, "nonce": mark.nonce}
        rows = await tx.fetch(_HEAD, named)
        if not rows:
            raise UnknownTenantError
        seq, epoch, mark_seq, nonce, known, next_seq, last = rows[0]
        return _Head(seq, epoch, Mark(mark_seq, nonce), bool(known), next_seq, last or 0)

    async def _read(self, tx: Tx, tenant_id: str, start: Cursor, limit: int) -> tuple[list[str], Cursor]:
        """Rows of the ranges one after the other until the page is full, and how far that came."""
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
            ranges.append(Range(until, part.buckets))
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
        statement = _end_statement(tuple(self._records.sql[name].table for name, _ in buckets))
        named: dict[str, Any] = {f"audience_{i}": audience for i, (_, audience) in enumerate(buckets)}
        named |= {"tenant_id": tenant_id, "after": after, "target": target, "offset": room - 1}
        rows = await tx.fetch(statement, named)
        return int(rows[0][0]) if rows else target


@lru_cache(maxsize=256)
def _end_statement(tables: tuple[str, ...]) -> Statement:
    """Where a page ends: merged lazily over the covering index of each bucket."""
    parts = " UNION ALL ".join(
        f"SELECT seq FROM {table} WHERE tenant_id = :tenant_id AND audience = :audience_{i} "  # noqa: S608
        "AND seq > :after AND seq <= :target"
        for i, table in enumerate(tables)
    )
    order = " ORDER BY seq LIMIT 1 OFFSET :offset"
    return Statement(parts + order, postgresql=f"SELECT seq FROM ({parts}) AS every_bucket{order}")  # noqa: S608


def _holds(cursor: Cursor, head: _Head) -> bool:
    """Whether the history this cursor was issued in is the one that stands here."""
    if cursor.epoch != head.epoch or not head.mark_known:
        return False
    bound = head.seq if head.next_mark_seq is None else head.next_mark_seq
    furthest = max([part.seq for part in cursor.ranges] + [cursor.target or 0])
    return furthest <= bound


def _resume(cursor: Cursor | None, head: _Head, wanted: frozenset[Bucket], schema: int) -> tuple[Cursor, list[Bucket]]:
    """Where to read on: known ranges narrowed to what is wanted, what is new from the beginning."""
    fresh = Cursor(head.epoch, head.mark, schema, head.seq, (Range(0, wanted),))
    if cursor is None:
        return fresh, []
    before = frozenset[Bucket]().union(*(part.buckets for part in cursor.ranges))
    dropped = sorted(before - wanted)
    if cursor.schema != schema:
        return fresh, dropped
    ranges = [Range(part.seq, part.buckets & wanted) for part in cursor.ranges if part.buckets & wanted]
    if wanted - before:
        ranges.append(Range(0, wanted - before))
    target = head.seq if cursor.target is None else cursor.target
    return Cursor(head.epoch, head.mark, schema, target, tuple(ranges) or fresh.ranges), dropped


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


def bucket_names(buckets: Sequence[Bucket]) -> list[Mapping[str, str]]:
    """Buckets as the wire writes them."""
    return [{"collection": name, "audience": audience} for name, audience in buckets]
