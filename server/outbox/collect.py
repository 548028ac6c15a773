"""Collecting: which accepted changes go to whom, written down in the transaction that accepts them.

Rules:

1. A row is stored with its change or not at all, and carries the whole payload as text: what is sent later is what was
   accepted, whatever becomes of the record. It says when the change was made and not when it was accepted: a server
   that went back to a backup accepts it again, and a provider may compare what comes under a key it knows.
2. A change that a provider caused goes back to no endpoint of that provider, unless the route says `echo`.
3. A tenant's bindings are read again only when its revision or epoch moved, and remembered only where that is
   committed.
4. What may have been sent in a history that is lost here is `ambiguous` from its birth (`lost`).
5. Only full states that nobody has tried are superseded, and only by one of the same operation.
6. While a binding's backfill is open, the first delivery of a record of before is its create (`owed`).
7. A change that takes back what went before it cancels what was never tried; for the rest it is sent as the route's
   compensation (`take_back`).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from server.outbox.after import Following
from server.outbox.draft import COLUMNS, INSERT, News, Row, To, draft
from server.outbox.epoch import CERTAIN
from server.outbox.lanes import Lane, bring_next
from server.outbox.lost import sent_in_lost
from server.outbox.owed import Owing, create_owed
from server.outbox.take_back import TakenBack, take_back
from server.ports import Cause, Collector, Route, after_nothing
from server.storage.statement import Statement
from server.storage.writer import Tenant, Writing
from sync.clock import clamp
from sync.judge import Accepted

_BINDINGS = Statement(
    """SELECT b.route, b.endpoint_id, e.provider,
         CASE WHEN f.begun_at >= t.epoch_at AND e.created_at < t.epoch_at THEN e.created_at ELSE f.begun_at END,
         t.epoch_at FROM bindings AS b
       JOIN tenants AS t ON t.tenant_id = b.tenant_id
       JOIN endpoints AS e ON e.tenant_id = b.tenant_id AND e.endpoint_id = b.endpoint_id
       LEFT JOIN backfills AS f ON f.tenant_id = b.tenant_id AND f.route = b.route AND f.endpoint_id = b.endpoint_id
         AND f.ended_at IS NULL
       WHERE b.tenant_id = :tenant_id ORDER BY b.route, b.endpoint_id"""
)
_SUPERSEDE = Statement(
    f"""UPDATE outbox SET state = 'superseded', holds = false, settled_at = :now, waits_for = NULL
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND collection = :collection
       AND record_id = :record_id AND holds AND route = :route AND operation = :operation AND sequence < :sequence
       AND state = 'pending' AND attempts = 0 AND {CERTAIN}"""  # noqa: S608  # our own text
)


class Bound(NamedTuple):
    """A route of a tenant's and the endpoint it leads to.

    `owing_since`: while it owes records of before, as early as when one of them may have been sent there.
    """

    route: Route
    endpoint_id: str
    owing_since: str | None


Bindings = Mapping[str, Sequence[Bound]]
"""What is bound, by collection."""


class Remembered(NamedTuple):
    """A tenant's bindings at a revision of it, in an epoch, and when that began if it is not the first."""

    revision: int
    epoch: str
    epoch_at: str | None
    bindings: Bindings


class Forwarder:
    """The outbox's door for whoever accepts mutations; shared by the whole process."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """All routes this server knows; names differ."""
        self._routes = {route.name: route for route in routes}
        if len(self._routes) != len(routes):
            raise TypeError("two routes share a name")
        self._remembered: dict[str, Remembered] = {}

    async def collector(self, writing: Writing, tenant: Tenant, cause: Cause) -> Collector:
        """A collector for one transaction; the provider named in `cause` gets no echo of its own news."""
        known = await self._known(writing, tenant)
        bindings = known.bindings
        if cause.provider is not None:
            bindings = _without_echo(bindings, cause.provider)
        return _Collecting(writing, tenant, cause, known._replace(bindings=bindings)) if bindings else _NOTHING

    async def _known(self, writing: Writing, tenant: Tenant) -> Remembered:
        remembered = self._remembered.get(tenant.tenant_id)
        if remembered is not None and remembered[:2] == (tenant.revision, tenant.epoch):
            return remembered
        found: dict[str, list[Bound]] = defaultdict(list)
        began = writing.now if tenant.renewed else None
        for name, endpoint_id, provider, owing_since, epoch_at in await writing.tx.fetch(
            _BINDINGS, (tenant.tenant_id,)
        ):
            route = self._routes.get(name)
            began = began or epoch_at
            if route is not None and route.provider == provider:
                found[route.collection].append(Bound(route, endpoint_id, owing_since))
        known = Remembered(tenant.revision, tenant.epoch, began, found)
        if known[:2] == tenant.locked_at[1:]:  # else the transaction that moved it may yet be rolled back
            self._remembered[tenant.tenant_id] = known
        return known


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

    def __init__(self, writing: Writing, tenant: Tenant, cause: Cause, known: Remembered) -> None:
        self._writing, self._tenant, self._cause, self._known = writing, tenant, cause, known
        self._tenant_id = tenant.tenant_id
        self._rows: list[Row] = []
        self._superseding: list[dict[str, Any]] = []
        self._following = Following()
        self._taking_back: list[TakenBack] = []
        self._owing: list[Owing] = []

    def accepted(self, change: Accepted) -> None:
        """Draft a delivery for every bound route the change matches."""
        bound = self._known.bindings.get(change.collection.name)
        if bound is None:
            return
        before, after = None if change.before is None else change.before.fields, change.after.fields
        for route, endpoint_id, owing_since in bound:
            if route.cancels is not None and route.compensation is not None and route.cancels(before, after):
                self._take_back(route, endpoint_id, change, route.compensation)
            elif route.when(before, after):
                operation = route.create if before is None and route.create is not None else route.operation
                if before is not None and route.create is not None and owing_since is not None:
                    self._owe(route, endpoint_id, change, owing_since)
                self._draft(route, endpoint_id, change, operation)

    async def store(self) -> None:
        """Write the deliveries, and take back those that newer ones make needless."""
        if not self._rows and not self._taking_back:
            return
        self._tenant.forwards = True
        tx = self._writing.tx
        if self._owing:
            await create_owed(self._owing, self._rows, self._writing.now, tx)
        await self._following.resolve(tx, self._tenant_id, self._rows, COLUMNS.index("after"))
        if self._rows:
            await tx.copy("outbox", COLUMNS, INSERT, self._rows)
        await tx.many(_SUPERSEDE, self._superseding)
        for newer in self._superseding:  # what stands behind a head that gave way waits for nobody
            await bring_next(tx, {**newer, "sequence": 0}, self._writing.now)
        for one in self._taking_back:
            if await take_back(self._writing, self._tenant, one):
                await tx.copy("outbox", COLUMNS, INSERT, [one.row])

    def _draft(self, route: Route, endpoint_id: str, change: Accepted, operation: str) -> None:
        row, lane = self._row(route, endpoint_id, change, operation)
        if route.after is not after_nothing:
            self._following.follow(len(self._rows), lane, route.after(change.after.fields))
        self._following.drafted(lane)
        self._rows.append(row)
        if route.supersedes and change.before is not None:
            named = {**lane._asdict(), "tenant_id": self._tenant_id, "route": route.name, "operation": operation}
            self._superseding.append({**named, "now": self._writing.now, "epoch": self._tenant.epoch})

    def _take_back(self, route: Route, endpoint_id: str, change: Accepted, compensation: str) -> None:
        row, lane = self._row(route, endpoint_id, change, compensation)
        self._taking_back.append(TakenBack(lane, route.name, compensation, row))

    def _owe(self, route: Route, endpoint_id: str, change: Accepted, since: str) -> None:
        news = self._news(route, change)
        began = self._known.epoch_at
        if began is not None and since < began:  # it may have been sent in the history that is lost
            news = news._replace(doubted_from=min(since, news.doubted_from or since))
        to = To(self._tenant_id, endpoint_id, route, route.operation)
        self._owing.append(Owing(len(self._rows), to, news))

    def _row(self, route: Route, endpoint_id: str, change: Accepted, operation: str) -> tuple[Row, Lane]:
        to = To(self._tenant_id, endpoint_id, route, operation)
        return draft(to, self._news(route, change), self._writing.now)

    def _news(self, route: Route, change: Accepted) -> News:
        before = None if change.before is None else change.before.fields
        made_at, _ = clamp(change.timestamp, self._writing.now)
        doubted_from = None
        if self._known.epoch_at is not None:
            doubted_from = sent_in_lost(self._known.epoch_at, made_at, self._writing.now, self._cause)
        return News(
            *(change.record_id, change.after, change.uid, route.event(before, change.after.fields), made_at),
            *(self._cause.correlation_id, doubted_from),
        )
