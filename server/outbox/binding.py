"""Binding a route to an endpoint: from now on, or with what was there before (`backfill`)."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from server.audit import OPERATOR, Actor, Entry, note
from server.outbox.listing import OutboxError
from server.ports import Route, Start
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing

_PROVIDER = Statement(
    "SELECT provider FROM endpoints WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id",
)
_BIND = Statement(
    """INSERT INTO bindings (tenant_id, route, endpoint_id) VALUES (:tenant_id, :route, :endpoint_id)
       ON CONFLICT (tenant_id, route, endpoint_id) DO NOTHING"""
)
_BACKFILL = Statement(
    """INSERT INTO backfills (tenant_id, route, endpoint_id, begun_at, made)
       VALUES (:tenant_id, :route, :endpoint_id, :now, 0)
       ON CONFLICT (tenant_id, route, endpoint_id) DO UPDATE SET begun_at = excluded.begun_at, done_through = NULL,
         made = 0, ended_at = NULL"""
)
_LIST = Statement(
    """SELECT b.route, b.endpoint_id, f.begun_at, f.ended_at, coalesce(f.made, 0) FROM bindings AS b
       LEFT JOIN backfills AS f ON f.tenant_id = b.tenant_id AND f.route = b.route AND f.endpoint_id = b.endpoint_id
       WHERE b.tenant_id = :tenant_id ORDER BY b.route, b.endpoint_id"""
)


class Binding(NamedTuple):
    """A route that leads to an endpoint; of its backfill, if there is one, its times and the deliveries it made."""

    route: str
    endpoint_id: str
    backfill_begun_at: str | None
    backfill_ended_at: str | None
    backfilled: int


async def bind(
    writer: Writer,
    routes: Mapping[str, Route],
    place: tuple[str, str],
    route: str,
    start: Start | None = None,
    actor: Actor = OPERATOR,
) -> Start:
    """Bind a route to (tenant, endpoint); what it starts with, by `start` or as it declares.

    One that is bound already may be backfilled (again). Raises OutboxError (unknown_route, unknown_endpoint),
    UnknownTenantError.
    """
    known = routes.get(route)
    if known is None:
        raise OutboxError("unknown_route", f"there is no route {route!r}: use one of {', '.join(sorted(routes))}")
    start = start or known.start
    refusal = await writer.submit(Job([place[0]], partial(_bind, place, known, start, actor)))
    if refusal is not None:
        raise refusal
    return start


async def list_bindings(database: Database, tenant_id: str) -> list[Binding]:
    """A tenant's bindings."""

    async def work(tx: Tx) -> list[Binding]:
        return [Binding(*row) for row in await tx.fetch(_LIST, (tenant_id,))]

    return await database.read(work)


async def _bind(
    place: tuple[str, str], route: Route, start: Start, actor: Actor, writing: Writing
) -> OutboxError | None:
    tenant = writing.tenant(place[0])
    found = await writing.tx.fetch(_PROVIDER, place)
    if not found or found[0][0] != route.provider:
        return OutboxError("unknown_endpoint", f"there is no such account at {route.provider}: see `provider list`")
    await writing.tx.execute(_BIND, (place[0], route.name, place[1]))
    if start == "backfill":
        await writing.tx.execute(_BACKFILL, (place[0], route.name, place[1], writing.now))
    await note(writing, place[0], Entry("binding.add", actor, "endpoint", place[1], reason=route.name))
    tenant.revision += 1
    return None
