"""Claiming: what is due, and a lease on it.

Rules:

1. By state, never by a cursor: a row is due when its time has come and it is pending, or its lease has lapsed.
2. A lease that lapsed means that a process died with the row in hand, perhaps because of it. Such a row is taken alone,
   with nothing else in hand, so that the next death can be laid at its door; after `most_unended` deliveries without
   an end it is isolated: dead, for a person.
3. Where an endpoint is paused, or asked to be left alone, its rows wait.
4. Of the events about one object one is in hand at a time: its lease is the object's, and what it fetches is fetched
   inside. Claims of an endpoint's rows take turns, so that no two processes begin with one object. Those that are
   finished are not looked at: there may be any number.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic_core import to_json

from server.inbox.accounts import Endpoint
from server.inbox.store import ISOLATED
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.clock import encode_instant

_OPEN = "state IN ('pending', 'leased')"
# One processor serves all tenants: one of the few queries across them. One probe of the index for each busy endpoint.
DUE = Statement(
    f"""/* across tenants */ WITH RECURSIVE busy(endpoint_id) AS (
         SELECT (SELECT endpoint_id FROM inbox WHERE {_OPEN} ORDER BY endpoint_id LIMIT 1)
         UNION ALL
         SELECT (SELECT i.endpoint_id FROM inbox AS i WHERE i.state IN ('pending', 'leased')
                 AND i.endpoint_id > busy.endpoint_id ORDER BY i.endpoint_id LIMIT 1)
         FROM busy WHERE busy.endpoint_id IS NOT NULL),
       heads(endpoint_id, tenant_id, due_at) AS (
         SELECT endpoint_id,
           (SELECT i.tenant_id FROM inbox AS i WHERE i.state IN ('pending', 'leased')
            AND i.endpoint_id = busy.endpoint_id ORDER BY i.next_attempt_at LIMIT 1),
           (SELECT i.next_attempt_at FROM inbox AS i WHERE i.state IN ('pending', 'leased')
            AND i.endpoint_id = busy.endpoint_id ORDER BY i.next_attempt_at LIMIT 1)
         FROM busy WHERE busy.endpoint_id IS NOT NULL)
       SELECT e.tenant_id, e.endpoint_id, e.provider, heads.due_at, e.not_before FROM heads
       JOIN endpoints AS e ON e.tenant_id = heads.tenant_id AND e.endpoint_id = heads.endpoint_id
       WHERE NOT e.paused ORDER BY heads.due_at"""  # noqa: S608  # our own text
)
LAPSED = Statement(
    """/* across tenants */ SELECT i.tenant_id, i.receipt_id, e.provider FROM inbox AS i
       JOIN endpoints AS e ON e.tenant_id = i.tenant_id AND e.endpoint_id = i.endpoint_id
       WHERE i.state = 'leased' AND i.next_attempt_at <= :now AND NOT e.paused
       AND (e.not_before IS NULL OR e.not_before <= :now) ORDER BY i.next_attempt_at LIMIT 20"""
)
_ENDPOINT_TEXT = """SELECT provider, settings, sealed FROM endpoints WHERE tenant_id = :tenant_id
       AND endpoint_id = :endpoint_id AND NOT paused AND (not_before IS NULL OR not_before <= :now)"""
_ENDPOINT = Statement(_ENDPOINT_TEXT, postgresql=_ENDPOINT_TEXT + " FOR NO KEY UPDATE SKIP LOCKED")
_CANDIDATES_TEXT = """SELECT receipt_id FROM inbox AS i WHERE i.state IN ('pending', 'leased') AND i.state = 'pending'
       AND i.endpoint_id = :endpoint_id AND i.next_attempt_at <= :now AND i.tenant_id = :tenant_id
       AND NOT EXISTS (SELECT 1 FROM inbox AS o WHERE o.tenant_id = :tenant_id AND o.endpoint_id = :endpoint_id
         AND o.object_id = i.object_id AND o.state IN ('pending', 'leased') AND o.object_id IS NOT NULL
         AND (o.state = 'leased' OR (o.state = 'pending' AND o.next_attempt_at <= :now
           AND (o.next_attempt_at < i.next_attempt_at
             OR (o.next_attempt_at = i.next_attempt_at AND o.receipt_id < i.receipt_id)))))
       ORDER BY i.next_attempt_at, i.receipt_id LIMIT :most"""
CANDIDATES = Statement(_CANDIDATES_TEXT, postgresql=_CANDIDATES_TEXT + " FOR UPDATE OF i SKIP LOCKED")
_STILL_LAPSED_TEXT = """SELECT endpoint_id, unended FROM inbox WHERE tenant_id = :tenant_id AND receipt_id = :receipt_id
       AND state = 'leased' AND next_attempt_at <= :now"""
_STILL_LAPSED = Statement(_STILL_LAPSED_TEXT, postgresql=_STILL_LAPSED_TEXT + " FOR UPDATE SKIP LOCKED")
_LEASE_TEXT = """UPDATE inbox SET state = 'leased', lease_owner = :owner, leased_until = :until,
       next_attempt_at = :until, fence = fence + 1, attempts = attempts + 1, unended = unended + 1
       WHERE tenant_id = :tenant_id AND receipt_id {ids}
       RETURNING tenant_id, endpoint_id, receipt_id, event_id, event_type, body, received_at, correlation_id, attempts,
         failures, failing_since, fence, contradicts"""
_LEASE = Statement(
    _LEASE_TEXT.format(ids="IN (SELECT value FROM json_each(:ids))"),
    postgresql=_LEASE_TEXT.format(ids="= ANY (ARRAY (SELECT json_array_elements_text(:ids::json))::uuid[])"),
)
_ISOLATE = Statement(
    f"""UPDATE inbox SET state = 'dead', error_class = 'permanent', error = '{ISOLATED}', reason = :reason,
       lease_owner = NULL, leased_until = NULL, ended_at = :now
       WHERE tenant_id = :tenant_id AND receipt_id = :receipt_id"""  # noqa: S608
)


class Due(NamedTuple):
    """An endpoint with something to process, and from when."""

    tenant_id: str
    endpoint_id: str
    provider: str
    due_at: str


class Wanted(NamedTuple):
    """How many events of an endpoint may be taken."""

    tenant_id: str
    endpoint_id: str
    limit: int


class Lapsed(NamedTuple):
    """A row whose lease ran out."""

    tenant_id: str
    receipt_id: str
    provider: str


class Lease(NamedTuple):
    """Who claims, for how long, and how many deliveries without an end a row is given."""

    owner: str
    length_ms: int
    most_unended: int


class Claimed(NamedTuple):
    """An event under a lease of ours. `attempt` counts this delivery, `failures` those that failed in a row."""

    tenant_id: str
    endpoint_id: str
    receipt_id: str
    event_id: str
    event_type: str
    body: bytes
    received_at: str
    correlation_id: str
    attempt: int
    failures: int
    failing_since: str | None
    fence: int
    contradicts: bool
    leased_until_ms: int
    endpoint: Endpoint


class Taken(NamedTuple):
    """What a claim brought. `contended`: an endpoint was in the hands of another claim, to be tried again soon.

    With neither, what is due waits for its object, which is in hand somewhere.
    """

    events: list[Claimed]
    contended: bool


async def due_endpoints(tx: Tx) -> list[Due]:
    """Every endpoint with unfinished events that is not paused, and when it is due next; the longest due first."""
    rows = await tx.fetch(DUE)
    found = [
        Due(tenant_id, endpoint_id, provider, max(due_at, not_before or ""))
        for tenant_id, endpoint_id, provider, due_at, not_before in rows
    ]
    return sorted(found, key=lambda due: due.due_at)


async def lapsed_leases(tx: Tx, now: str) -> list[Lapsed]:
    """Rows that somebody died with."""
    return [Lapsed(*row) for row in await tx.fetch(LAPSED, {"now": now})]


async def claim(wanted: Sequence[Wanted], lease: Lease, writing: Writing) -> Taken:
    """Take leases on what is due, inside a job of the writer."""
    claimed: list[Claimed] = []
    contended = False
    for one in wanted:
        endpoint = await _open_endpoint(one.tenant_id, one.endpoint_id, writing)
        if endpoint is None:
            contended = True
            continue
        named = {"tenant_id": one.tenant_id, "endpoint_id": one.endpoint_id}
        limits = {"now": writing.now, "most": one.limit}
        ids = [row[0] for row in await writing.tx.fetch(CANDIDATES, {**named, **limits})]
        claimed += await _lease(one.tenant_id, ids, lease, endpoint, writing)
    return Taken(claimed, contended)


async def claim_lapsed(lapsed: Lapsed, lease: Lease, writing: Writing) -> Claimed | Literal["isolated"] | None:
    """Take over one row that somebody died with, or isolate it; None where another process was faster."""
    named = {"tenant_id": lapsed.tenant_id, "receipt_id": lapsed.receipt_id, "now": writing.now}
    for endpoint_id, unended in await writing.tx.fetch(_STILL_LAPSED, named):
        if unended >= lease.most_unended:
            reason = f"{unended} deliveries in a row ended with the death of the process"
            await writing.tx.execute(_ISOLATE, {**named, "reason": reason})
            return "isolated"
        endpoint = await _open_endpoint(lapsed.tenant_id, endpoint_id, writing)
        if endpoint is not None:
            (claimed,) = await _lease(lapsed.tenant_id, [lapsed.receipt_id], lease, endpoint, writing)
            return claimed
    return None


async def _open_endpoint(tenant_id: str, endpoint_id: str, writing: Writing) -> Endpoint | None:
    named = {"tenant_id": tenant_id, "endpoint_id": endpoint_id, "now": writing.now}
    rows = await writing.tx.fetch(_ENDPOINT, named)
    return Endpoint(*rows[0]) if rows else None


async def _lease(
    tenant_id: str, ids: Sequence[str], lease: Lease, endpoint: Endpoint, writing: Writing
) -> list[Claimed]:
    if not ids:
        return []
    until_ms = writing.now_ms + lease.length_ms
    named = {
        "tenant_id": tenant_id,
        "ids": to_json(list(ids)).decode(),
        "owner": lease.owner,
        "until": encode_instant(until_ms),
    }
    rows = await writing.tx.fetch(_LEASE, named)
    return [Claimed._make((*row[:-1], bool(row[-1]), until_ms, endpoint)) for row in rows]
