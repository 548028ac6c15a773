"""Collecting: which accepted changes go to whom, written down in the transaction that accepts them.

Rules:

1. A row is stored with its change or not at all, and carries the whole payload as text: what is sent later is what was
   accepted, whatever becomes of the record. It says when the change was made and not when it was accepted: a server
   that went back to a backup accepts it again, and a provider may compare what comes under a key it knows.
2. A change that a provider caused goes back to no endpoint of that provider, unless the route says `echo`.
3. A tenant's bindings are read again only when its revision moved, and remembered only where that is committed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from server.outbox.keys import delivery_id, idempotency_key
from server.ports import Cause, Collector, Route
from server.storage.statement import Statement
from server.storage.writer import Tenant, Writing
from sync.clock import clamp
from sync.judge import Accepted

_BINDINGS = Statement(
    """SELECT b.route, b.endpoint_id, e.provider FROM bindings AS b
       JOIN endpoints AS e ON e.tenant_id = b.tenant_id AND e.endpoint_id = b.endpoint_id
       WHERE b.tenant_id = :tenant_id ORDER BY b.route, b.endpoint_id"""
)
COLUMNS = (
    "tenant_id", "delivery_id", "endpoint_id", "route", "operation", "collection", "record_id", "sequence", "uid",
    "payload", "idempotency_key", "correlation_id", "state", "holds", "attempts", "failures", "ambiguous",
    "next_attempt_at", "fence", "created_at",
)  # fmt: skip
INSERT = Statement(
    f"INSERT INTO outbox ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{name}' for name in COLUMNS)})"  # noqa: S608
)
_SUPERSEDE = Statement(
    """UPDATE outbox SET state = 'superseded', holds = false, settled_at = :now
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND collection = :collection
       AND record_id = :record_id AND holds AND route = :route AND sequence < :sequence
       AND state = 'pending' AND attempts = 0"""
)


class Bound(NamedTuple):
    """A route of a tenant's and the endpoint it leads to."""

    route: Route
    endpoint_id: str


Bindings = Mapping[str, Sequence[Bound]]
"""What is bound, by collection."""


class Forwarder:
    """The outbox's door for whoever accepts mutations; shared by the whole process."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """All routes this server knows; names differ."""
        self._routes = {route.name: route for route in routes}
        if len(self._routes) != len(routes):
            raise TypeError("two routes share a name")
        self._remembered: dict[str, tuple[int, Bindings]] = {}

    async def collector(self, writing: Writing, tenant: Tenant, cause: Cause) -> Collector:
        """A collector for one transaction; the provider named in `cause` gets no echo of its own news."""
        bindings = await self._bindings(writing, tenant)
        if cause.provider is not None:
            bindings = _without_echo(bindings, cause.provider)
        return _Collecting(writing, tenant, cause, bindings) if bindings else _NOTHING

    async def _bindings(self, writing: Writing, tenant: Tenant) -> Bindings:
        remembered = self._remembered.get(tenant.tenant_id)
        if remembered is not None and remembered[0] == tenant.revision:
            return remembered[1]
        found: dict[str, list[Bound]] = defaultdict(list)
        for name, endpoint_id, provider in await writing.tx.fetch(_BINDINGS, (tenant.tenant_id,)):
            route = self._routes.get(name)
            if route is not None and route.provider == provider:
                found[route.collection].append(Bound(route, endpoint_id))
        if tenant.revision == tenant.locked_at[1]:  # else the transaction that moved it may yet be rolled back
            self._remembered[tenant.tenant_id] = (tenant.revision, found)
        return found


def _without_echo(bindings: Bindings, provider: str) -> Bindings:
    heard = {
        collection: [one for one in bound if one.route.echo or one.route.provider != provider]
        for collection, bound in bindings.items()
    }
    return {collection: bound for collection, bound in heard.items() if bound}


class _Nothing:
    """Nothing is bound: there is nothing to look at."""

    def accepted(self, change: Accepted) -> None:
        """Pass."""

    async def store(self) -> None:
        """Pass."""


_NOTHING = _Nothing()


class _Collecting:
    """The deliveries of one transaction."""

    def __init__(self, writing: Writing, tenant: Tenant, cause: Cause, bindings: Bindings) -> None:
        self._writing, self._tenant, self._cause, self._bindings = writing, tenant, cause, bindings
        self._tenant_id = tenant.tenant_id
        self._rows: list[tuple[Any, ...]] = []
        self._superseding: list[dict[str, Any]] = []

    def accepted(self, change: Accepted) -> None:
        """Draft a delivery for every bound route the change matches."""
        bound = self._bindings.get(change.collection.name)
        if bound is None:
            return
        before = None if change.before is None else change.before.fields
        for route, endpoint_id in bound:
            if route.when(before, change.after.fields):
                made_at, _ = clamp(change.timestamp, self._writing.now)
                payload = frozen(route.event(before, change.after.fields), made_at, change)
                self._draft(route, endpoint_id, change, payload)

    async def store(self) -> None:
        """Write the deliveries, and take back those that newer ones make needless."""
        if not self._rows:
            return
        self._tenant.forwards = True
        tx = self._writing.tx
        await tx.copy("outbox", COLUMNS, INSERT, self._rows)
        await tx.many(_SUPERSEDE, self._superseding)

    def _draft(self, route: Route, endpoint_id: str, change: Accepted, payload: str) -> None:
        key = idempotency_key(self._tenant_id, change.uid, route.name, endpoint_id, route.operation)
        lane = (change.collection.name, change.record_id, change.after.version)
        due = self._writing.now
        self._rows.append(
            (
                *(self._tenant_id, delivery_id(change.uid, key), endpoint_id, route.name, route.operation),
                *lane,
                *(change.uid, payload, key, self._cause.correlation_id),
                *("pending", True, 0, 0, False, due, 0, due),
            )
        )
        if route.supersedes and change.before is not None:
            named = dict(zip(("collection", "record_id", "sequence"), lane, strict=True))
            named |= {"tenant_id": self._tenant_id, "endpoint_id": endpoint_id, "route": route.name, "now": due}
            self._superseding.append(named)


def frozen(event: str, at: str, change: Accepted) -> str:
    """The payload: the record as it stands after the change, in the wire's own form. JSON text."""
    record = change.after
    data = {
        "collection": change.collection.name,
        "record_id": change.record_id,
        "version": record.version,
        "deleted": record.deleted,
        "fields": record.fields,
    }
    return to_json({"type": f"{change.collection.name}.{event}", "timestamp": at, "data": data}).decode()
