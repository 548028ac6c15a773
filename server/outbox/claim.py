"""Claiming: a lease on what is due.

Rules:

1. By state, never by a cursor: a row is due when it is pending or its lease has run out, and its time has come.
2. A row is claimed only when no earlier row of its lane holds, and none of the lanes it comes after. What is found
   waiting is parked, out of the way of later claims (`lanes`).
3. A claim takes a new fence and an end of the lease. Whose lease ran out may have sent: the row is then `ambiguous`.
4. A claim takes no more of an endpoint than its gate lets through, and takes it from the gate in its own transaction.
   It takes nothing of one that has yet to enter the tenant's epoch (`epoch`).
5. Two statements, on purpose: on PostgreSQL the second sees what was committed while the first waited for its locks.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel

from server.outbox.epoch import HELD_SINCE, NEW_EPOCH, Renewal, enter
from server.outbox.lanes import IDS_LITE, IDS_POST, Candidate, Lane, as_json, park_waiting
from server.outbox.names import Names, read_names, wanted_names
from server.outbox.needless import Before, end_dead
from server.outbox.past import Past, promote, read_pasts
from server.ports import Route
from server.resilience.entry import Entry, Found
from server.resilience.gate_sql import Asking, GateKey
from server.resilience.limits import Limits
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.clock import encode_instant

LOOKAHEAD = 16
"""How many more rows a claim looks at than it takes: those behind others are found and parked."""

_ENDPOINT = Statement(
    f"""SELECT e.provider, e.settings, e.sealed, e.paused, e.not_before, g.state,
         g.failures + g.failed + g.failed_before, {NEW_EPOCH}, t.epoch_at, {HELD_SINCE}
       FROM endpoints AS e JOIN tenants AS t ON t.tenant_id = e.tenant_id
       LEFT JOIN gates AS g ON g.tenant_id = e.tenant_id AND g.endpoint_id = e.endpoint_id
       WHERE e.tenant_id = :tenant_id AND e.endpoint_id = :endpoint_id"""  # noqa: S608  # our own text
)
_CANDIDATES_TEXT = """SELECT delivery_id, after FROM outbox WHERE state IN ('pending', 'leased')
       AND endpoint_id = :endpoint_id AND next_attempt_at <= :now AND tenant_id = :tenant_id
       ORDER BY next_attempt_at LIMIT :most"""
CANDIDATES = Statement(_CANDIDATES_TEXT, postgresql=_CANDIDATES_TEXT + " FOR UPDATE SKIP LOCKED")
# What it came after has let go: it need not be asked again at its next attempt.
_LEASE_TEXT = """UPDATE outbox SET state = 'leased', ambiguous = (ambiguous OR state = 'leased'), lease_owner = :owner,
       leased_until = :until, next_attempt_at = :until, fence = fence + 1, attempts = attempts + 1, after = NULL,
       waits_for = NULL WHERE tenant_id = :tenant_id AND delivery_id {ids}
       RETURNING tenant_id, endpoint_id, delivery_id, route, operation, collection, record_id, sequence, payload,
         idempotency_key, correlation_id, attempts, failures, failing_since, ambiguous, fence, not_after"""
_LEASE = Statement(_LEASE_TEXT.format(ids=IDS_LITE), postgresql=_LEASE_TEXT.format(ids=IDS_POST))
_ATTEMPT = Statement(
    """INSERT INTO attempts (tenant_id, delivery_id, attempt, started_at)
       VALUES (:tenant_id, :delivery_id, :attempt, :started_at)"""
)

Routes = Mapping[str, Route]
"""All routes, by name."""


class Wanted(NamedTuple):
    """How many deliveries of an endpoint may be taken, and whose settings declare what its limits are by default.

    `patience_ms`: how long after a new epoch's beginning its polls are waited for; 0 where there are none.
    """

    tenant_id: str
    endpoint_id: str
    limit: int
    form: type[BaseModel] | None = None
    patience_ms: int = 0


class Lease(NamedTuple):
    """Who claims, and for how long."""

    owner: str
    length_ms: int


class Endpoint(NamedTuple):
    """Where a claimed delivery goes, and how its breaker was found: `quiet` where nothing had failed there lately.

    `probe` is the fence of a delivery that is to show whether the endpoint works again.
    """

    provider: str
    settings: str
    sealed: str
    limits: Limits
    quiet: bool = True
    probe: int | None = None


class Claimed(NamedTuple):
    """A delivery under a lease of ours. `attempt` counts this one; `ambiguous` speaks of those before.

    `past` tells of the record's earlier deliveries, where its route reads its lane, or is gone. `names` are the
    provider's for the record and those it comes after, where its route asks for them.
    """

    tenant_id: str
    endpoint_id: str
    delivery_id: str
    route: str
    operation: str
    collection: str
    record_id: str
    sequence: int
    payload: str
    idempotency_key: str
    correlation_id: str
    attempt: int
    failures: int
    failing_since: str | None
    ambiguous: bool
    fence: int
    not_after: str | None
    leased_until_ms: int
    endpoint: Endpoint
    past: Past | None = None
    names: Names = ()


class Taken(NamedTuple):
    """What a claim brought. `seen` counts the due rows it looked at, and gates that let nothing through.

    With none, others are at them.
    """

    deliveries: list[Claimed]
    seen: int


_NOBODYS = Taken([], 0)


async def claim(wanted: Sequence[Wanted], lease: Lease, writing: Writing, *, routes: Routes | None = None) -> Taken:
    """Take leases on what is due, inside a job of the writer; without `routes` nobody asks for what was before it."""
    deliveries: list[Claimed] = []
    seen = 0
    for one in wanted:
        taken = await _claim_one(one, lease, routes, writing)
        deliveries += taken.deliveries
        seen += taken.seen
    return Taken(deliveries, seen)


async def _claim_one(wanted: Wanted, lease: Lease, routes: Routes | None, writing: Writing) -> Taken:
    entry = await _enter(wanted, lease, writing)
    if entry is None:
        return _NOBODYS
    most = entry.allowed(writing, wanted.limit)
    if not most:
        return Taken([], 1) if await entry.turn_away(writing) else _NOBODYS
    named = {"tenant_id": wanted.tenant_id, "endpoint_id": wanted.endpoint_id}
    bounds = {"now": writing.now, "most": most + LOOKAHEAD}
    candidates = [Candidate(*row) for row in await writing.tx.fetch(CANDIDATES, {**named, **bounds})]
    if not candidates:
        return _NOBODYS
    waiting = await park_waiting(wanted.tenant_id, wanted.endpoint_id, candidates, writing)
    chosen = [one.delivery_id for one in candidates if one.delivery_id not in waiting][:most]
    if not chosen:
        return Taken([], len(candidates))
    limits, quiet, probe = await entry.take(writing, len(chosen))
    endpoint = Endpoint(entry.provider, entry.settings, entry.sealed, limits, quiet, probe)
    deliveries = await _lease(wanted.tenant_id, chosen, lease, endpoint, writing)
    if routes is not None:
        deliveries = await _read_pasts(deliveries, routes, writing)
        deliveries = [await with_names(one, routes, writing.tx) for one in deliveries]
    return Taken(deliveries, len(candidates))


async def _enter(wanted: Wanted, lease: Lease, writing: Writing) -> Entry | None:
    """The endpoint, entered.

    None where it is paused, asked to be left alone, waits for its polls, or its gate is in another's hands.
    """
    asking = Asking(GateKey(*wanted[:2]), "deliver", lease.length_ms)
    for *row, new_epoch, epoch_at, held_since in await writing.tx.fetch(_ENDPOINT, asking.key):
        found = Found(*row)
        if not found.is_open(writing.now):
            continue
        renewal = Renewal(*asking.key, new_epoch, epoch_at, held_since)
        if new_epoch is not None and not await enter(writing, renewal, wanted.patience_ms):
            continue
        return await found.enter(writing, asking, wanted.form)
    return None


async def _lease(
    tenant_id: str, chosen: Sequence[str], lease: Lease, endpoint: Endpoint, writing: Writing
) -> list[Claimed]:
    until_ms = writing.now_ms + lease.length_ms
    named = {"tenant_id": tenant_id, "ids": as_json(chosen), "owner": lease.owner, "until": encode_instant(until_ms)}
    rows = await writing.tx.fetch(_LEASE, named)
    claimed = [Claimed._make((*row[:14], bool(row[14]), *row[15:], until_ms, endpoint, None, ())) for row in rows]
    await writing.tx.many(_ATTEMPT, [(tenant_id, one.delivery_id, one.attempt, writing.now) for one in claimed])
    return claimed


async def _read_pasts(deliveries: list[Claimed], routes: Routes, writing: Writing) -> list[Claimed]:
    """Give those whose routes read their lane, or are gone, its past.

    An update that has nothing to change becomes a create; what a compensation takes back cannot be redriven any more.
    """
    readers = [one for one in deliveries if one.route not in routes or routes[one.route].reads_its_lane]
    if not readers:
        return deliveries
    for one in readers:
        if one.route in routes and one.operation == routes[one.route].compensation:
            await end_dead(writing, _before(one)._replace(compensation=one.operation), "cancelled")
    pasts = await read_pasts(writing.tx, readers[0].tenant_id, [one.delivery_id for one in readers])
    known = [one._replace(past=pasts.get(one.delivery_id)) for one in deliveries]
    return [await _promoted(one, routes.get(one.route), writing) for one in known]


async def with_names(claimed: Claimed, routes: Routes, tx: Tx) -> Claimed:
    """The same with its names, where its route asks for them."""
    route = routes.get(claimed.route)
    if route is None or not route.names:
        return claimed
    wanted = wanted_names(route, claimed.record_id, claimed.payload)
    return claimed._replace(names=await read_names(tx, (claimed.tenant_id, claimed.endpoint_id), wanted))


async def _promoted(claimed: Claimed, route: Route | None, writing: Writing) -> Claimed:
    if route is None or route.create is None or claimed.operation != route.operation or claimed.ambiguous:
        return claimed
    if claimed.past is None or not claimed.past.is_void:
        return claimed
    if claimed.past.first != route.create:  # what made the record is not known here any more
        return claimed
    at = (claimed.tenant_id, claimed.delivery_id)
    created = await promote(writing.tx, *at, route, claimed.payload, claimed.past)
    await end_dead(writing, _before(claimed), "superseded")  # redriven, it would make a second one
    return claimed._replace(**created._asdict())


def _before(claimed: Claimed) -> Before:
    """What came before it in its lane by its route."""
    lane = Lane(claimed.endpoint_id, claimed.collection, claimed.record_id, claimed.sequence)
    return Before(claimed.tenant_id, lane, claimed.route)
