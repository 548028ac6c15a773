"""Claiming: what is due, and a lease on it.

Rules:

1. By state, never by a cursor: a row is due when it is pending or its lease has run out, and its time has come.
2. A row is claimed only when no earlier row of its lane (endpoint, collection, record) holds. What is found waiting
   behind one is parked, out of the way of later claims; the settle of the one before it brings it back at once.
3. A claim takes a new fence and an end of the lease. Whose lease ran out may have sent: the row is then `ambiguous`.
4. A claim takes no more of an endpoint than its gate lets through, and takes it from the gate in its own transaction.
5. Two statements, on purpose: on PostgreSQL the second sees what was committed while the first waited for its locks.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel
from pydantic_core import to_json

from server.resilience.gate import believed_ms
from server.resilience.gate_sql import GateKey, Held, try_gate
from server.resilience.limits import Limits, read_limits
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.clock import encode_instant

LOOKAHEAD = 16
"""How many more rows a claim looks at than it takes: those behind others are found and parked."""

PARKED_MS = 600_000
"""When a parked row is looked at again although nobody brought it back. It should never be needed."""

# The relay serves all tenants: one of the few queries across them. One probe of the index for each busy endpoint.
_DUE = """/* across tenants */ WITH RECURSIVE busy(endpoint_id) AS (
         SELECT (SELECT endpoint_id FROM outbox WHERE state IN ('pending', 'leased') ORDER BY endpoint_id LIMIT 1)
         UNION ALL
         SELECT (SELECT o.endpoint_id FROM outbox AS o WHERE o.state IN ('pending', 'leased')
                 AND o.endpoint_id > busy.endpoint_id ORDER BY o.endpoint_id LIMIT 1)
         FROM busy WHERE busy.endpoint_id IS NOT NULL),
       heads(endpoint_id, tenant_id, due_at) AS (
         SELECT endpoint_id,
           (SELECT o.tenant_id FROM outbox AS o WHERE o.state IN ('pending', 'leased')
            AND o.endpoint_id = busy.endpoint_id ORDER BY o.next_attempt_at LIMIT 1),
           (SELECT o.next_attempt_at FROM outbox AS o WHERE o.state IN ('pending', 'leased')
            AND o.endpoint_id = busy.endpoint_id ORDER BY o.next_attempt_at LIMIT 1)
         FROM busy WHERE busy.endpoint_id IS NOT NULL)
       SELECT e.tenant_id, e.endpoint_id, e.provider, heads.due_at, e.not_before,
         (SELECT g.ready_ms FROM gates AS g WHERE g.tenant_id = e.tenant_id AND g.endpoint_id = e.endpoint_id),
         e.settings
       FROM heads {join} WHERE NOT e.paused"""
_JOIN_LITE = "JOIN endpoints AS e ON e.tenant_id = heads.tenant_id AND e.endpoint_id = heads.endpoint_id"
_JOIN_POST = """CROSS JOIN LATERAL (SELECT * FROM endpoints AS one WHERE one.tenant_id = heads.tenant_id
       AND one.endpoint_id = heads.endpoint_id LIMIT 1) AS e"""
DUE = Statement(_DUE.format(join=_JOIN_LITE), postgresql=_DUE.format(join=_JOIN_POST))
_ENDPOINT = Statement(
    """SELECT e.provider, e.settings, e.sealed, e.paused, e.not_before, g.state, g.failures + g.failed + g.failed_before
       FROM endpoints AS e LEFT JOIN gates AS g ON g.tenant_id = e.tenant_id AND g.endpoint_id = e.endpoint_id
       WHERE e.tenant_id = :tenant_id AND e.endpoint_id = :endpoint_id"""
)
_CANDIDATES_TEXT = """SELECT delivery_id FROM outbox WHERE state IN ('pending', 'leased') AND endpoint_id = :endpoint_id
       AND next_attempt_at <= :now AND tenant_id = :tenant_id ORDER BY next_attempt_at LIMIT :most"""
CANDIDATES = Statement(_CANDIDATES_TEXT, postgresql=_CANDIDATES_TEXT + " FOR UPDATE SKIP LOCKED")
_IDS_LITE = "IN (SELECT value FROM json_each(:ids))"
_IDS_POST = "= ANY (ARRAY (SELECT json_array_elements_text(:ids::json))::uuid[])"
_BEHIND = """SELECT delivery_id FROM outbox AS mine WHERE tenant_id = :tenant_id AND delivery_id {ids}
       AND EXISTS (SELECT 1 FROM outbox AS earlier WHERE earlier.tenant_id = mine.tenant_id
         AND earlier.endpoint_id = mine.endpoint_id AND earlier.collection = mine.collection
         AND earlier.record_id = mine.record_id AND earlier.sequence < mine.sequence AND earlier.holds)"""
BEHIND = Statement(_BEHIND.format(ids=_IDS_LITE), postgresql=_BEHIND.format(ids=_IDS_POST))
_PARK_TEXT = """UPDATE outbox SET state = 'pending', ambiguous = (ambiguous OR state = 'leased'), lease_owner = NULL,
       leased_until = NULL, next_attempt_at = :until WHERE tenant_id = :tenant_id AND delivery_id {ids}"""
_PARK = Statement(_PARK_TEXT.format(ids=_IDS_LITE), postgresql=_PARK_TEXT.format(ids=_IDS_POST))
_LEASE_TEXT = """UPDATE outbox SET state = 'leased', ambiguous = (ambiguous OR state = 'leased'), lease_owner = :owner,
       leased_until = :until, next_attempt_at = :until, fence = fence + 1, attempts = attempts + 1
       WHERE tenant_id = :tenant_id AND delivery_id {ids}
       RETURNING tenant_id, endpoint_id, delivery_id, route, operation, collection, record_id, sequence, payload,
         idempotency_key, correlation_id, attempts, failures, failing_since, ambiguous, fence"""
_LEASE = Statement(_LEASE_TEXT.format(ids=_IDS_LITE), postgresql=_LEASE_TEXT.format(ids=_IDS_POST))
_ATTEMPT = Statement(
    """INSERT INTO attempts (tenant_id, delivery_id, attempt, started_at)
       VALUES (:tenant_id, :delivery_id, :attempt, :started_at)"""
)


class Look(NamedTuple):
    """When somebody looks for what is due, the leases it gives, and what settings declare by default, by provider."""

    now_ms: int
    lease_ms: int
    forms: Mapping[str, type[BaseModel]] = {}

    def believed_ms(self, ready_ms: int, provider: str, settings: str) -> int:
        """When a gate is ready; now, where it cannot be that long until then."""
        if ready_ms <= self.now_ms:
            return ready_ms
        limits = read_limits(json.loads(settings), self.forms.get(provider))
        return believed_ms(ready_ms, limits, self.now_ms, self.lease_ms)


class Due(NamedTuple):
    """An endpoint with something to send, and from when."""

    tenant_id: str
    endpoint_id: str
    provider: str
    due_at: str


class Wanted(NamedTuple):
    """How many deliveries of an endpoint may be taken, and whose settings declare what its limits are by default."""

    tenant_id: str
    endpoint_id: str
    limit: int
    form: type[BaseModel] | None = None


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
    """A delivery under a lease of ours. `attempt` counts this one; `ambiguous` speaks of those before."""

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
    leased_until_ms: int
    endpoint: Endpoint


class Taken(NamedTuple):
    """What a claim brought. `seen` counts the due rows it looked at, and gates that let nothing through.

    With none, others are at them.
    """

    deliveries: list[Claimed]
    seen: int


_NOBODYS = Taken([], 0)


async def due_endpoints(tx: Tx, look: Look) -> list[Due]:
    """Every endpoint with unsettled deliveries that is not paused, and when it is due next; the longest due first."""
    found: list[Due] = []
    for tenant_id, endpoint_id, provider, due_at, not_before, ready_ms, settings in await tx.fetch(DUE):
        ready_at = encode_instant(look.believed_ms(ready_ms or 0, provider, settings))
        found.append(Due(tenant_id, endpoint_id, provider, max(due_at, not_before or "", ready_at)))
    return sorted(found, key=lambda due: due.due_at)


async def claim(wanted: Sequence[Wanted], lease: Lease, writing: Writing) -> Taken:
    """Take leases on what is due, inside a job of the writer."""
    deliveries: list[Claimed] = []
    seen = 0
    for one in wanted:
        taken = await _claim_one(one, lease, writing)
        deliveries += taken.deliveries
        seen += taken.seen
    return Taken(deliveries, seen)


async def _claim_one(wanted: Wanted, lease: Lease, writing: Writing) -> Taken:
    opened = await _open_endpoint(wanted, lease, writing)
    if opened is None:
        return _NOBODYS
    endpoint, held = opened
    most = min(wanted.limit, endpoint.limits.concurrency or wanted.limit)
    if held is not None:
        most = held.allowed(writing, most)
        if not most:
            await held.take(writing, 0, lease.length_ms)
            return Taken([], 1)
    named = {"tenant_id": wanted.tenant_id, "endpoint_id": wanted.endpoint_id}
    limits = {"now": writing.now, "most": most + LOOKAHEAD}
    candidates = [row[0] for row in await writing.tx.fetch(CANDIDATES, {**named, **limits})]
    if not candidates:
        return _NOBODYS
    behind = await _park_those_behind(wanted.tenant_id, candidates, writing)
    chosen = [delivery_id for delivery_id in candidates if delivery_id not in behind][:most]
    if held is not None and chosen:
        endpoint = endpoint._replace(probe=await held.take(writing, len(chosen), lease.length_ms))
    deliveries = await _lease(wanted.tenant_id, chosen, lease, endpoint, writing)
    return Taken(deliveries, len(candidates))


async def _open_endpoint(wanted: Wanted, lease: Lease, writing: Writing) -> tuple[Endpoint, Held | None] | None:
    """The endpoint, and its gate where that has something to say.

    None where it is paused, asked to be left alone, or its gate is in another's hands.
    """
    for provider, settings, sealed, paused, not_before, state, failed in await writing.tx.fetch(_ENDPOINT, wanted[:2]):
        if paused or (not_before is not None and not_before > writing.now):
            continue
        limits = read_limits(json.loads(settings), wanted.form)
        endpoint = Endpoint(provider, settings, sealed, limits, quiet=not failed)
        if not limits.throttles and state in {None, "closed"}:
            return endpoint, None
        held = await try_gate(writing, GateKey(*wanted[:2]), limits, lease.length_ms, exists=state is not None)
        return None if held is None else (endpoint, held)
    return None


async def _park_those_behind(tenant_id: str, candidates: Sequence[str], writing: Writing) -> set[str]:
    named = {"tenant_id": tenant_id, "ids": _json(candidates)}
    behind = {row[0] for row in await writing.tx.fetch(BEHIND, named)}
    if behind:
        until = encode_instant(writing.now_ms + PARKED_MS)
        await writing.tx.execute(_PARK, {"tenant_id": tenant_id, "ids": _json(sorted(behind)), "until": until})
    return behind


async def _lease(
    tenant_id: str, chosen: Sequence[str], lease: Lease, endpoint: Endpoint, writing: Writing
) -> list[Claimed]:
    if not chosen:
        return []
    until_ms = writing.now_ms + lease.length_ms
    named = {"tenant_id": tenant_id, "ids": _json(chosen), "owner": lease.owner, "until": encode_instant(until_ms)}
    rows = await writing.tx.fetch(_LEASE, named)
    claimed = [Claimed._make((*row[:14], bool(row[14]), row[15], until_ms, endpoint)) for row in rows]
    await writing.tx.many(_ATTEMPT, [(tenant_id, one.delivery_id, one.attempt, writing.now) for one in claimed])
    return claimed


def _json(ids: Sequence[str]) -> str:
    return to_json(list(ids)).decode()
