"""Backfill: what was there before a route was bound, delivered in batches, by a job that survives whoever runs it.

Rules:

1. A batch's deliveries and how far it came are stored together, under the tenant's lock: a crash repeats nothing, and
   of several processes each takes the next batch.
2. A record that has a delivery by this route there already is left alone: it was changed since, and what was sent of it
   is newer, its create included (`owed`). What would be past its `not_after` is left out.
3. It goes on only while few deliveries of its endpoint wait, so that what tills sell meanwhile is not behind all of it.
4. A delivery's uid, and so its key, follows from binding and record: a restored server sends it under the same one.
   What may have been sent before the restore is doubted, for a binding that the restore took away may be made again.
5. One that cannot go on (a route fails on an old record) is somebody's business, and holds up no other.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import anyio
import structlog

from server.ids import derived
from server.outbox.after import Following
from server.outbox.draft import COLUMNS, INSERT, News, Row, To, draft, not_after
from server.outbox.owed import Backfill, known, sent
from server.ports import Route, after_nothing
from server.storage.database import Database, DatabaseError, Tx
from server.storage.record_sql import RecordSql
from server.storage.statement import Statement
from server.storage.writer import Job, UnknownTenantError, Writer, Writing
from sync.clock import MAX_AHEAD_MS, decode_instant
from sync.protocol import Registry
from sync.record import Record

log: structlog.stdlib.BoundLogger = structlog.get_logger()

BATCH = 200
"""Records looked at in one transaction, and deliveries of an endpoint that may wait before the next one."""

BUSY_S = 1.0
IDLE_S = 30.0

# Backfills serve all tenants: one of the few queries across them.
OPEN = Statement(
    """/* across tenants */ SELECT tenant_id, route, endpoint_id FROM backfills WHERE ended_at IS NULL
       ORDER BY begun_at"""
)
_AT = "tenant_id = :tenant_id AND route = :route AND endpoint_id = :endpoint_id"
_STANDS = Statement(
    f"""SELECT done_through, begun_at, (SELECT CASE WHEN e.created_at < t.epoch_at THEN t.epoch_at END
           FROM endpoints AS e JOIN tenants AS t ON t.tenant_id = e.tenant_id
           WHERE e.tenant_id = :tenant_id AND e.endpoint_id = :endpoint_id),
         (SELECT e.created_at FROM endpoints AS e WHERE e.tenant_id = :tenant_id AND e.endpoint_id = :endpoint_id),
         EXISTS (SELECT 1 FROM bindings WHERE {_AT}),
         EXISTS (SELECT 1 FROM outbox WHERE state IN ('pending', 'leased') AND endpoint_id = :endpoint_id
           AND tenant_id = :tenant_id LIMIT 1 OFFSET :most)
       FROM backfills WHERE {_AT} AND ended_at IS NULL"""  # noqa: S608  # our own text
)
_GO_ON = Statement(
    f"""UPDATE backfills SET done_through = :done_through, made = made + :made, ended_at = :ended_at WHERE {_AT}"""  # noqa: S608
)
_FIRST_ID = "00000000-0000-0000-0000-000000000000"


class Doubt(NamedTuple):
    """A history was lost in which the account was there: the epoch after it began then.

    `since`: as early as then a record of that history may have been sent there.
    """

    since: str
    epoch_at: str

    def is_new(self, record: Record) -> bool:
        """It was made in the present epoch, whatever the clock that says so."""
        return record.version == 1 and decode_instant(record.stamp) >= decode_instant(self.epoch_at) + MAX_AHEAD_MS


class Step(NamedTuple):
    """What a batch came to: deliveries made, whether it was the last, or that the endpoint has enough to do."""

    made: int = 0
    ended: bool = False
    busy: bool = False


class Backfilling:
    """Works on the open backfills of all tenants; `sleep` takes seconds."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        registry: Registry,
        routes: Sequence[Route],
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        *,
        batch: int = BATCH,
    ) -> None:
        """What is read of each collection is derived here, once."""
        self._batch = batch
        self._database, self._writer, self._sleep = database, writer, sleep
        self._routes = {route.name: route for route in routes}
        collections = {route.collection for route in routes} & registry.collections.keys()
        self._sql: Mapping[str, RecordSql] = {name: RecordSql(registry.collections[name]) for name in collections}
        self._pages = {name: _page(sql.table) for name, sql in self._sql.items()}

    async def run(self) -> None:
        """Until cancelled; what is cut off is begun again from its last batch."""
        while True:
            try:
                is_busy = await self.once()
            except DatabaseError as error:
                log.warning("backfills_put_off", error=str(error))
                is_busy = False
            except Exception:
                log.exception("backfills_failed", alarm=True)
                is_busy = False
            await self._sleep(BUSY_S if is_busy else IDLE_S)

    async def once(self) -> bool:
        """Take every open backfill as far as its endpoint bears now; whether one of them waits for that.

        Raises DatabaseError where the database is out of reach.
        """
        left = False
        for backfill in await self._database.read(_open):
            try:
                left |= await self._advance(backfill)
            except Exception as error:
                if isinstance(error, DatabaseError) and error.transient:
                    raise
                log.exception("backfill_stuck", alarm=True, **backfill._asdict())
        return left

    async def _advance(self, backfill: Backfill) -> bool:
        while True:
            try:
                step = await self._writer.submit(Job([backfill.tenant_id], partial(self._step, backfill), self._batch))
            except UnknownTenantError:
                return False
            if step.busy or step.ended:
                if step.ended:
                    log.info("backfill_ended", **backfill._asdict())
                return step.busy

    async def _step(self, backfill: Backfill, writing: Writing) -> Step:
        rows = await writing.tx.fetch(_STANDS, {**backfill._asdict(), "most": self._batch - 1})
        if not rows:
            return Step(ended=True)
        done_through, begun_at, epoch_at, created_at, is_bound, is_full = rows[0]
        route = self._routes.get(backfill.route)
        if route is None or route.collection not in self._sql or not is_bound:
            await _go_on(backfill, done_through, Step(ended=True), writing)
            return Step(ended=True)
        if is_full:
            return Step(busy=True)
        page = {"tenant_id": backfill.tenant_id, "after": done_through or _FIRST_ID, "most": self._batch}
        ids = [row[0] for row in await writing.tx.fetch(self._pages[route.collection], page)]
        doubt = None if epoch_at is None else Doubt(begun_at if begun_at < epoch_at else created_at, epoch_at)
        step = Step(await self._deliver(backfill, route, ids, doubt, writing), ended=len(ids) < self._batch)
        await _go_on(backfill, ids[-1] if ids else done_through, step, writing)
        return step

    async def _deliver(
        self, backfill: Backfill, route: Route, ids: Sequence[str], doubt: Doubt | None, writing: Writing
    ) -> int:
        done = await sent(backfill, route.collection, ids, writing.tx)
        records = await self._sql[route.collection].load(writing.tx, backfill.tenant_id, ids)
        to = To(backfill.tenant_id, backfill.endpoint_id, route, route.create or route.operation)
        drafts = [
            draft(to, _news(backfill, route, record_id, records[record_id], doubt), writing.now)
            for record_id in ids
            if record_id not in done and _is_wanted(route, records[record_id], writing.now)
        ]
        here = await known(backfill.tenant_id, [row for row, _ in drafts], writing.tx)
        rows: list[Row] = []
        following = Following()
        for row, lane in drafts:
            if row[1] in here:
                continue
            if route.after is not after_nothing:
                following.follow(len(rows), lane, route.after(records[lane.record_id].fields))
            rows.append(row)
        await following.resolve(writing.tx, backfill.tenant_id, rows, COLUMNS.index("after"))
        if rows:
            writing.tenant(backfill.tenant_id).forwards = True
            writing.tenant(backfill.tenant_id).revision += 1  # tells relays elsewhere
            await writing.tx.copy("outbox", COLUMNS, INSERT, rows)
        return len(rows)


def _page(table: str) -> Statement:
    return Statement(
        f"""SELECT id FROM {table} WHERE tenant_id = :tenant_id AND id > :after AND NOT deleted
           ORDER BY id LIMIT :most"""  # noqa: S608  # our own names
    )


async def _open(tx: Tx) -> list[Backfill]:
    return [Backfill(*row) for row in await tx.fetch(OPEN)]


async def _go_on(backfill: Backfill, done_through: str | None, step: Step, writing: Writing) -> None:
    ended_at = writing.now if step.ended else None
    named: dict[str, Any] = {"done_through": done_through, "made": step.made, "ended_at": ended_at}
    await writing.tx.execute(_GO_ON, {**backfill._asdict(), **named})
    if step.ended:
        writing.tenant(backfill.tenant_id).revision += 1  # changes are no longer drafted for it (`owed`)


def _is_wanted(route: Route, record: Record, now: str) -> bool:
    until = not_after(route, record.stamp)
    return route.when(None, record.fields) and (until is None or until >= now)


def _news(backfill: Backfill, route: Route, record_id: str, record: Record, doubt: Doubt | None) -> News:
    doubted_from = None if doubt is None or doubt.is_new(record) else doubt.since
    correlation_id = derived("backfill", *backfill)
    return News(
        record_id,
        record,
        backfill.uid_of(record_id),
        route.event(None, record.fields),
        record.stamp,
        correlation_id,
        doubted_from,
    )
