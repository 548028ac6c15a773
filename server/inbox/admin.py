"""What a person may do to the inbox: look, and replay. One tenant at a time.

A replay makes events due again, so many a second and no more, however many they are: whatever they point at is asked
for at that rate. It is a job under the tenant's lock, and tells processors in other processes.
"""

from dataclasses import replace
from functools import partial

from server.inbox.decide import FINISHED, STUCK, EventState
from server.inbox.listing import (
    Event,
    Filter,
    InboxError,
    Record,
    Refusal,
    Shown,
    list_events,
    list_refusals,
    matching,
    show_event,
    unknown_event,
)
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
    "list_events",
    "list_refusals",
    "replay",
    "replay_one",
    "show_event",
]

REPLAYS_PER_SECOND = 20
_REPLAYABLE: tuple[EventState, ...] = (*STUCK, *FINISHED)

_REPLAY = Statement(
    """UPDATE inbox SET state = 'pending', failures = 0, failing_since = NULL, unended = 0, error_class = NULL,
       error = NULL, reason = NULL, ended_at = NULL, next_attempt_at = :due_at
       WHERE tenant_id = :tenant_id AND receipt_id = :receipt_id"""
)
_TELL = Statement("SELECT pg_notify('rientro', :tenant_id)")


async def replay(writer: Writer, tenant_id: str, wanted: Filter, *, per_second: int = REPLAYS_PER_SECOND) -> int:
    """Process events again, the oldest first; how many. At most `wanted.limit`.

    Without `wanted.states` those that are stuck; finished ones only where they are asked for: what they told applies
    once all the same. Raises UnknownTenantError.
    """
    states = STUCK if wanted.states is None else [state for state in wanted.states if state in _REPLAYABLE]
    run = partial(_replay, tenant_id, replace(wanted, states=states), per_second)
    return await writer.submit(Job([tenant_id], run))


async def replay_one(writer: Writer, tenant_id: str, receipt_id: str) -> None:
    """Process one event again, whatever became of it. Raises InboxError (unknown_event, under_way)."""
    refusal = await writer.submit(Job([tenant_id], partial(_replay_one, tenant_id, receipt_id)))
    if refusal is not None:
        raise refusal


async def _replay(tenant_id: str, wanted: Filter, per_second: int, writing: Writing) -> int:
    writing.tenant(tenant_id)
    chosen = await matching(writing.tx, tenant_id, wanted)
    rows = [
        (encode_instant(writing.now_ms + place * 1000 // per_second), tenant_id, event.receipt_id)
        for place, event in enumerate(chosen)
    ]
    await writing.tx.many(_REPLAY, rows)
    if rows:
        await _tell(tenant_id, writing)
    return len(rows)


async def _replay_one(tenant_id: str, receipt_id: str, writing: Writing) -> InboxError | None:
    writing.tenant(tenant_id)
    found = await matching(writing.tx, tenant_id, Filter(ids=[receipt_id]))
    if not found:
        return unknown_event()
    if found[0].state == "leased":
        return InboxError("under_way", "it is being processed right now: look again in a moment")
    await writing.tx.execute(_REPLAY, (writing.now, tenant_id, receipt_id))
    await _tell(tenant_id, writing)
    return None


async def _tell(tenant_id: str, writing: Writing) -> None:
    if writing.tx.dialect == "postgresql":
        await writing.tx.fetch(_TELL, (tenant_id,))
