"""What a person may do to the inbox: look, and replay. One tenant at a time.

A replay makes events due again, so many a second and no more, however many they are: whatever they point at is asked
for at that rate. It goes in small jobs under the tenant's lock, the oldest events first, and tells processors in other
processes. Cut off, it leaves the rest as it was. It is one entry in the audit, whose count is how many were chosen.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from server.audit import OPERATOR, Actor, Entry, note
from server.inbox.decide import FINISHED, STUCK, EventState
from server.inbox.listing import (
    Event,
    Filter,
    InboxError,
    Record,
    Refusal,
    Shown,
    count_events,
    counted,
    list_events,
    list_refusals,
    matching,
    show_event,
    unknown_event,
)
from server.storage.database import Database
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.clock import encode_instant

__all__ = [
    "STUCK",
    "Event",
    "Filter",
    "InboxError",
    "Record",
    "Refusal",
    "Shown",
    "count_replayable",
    "list_events",
    "list_refusals",
    "replay",
    "replay_one",
    "show_event",
]

REPLAYS_PER_SECOND = 20.0
BATCH = 200
_REPLAYABLE: tuple[EventState, ...] = (*STUCK, *FINISHED)

_REPLAY = Statement(
    """UPDATE inbox SET state = 'pending', failures = 0, failing_since = NULL, unended = 0, error_class = NULL,
       error = NULL, reason = NULL, ended_at = NULL, next_attempt_at = :due_at
       WHERE tenant_id = :tenant_id AND receipt_id = :receipt_id AND state <> 'leased'
       AND length(body) > 0"""
)
_EMPTIED = Statement(
    "SELECT 1 FROM inbox WHERE tenant_id = :tenant_id AND receipt_id = :receipt_id AND length(body) = 0"
)
_TELL = Statement("SELECT pg_notify('rientro', :tenant_id)")


class _Batch(NamedTuple):
    """How many one job made due again, the last one's id, and from when on the next job's are due."""

    rearmed: int
    last: str | None
    next_ms: int


async def replay(
    writer: Writer,
    tenant_id: str,
    wanted: Filter,
    *,
    actor: Actor = OPERATOR,
    per_second: float = REPLAYS_PER_SECOND,
    told: Callable[[int], None] = lambda _count: None,
) -> int:
    """Process events again, the oldest first; how many. At most `wanted.limit`; `told` hears of every job's.

    Without `wanted.states` those that are stuck; finished ones only where they are asked for: what they told applies
    once all the same. Raises UnknownTenantError, DatabaseError.
    """
    wanted, left, next_ms, total = _replayable(wanted), wanted.limit, 0, 0
    await writer.submit(Job([tenant_id], partial(_begin, tenant_id, wanted, actor)))
    while left > 0:
        size = min(left, BATCH)
        run = partial(_replay, tenant_id, replace(wanted, limit=size), per_second, next_ms)
        batch = await writer.submit(Job([tenant_id], run, weight=size))
        total, left, next_ms = total + batch.rearmed, left - batch.rearmed, batch.next_ms
        told(batch.rearmed)
        if batch.rearmed < size:
            break
        wanted = replace(wanted, after=batch.last)
    return total


async def count_replayable(database: Database, tenant_id: str, wanted: Filter) -> int:
    """How many a replay would process again."""
    return min(await count_events(database, tenant_id, _replayable(wanted)), wanted.limit)


async def replay_one(writer: Writer, tenant_id: str, receipt_id: str, actor: Actor = OPERATOR) -> None:
    """Process one event again, whatever became of it. Raises InboxError (unknown_event, erased, under_way)."""
    refusal = await writer.submit(Job([tenant_id], partial(_replay_one, tenant_id, receipt_id, actor)))
    if refusal is not None:
        raise refusal


def _replayable(wanted: Filter) -> Filter:
    states = STUCK if wanted.states is None else [state for state in wanted.states if state in _REPLAYABLE]
    return replace(wanted, states=states)


async def _begin(tenant_id: str, wanted: Filter, actor: Actor, writing: Writing) -> None:
    writing.tenant(tenant_id)
    times = min(await counted(writing.tx, tenant_id, wanted), wanted.limit)
    if times:
        await note(writing, tenant_id, Entry("event.replay", actor, times=times))


async def _replay(tenant_id: str, wanted: Filter, per_second: float, next_ms: int, writing: Writing) -> _Batch:
    writing.tenant(tenant_id)
    chosen = await matching(writing.tx, tenant_id, wanted)
    begin_ms = max(next_ms, writing.now_ms)
    dues = [begin_ms + int(place * 1000 / per_second) for place in range(len(chosen) + 1)]
    rows = [(encode_instant(due_ms), tenant_id, event.receipt_id) for due_ms, event in zip(dues, chosen, strict=False)]
    await writing.tx.many(_REPLAY, rows)
    if rows:
        await _tell(tenant_id, writing)
    return _Batch(len(rows), chosen[-1].receipt_id if chosen else None, dues[-1])


async def _replay_one(tenant_id: str, receipt_id: str, actor: Actor, writing: Writing) -> InboxError | None:
    writing.tenant(tenant_id)
    found = await matching(writing.tx, tenant_id, Filter(ids=[receipt_id]))
    if not found:
        return unknown_event()
    if await writing.tx.fetch(_EMPTIED, (tenant_id, receipt_id)):
        return InboxError("erased", "this event was erased")
    # A claim does not wait for the tenant's lock: what was not leased when it was found may be by now.
    if not await writing.tx.execute(_REPLAY, (writing.now, tenant_id, receipt_id)):
        return InboxError("under_way", "it is being processed right now: look again in a moment")
    await note(writing, tenant_id, Entry("event.replay", actor, "event", receipt_id))
    await _tell(tenant_id, writing)
    return None


async def _tell(tenant_id: str, writing: Writing) -> None:
    if writing.tx.dialect == "postgresql":
        await writing.tx.fetch(_TELL, (tenant_id,))
