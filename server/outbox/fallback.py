"""Falling back by itself: what waits too long for an account that nobody reaches goes through the one named for that.

Rules:

1. An account is away when nothing got through for its patience (`fallback_after_s`), and its breaker is not closed or
   something has been failing there for as long because nobody answered: it still is, or died since the last success;
   what died in an outage that is over says nothing. One that asks to be left alone, is throttled by
   its own limits or was paused is not away.
2. What has waited for that patience goes, and what died of it, as far as `rerouting` lets it. There is no way back by
   itself, and no way on from there.
3. Several processes may look at once: each works under the tenant's lock, looks again there, and finds what the other
   left.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import anyio
import structlog
from pydantic_core import to_json

from server.outbox.epoch import NEW_EPOCH
from server.outbox.lost import LONG_AGO
from server.outbox.rerouting import Lane, Way, move_lanes
from server.ports import Route
from server.storage.database import Database, DatabaseError, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, UnknownTenantError, Writer, Writing
from sync.clock import encode_instant

log: structlog.stdlib.BoundLogger = structlog.get_logger()

EVERY_S = 10.0
BATCH = 200
"""So many lanes are moved in one transaction."""

UNREACHED = (
    "name_not_found", "connect_failed", "connect_timeout", "tls_failed", "write_failed", "answer_lost",
    "answer_timeout", "deadline", "request_timeout", "server_error",
)  # fmt: skip
"""Codes of failures that say: nobody is there, or nobody who can answer."""

# The few accounts with a fallback, of all tenants.
_NAMED_TEXT = f"""SELECT e.tenant_id, e.endpoint_id, e.fallback_id, e.fallback_after_s, g.state,
         (SELECT c.succeeded_at FROM contacts AS c WHERE c.tenant_id = e.tenant_id AND c.endpoint_id = e.endpoint_id)
       FROM endpoints AS e JOIN tenants AS t ON t.tenant_id = e.tenant_id
       JOIN endpoints AS f ON f.tenant_id = e.tenant_id AND f.endpoint_id = e.fallback_id AND NOT f.paused
       LEFT JOIN gates AS g ON g.tenant_id = e.tenant_id AND g.endpoint_id = e.endpoint_id
       WHERE e.fallback_id IS NOT NULL AND e.fallback_after_s IS NOT NULL AND NOT e.paused
         AND ({NEW_EPOCH}) IS NULL"""  # noqa: S608  # our own text
_NAMED = Statement(f"/* across tenants */ {_NAMED_TEXT}")
_STILL_NAMED = Statement(
    f"{_NAMED_TEXT} AND e.tenant_id = :tenant_id AND e.endpoint_id = :endpoint_id AND e.fallback_id = :fallback_id"
)
_CODES = ", ".join(f"'{code}'" for code in UNREACHED)
_FAILING = tuple(
    Statement(
        f"""SELECT 1 FROM outbox WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND {which}
       AND failing_since <= :before AND error IN ({_CODES}) LIMIT 1"""  # noqa: S608  # our own words
    )
    for which in (
        "failing_since IS NOT NULL AND state IN ('pending', 'leased')",
        "state IN ('dead', 'in_doubt') AND state = 'dead' AND settled_at > :succeeded_at",
    )
)
# Lanes that could go: nothing that holds them must stay, or they would be looked at for ever.
_LANE = f"""SELECT DISTINCT o.collection, o.record_id FROM outbox AS o
       WHERE o.tenant_id = :tenant_id AND o.endpoint_id = :endpoint_id AND NOT o.ambiguous AND o.created_at <= :before
       AND o.route {{routes}} AND {{which}} AND NOT EXISTS (SELECT 1 FROM outbox AS s WHERE s.tenant_id = o.tenant_id
         AND s.endpoint_id = o.endpoint_id AND s.collection = o.collection AND s.record_id = o.record_id AND s.holds
         AND (s.ambiguous OR NOT s.route {{routes}} OR s.state NOT IN ('pending', 'dead')
           OR (s.state = 'dead' AND s.error NOT IN ({_CODES})))) LIMIT {BATCH}"""  # noqa: S608
_WAITING = "o.state IN ('pending', 'leased') AND o.state = 'pending'"
_DIED = f"""o.state IN ('dead', 'in_doubt') AND o.state = 'dead' AND o.error IN ({_CODES})
       AND o.settled_at > :succeeded_at"""
_IN_LITE = "IN (SELECT value FROM json_each(:routes))"
_IN_POST = "= ANY (ARRAY (SELECT json_array_elements_text(:routes::json)))"
_LANES = tuple(
    Statement(_LANE.format(routes=_IN_LITE, which=which), postgresql=_LANE.format(routes=_IN_POST, which=which))
    for which in (_WAITING, _DIED)
)


class Named(NamedTuple):
    """An account with a fallback; `breaker` is None where nothing was ever to be noted."""

    tenant_id: str
    endpoint_id: str
    fallback_id: str
    after_s: int
    breaker: str | None
    succeeded_at: str | None

    def is_quiet_since(self, before: str) -> bool:
        """Whether nothing got through since then."""
        return self.succeeded_at is None or self.succeeded_at <= before


@dataclass(frozen=True)
class Fallback:
    """Looks now and then whether somebody is away."""

    database: Database
    writer: Writer
    routes: Mapping[str, Route]
    clock: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.sleep(EVERY_S)
            try:
                await self.once()
            except DatabaseError as error:
                log.warning("fallback_put_off", error=str(error))
            except Exception:
                log.exception("fallback_failed", alarm=True)

    async def once(self) -> int:
        """Move what is to be moved; how many deliveries went. Raises DatabaseError."""
        moved = 0
        for named in await self.database.read(_named):
            before = encode_instant(self.clock() - named.after_s * 1000)
            if named.is_quiet_since(before):
                moved += await self._move(named, before)
        return moved

    async def _move(self, named: Named, before: str) -> int:
        moved = 0
        while True:
            try:
                job = Job([named.tenant_id], partial(self._batch, named, before), weight=BATCH)
                batch = await self.writer.submit(job)
            except UnknownTenantError:
                return moved  # deleted meanwhile
            if not batch:
                break
            moved += batch
        if moved:
            said = {"tenant_id": named.tenant_id, "endpoint_id": named.endpoint_id, "fallback_id": named.fallback_id}
            log.warning("fell_back", deliveries=moved, **said)
        return moved

    async def _batch(self, named: Named, before: str, writing: Writing) -> int:
        place = {"tenant_id": named.tenant_id, "endpoint_id": named.endpoint_id}
        found = await writing.tx.fetch(_STILL_NAMED, {**place, "fallback_id": named.fallback_id})
        if not found or not (now := Named(*found[0])).is_quiet_since(before):
            return 0  # it is back, or another is named, since it was found
        at = {**place, "before": before, "succeeded_at": now.succeeded_at or LONG_AGO}
        is_failing = any([await writing.tx.fetch(statement, at) for statement in _FAILING])
        if now.breaker in {None, "closed"} and not is_failing:
            return 0
        allowed = to_json(sorted(name for name, route in self.routes.items() if route.may_fall_back)).decode()
        lanes = [Lane(*row) for one in _LANES for row in await writing.tx.fetch(one, {**at, "routes": allowed})]
        way = Way(named.tenant_id, named.endpoint_id, named.fallback_id)
        return await move_lanes(writing, self.routes, way, lanes, UNREACHED)


async def _named(tx: Tx) -> list[Named]:
    return [Named(*row) for row in await tx.fetch(_NAMED)]
