"""Claiming: what is due, and a lease on it.

Rules:

1. By state, never by a cursor: a row is due when its time has come and it is pending, or its lease has lapsed.
2. A lease that lapsed means that a process died with the row in hand, perhaps because of it. Such a row is taken alone,
   with nothing else in hand, so that the next death can be laid at its door; after `most_unended` deliveries without
   an end it is isolated: dead, for a person.
3. Where an endpoint is paused its rows wait. Those that may have to be fetched wait too where it asked to be left
   alone, and a claim takes no more of them than its gate lets through; what says everything waits for nobody.
4. Of the events about one object one is in hand at a time: its lease is the object's, and what it fetches is fetched
   inside. Claims of an endpoint's rows take turns, so that no two processes begin with one object. Those that are
   finished are not looked at: there may be any number.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel
from pydantic_core import to_json

from server.inbox.accounts import Endpoint
from server.inbox.store import ISOLATED
from server.resilience.entry import Entry, Passed, enter
from server.resilience.gate_sql import Asking, GateKey
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.clock import encode_instant

_ENDPOINT_TEXT = """SELECT provider, settings, sealed FROM endpoints WHERE tenant_id = :tenant_id
       AND endpoint_id = :endpoint_id AND NOT paused"""
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
_STILL_LAPSED_TEXT = """SELECT unended FROM inbox WHERE tenant_id = :tenant_id AND receipt_id = :receipt_id
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


class Wanted(NamedTuple):
    """How many events of an endpoint may be taken.

    `fetches`: they may have to be fetched, and take from its gate; `form` says what its limits are by default.
    """

    tenant_id: str
    endpoint_id: str
    limit: int
    fetches: bool = False
    form: type[BaseModel] | None = None


class Lease(NamedTuple):
    """Who claims, for how long, and how many deliveries without an end a row is given."""

    owner: str
    length_ms: int
    most_unended: int


class Claimed(NamedTuple):
    """An event under a lease of ours. `attempt` counts this delivery, `failures` those that failed in a row.

    `passed` where its endpoint's gate let it through, to be fetched.
    """

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
    passed: Passed | None = None


Outlook = Literal[
    "noted",  # a gate let nothing through, and when it will is known to whoever looks
    "contended",  # an endpoint was in the hands of another claim, or it is another's turn: to be tried again soon
    "blocked",  # what is due waits for its object, which is in hand somewhere
]


class Taken(NamedTuple):
    """What a claim brought, and how it looks for more."""

    events: list[Claimed]
    outlook: Outlook = "blocked"


async def claim(wanted: Sequence[Wanted], lease: Lease, writing: Writing) -> Taken:
    """Take leases on what is due, inside a job of the writer."""
    taken = [await _claim_one(one, lease, writing) for one in wanted]
    outlooks = {one.outlook for one in taken}
    outlook: Outlook = "noted" if "noted" in outlooks else "contended" if "contended" in outlooks else "blocked"
    return Taken([event for one in taken for event in one.events], outlook)


async def _claim_one(wanted: Wanted, lease: Lease, writing: Writing) -> Taken:
    opened = await _open_endpoint(wanted, lease, writing)
    if opened is None:
        return Taken([], "contended")
    endpoint, entry = opened
    most = wanted.limit if entry is None else entry.allowed(writing, wanted.limit)
    if entry is not None and not most:
        return Taken([], "noted" if await entry.turn_away(writing) else "contended")
    named = {"tenant_id": wanted.tenant_id, "endpoint_id": wanted.endpoint_id}
    ids = [row[0] for row in await writing.tx.fetch(CANDIDATES, {**named, "now": writing.now, "most": most})]
    passed = await entry.take(writing, len(ids)) if entry is not None and ids else None
    return Taken(await _lease(wanted.tenant_id, ids, lease, (endpoint, passed), writing))


async def claim_lapsed(
    wanted: Wanted, receipt_id: str, lease: Lease, writing: Writing
) -> Claimed | Literal["isolated"] | None:
    """Take over one row that somebody died with, or isolate it.

    None where another process was faster, or its endpoint's gate lets nothing through.
    """
    named = {"tenant_id": wanted.tenant_id, "receipt_id": receipt_id, "now": writing.now}
    for (unended,) in await writing.tx.fetch(_STILL_LAPSED, named):
        if unended >= lease.most_unended:
            reason = f"{unended} deliveries in a row ended with the death of the process"
            await writing.tx.execute(_ISOLATE, {**named, "reason": reason})
            return "isolated"
        opened = await _open_endpoint(wanted, lease, writing)
        if opened is None:
            return None
        endpoint, entry = opened
        if entry is not None and not entry.allowed(writing, 1):
            await entry.turn_away(writing)
            return None
        passed = await entry.take(writing, 1) if entry is not None else None
        (claimed,) = await _lease(wanted.tenant_id, [receipt_id], lease, (endpoint, passed), writing)
        return claimed
    return None


async def _open_endpoint(wanted: Wanted, lease: Lease, writing: Writing) -> tuple[Endpoint, Entry | None] | None:
    """The endpoint, entered where it may have to be asked; None where it is not to be had now."""
    key = GateKey(wanted.tenant_id, wanted.endpoint_id)
    if wanted.fetches:
        entry = await enter(writing, Asking(key, "fetch", lease.length_ms), wanted.form, locked=True)
        return entry and (Endpoint(entry.provider, entry.settings, entry.sealed), entry)
    rows = await writing.tx.fetch(_ENDPOINT, key)
    return (Endpoint(*rows[0]), None) if rows else None


async def _lease(
    tenant_id: str, ids: Sequence[str], lease: Lease, at: tuple[Endpoint, Passed | None], writing: Writing
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
    return [Claimed._make((*row[:-1], bool(row[-1]), until_ms, *at)) for row in rows]
