"""Tidying: what is older than the retention is collected, a few rows a job, so that no push waits long for it.

Rules:

1. The cutoff is a place in the sequence: the one before the newest mark older than the retention. Everything up to it
   was written before. It becomes the tenant's horizon in the same job that collects: who pulled less starts from
   nothing.
2. A tombstone stays as a bare id (`seq` 0, no values): no pull reads it, and its key still refuses a late creation.
   Departures, values that lost, and verdicts told long ago go.
3. Marks are thinned: the newest up to the horizon and all later ones stay. A reader that stands exactly at the horizon
   carries that one, and must not look as if history had been rewound.
4. What has waited for its record for 30 days is rejected, and told so.
5. Verdicts are kept by checkpoint: how far a client had come, and when. When that is older than the retention, what it
   covers goes (`purged_through`), and a new checkpoint is taken. So a verdict is kept for one to two retentions.
6. Refused mutations are kept: they are somebody's work. So is what providers told and nobody could use; what ended
   well goes after the retention, and after 30 days at least, for as long may its provider send it again.
7. Deliveries that ended go with their attempts, once that is older than the retention: what a provider tells of
   them later is found by its own name for the record. What is dead or in doubt waits for a person, and what still holds
   its lane keeps later ones in order. While there is such a one, all of its record's deliveries by its route stay: what
   follows is judged by what became of them.
8. The audit is kept for a year, whatever the retention: the database lets nothing younger go.
9. A job finds the epoch as it was, or does nothing: places of a history that was rewound mean nothing in another. All
   jobs can be repeated, and several processes may tidy at once.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic_core import to_json

from server.engine.late import Late
from server.engine.records import Records
from server.engine.waiting import EXPIRE_MS
from server.storage.database import Database, Tx
from server.storage.leftover import Leftover
from server.storage.statement import Statement
from server.storage.tables.columns import SETTLED
from server.storage.writer import Job, UnknownTenantError, Writer, Writing
from sync.clock import decode_instant, encode_instant

BATCH = 500
TOLD_DAYS = 30
NOTED_DAYS = 366
"""A day more than the database insists on, by the clock that is behind."""
_DAY_MS = 24 * 60 * 60 * 1000
_FIRST_UID = "00000000-0000-0000-0000-000000000000"

_REACH_TEXT = """SELECT epoch, horizon,
       (SELECT max(seq) - 1 FROM marks AS m WHERE m.tenant_id = t.tenant_id AND m.at < :before), {now}
       FROM tenants AS t WHERE tenant_id = :tenant_id"""
_REACH = Statement(
    _REACH_TEXT.format(now="strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"), postgresql=_REACH_TEXT.format(now="now()")
)
_RAISE = Statement("UPDATE tenants SET horizon = :cutoff WHERE tenant_id = :tenant_id AND horizon < :cutoff")
_CHECKPOINT = Statement(
    """UPDATE clients SET purged_through = CASE WHEN checkpoint_id > purged_through THEN checkpoint_id
       ELSE purged_through END, checkpoint_id = last_mutation_id, checkpoint_at = :now
       WHERE tenant_id = :tenant_id AND client_id IN (SELECT c.client_id FROM clients AS c
       WHERE c.tenant_id = :tenant_id AND (c.checkpoint_at IS NULL OR c.checkpoint_at < :before) LIMIT :limit)"""
)
# In two parts, one for each index of a record's deliveries.
_OF_ITS_LANE = """SELECT 1 FROM outbox AS o WHERE o.tenant_id = outbox.tenant_id AND o.endpoint_id = outbox.endpoint_id
       AND o.collection = outbox.collection AND o.record_id = outbox.record_id AND o.route = outbox.route"""
_JUDGES_NOTHING = f"""NOT EXISTS ({_OF_ITS_LANE} AND o.holds)
       AND NOT EXISTS ({_OF_ITS_LANE} AND NOT o.holds AND o.state IN ('dead', 'in_doubt'))"""
LEFTOVERS = (
    Leftover("departures", "seq <= :cutoff"),
    Leftover("superseded", "noted_at < :before", key="uid", kind="uuid", order="noted_at"),
    Leftover(
        "inbox",
        "receipt_id < :told_bound AND ended_at < :told_before AND state IN ('done', 'ignored', 'stale')",
        key="receipt_id",
        kind="uuid",
        also="AND receipt_id > :after",
    ),
    Leftover(
        "outbox",
        f"{SETTLED} AND settled_at < :before AND NOT holds AND {_JUDGES_NOTHING}",
        key="delivery_id",
        kind="uuid",
        order="settled_at",
        beside="attempts",
    ),
    Leftover("audit", "entry_id < :noted_bound", key="entry_id", kind="uuid"),
    Leftover("waiting", "resolved_seq IS NOT NULL AND resolved_seq <= :cutoff", key="uid", kind="uuid"),
    Leftover("marks", "seq < (SELECT max(m.seq) FROM marks AS m WHERE m.tenant_id = :tenant_id AND m.seq <= :cutoff)"),
    Leftover(
        "mutations",
        """uid < :bound AND mutation_id <= (SELECT c.purged_through FROM clients AS c
           WHERE c.tenant_id = mutations.tenant_id AND c.client_id = mutations.client_id)
           AND uid NOT IN (SELECT w.uid FROM waiting AS w WHERE w.tenant_id = :tenant_id AND w.resolved_seq IS NULL)""",
        key="uid",
        kind="uuid",
        also="AND uid > :after",
    ),
)


class Reach(NamedTuple):
    """How far a tidying goes.

    `bound`: no uid made before the retention is greater. Uids begin with their time, so the search for mutations ends
    there; what a clock running ahead made is found later. `told_before` and `told_bound` are the same for what
    providers told, `noted_bound` for the audit.
    """

    tenant_id: str
    epoch: str
    cutoff: int
    before: str
    bound: str
    told_before: str
    told_bound: str
    noted_bound: str


class Tidier:
    """Tidies tenants."""

    def __init__(
        self, database: Database, writer: Writer, records: Records, clock: Callable[[], int], retention_ms: int
    ) -> None:
        """`clock` gives milliseconds since 1970."""
        self._database, self._writer, self._clock, self._retention_ms = database, writer, clock, retention_ms
        self._late = Late(records)
        self._kinds = (*(sql.tombstones for sql in records.sql.values()), *LEFTOVERS)

    async def begin(self, tenant_id: str) -> Reach:
        """See how far it goes, and take checkpoints. Raises UnknownTenantError, DatabaseError."""
        before_ms = self._clock() - self._retention_ms
        before = encode_instant(before_ms)
        found = await self._fetch(_REACH, {"tenant_id": tenant_id, "before": before})
        if not found:
            raise UnknownTenantError
        epoch, horizon, oldest, database_now = found[0]
        told_ms = min(before_ms, self._clock() - TOLD_DAYS * _DAY_MS)
        noted_ms = min(self._clock(), decode_instant(database_now)) - NOTED_DAYS * _DAY_MS
        told = (encode_instant(told_ms), _first_uid_at(told_ms + _DAY_MS), _first_uid_at(noted_ms))
        reach = Reach(tenant_id, epoch, max(horizon, oldest or 0), before, _first_uid_at(before_ms + _DAY_MS), *told)

        async def job(writing: Writing) -> int:
            return await writing.tx.execute(_CHECKPOINT, {**reach._asdict(), "now": writing.now, "limit": BATCH})

        while await self._writer.submit(Job([tenant_id], job, weight=BATCH)) == BATCH:
            pass
        return reach

    async def counts(self, reach: Reach) -> dict[str, int]:
        """How many of each kind there are to collect."""
        return {kind.name: (await self._fetch(kind.count, reach._asdict()))[0][0] for kind in self._kinds}

    async def collect(self, reach: Reach, told: Callable[[int], None] = lambda _rows: None) -> dict[str, int]:
        """Collect everything within reach; how many rows of each kind. `told` hears of every job's."""
        await self._expire(reach)
        return {kind.name: await self._collect(kind, reach, told) for kind in self._kinds}

    async def tidy(self, tenant_id: str) -> dict[str, int]:
        """All of it. Raises UnknownTenantError, DatabaseError."""
        return await self.collect(await self.begin(tenant_id))

    async def _expire(self, reach: Reach) -> None:
        before = encode_instant(self._clock() - EXPIRE_MS)

        async def job(writing: Writing) -> int:
            tenant = writing.tenant(reach.tenant_id)
            return await self._late.expire(writing, tenant, before, BATCH) if tenant.epoch == reach.epoch else 0

        while await self._writer.submit(Job([reach.tenant_id], job, weight=BATCH)) == BATCH:
            pass

    async def _collect(self, kind: Leftover, reach: Reach, told: Callable[[int], None]) -> int:
        named: dict[str, Any] = {**reach._asdict(), "after": _FIRST_UID, "limit": BATCH}
        total = 0
        while keys := [row[0] for row in await self._fetch(kind.find, named)]:
            named |= {"after": keys[-1], "keys": to_json(keys).decode()}
            rows = await self._writer.submit(Job([reach.tenant_id], _job(kind, reach, named), weight=BATCH))
            if not rows:  # all came back to life, or the epoch is another one: the next time will tell
                break
            total += rows
            told(rows)
        return total

    async def _fetch(self, statement: Statement, named: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        async def work(tx: Tx) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await tx.fetch(statement, named)]

        return await self._database.read(work)


def _job(kind: Leftover, reach: Reach, named: Mapping[str, Any]) -> Callable[[Writing], Any]:
    async def job(writing: Writing) -> int:
        if writing.tenant(reach.tenant_id).epoch != reach.epoch:
            return 0
        await writing.tx.execute(_RAISE, named)
        if kind.collect_beside is not None:
            await writing.tx.execute(kind.collect_beside, named)
        return await writing.tx.execute(kind.collect, named)

    return job


def _first_uid_at(ms: int) -> str:
    text = f"{ms:012x}"
    return f"{text[:8]}-{text[8:]}-0000-0000-000000000000"
