"""Pausing an account: nothing is sent there, nothing of it processed or polled; what comes meanwhile is kept and waits.

Resumed, it goes on at once, at the rate the account is given: what had been failing before has its whole schedule
again, for the time of the pause was not the provider's fault. Its own wish to be left alone (`Retry-After`) holds.
"""

from functools import partial

from server.audit import OPERATOR, Actor, Entry, note
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing

_SET = Statement(
    """UPDATE endpoints SET paused = :paused WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id
       AND paused <> :paused"""
)
_ANEW = tuple(
    Statement(
        f"""UPDATE {table} SET failures = 0, failing_since = NULL, next_attempt_at = :now WHERE tenant_id = :tenant_id
       AND endpoint_id = :endpoint_id AND state = 'pending' AND failing_since IS NOT NULL"""  # noqa: S608  # our names
    )
    for table in ("outbox", "inbox")
)
_POLL = Statement(
    """UPDATE polls SET next_poll_at = :now, failures = 0
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND failures > 0"""
)


async def pause(writer: Writer, tenant_id: str, endpoint_id: str, actor: Actor = OPERATOR) -> bool:
    """Pause an account; calls under way come to their end. False: it was paused. Raises UnknownTenantError."""
    return await writer.submit(Job([tenant_id], partial(_set, tenant_id, endpoint_id, actor, paused=True)))


async def resume(writer: Writer, tenant_id: str, endpoint_id: str, actor: Actor = OPERATOR) -> bool:
    """Let an account go on. False: it was not paused. Raises UnknownTenantError."""
    return await writer.submit(Job([tenant_id], partial(_set, tenant_id, endpoint_id, actor, paused=False)))


async def _set(tenant_id: str, endpoint_id: str, actor: Actor, writing: Writing, *, paused: bool) -> bool:
    tenant = writing.tenant(tenant_id)
    named = {"tenant_id": tenant_id, "endpoint_id": endpoint_id}
    if not await writing.tx.execute(_SET, {**named, "paused": paused}):
        return False
    if not paused:
        for statement in (*_ANEW, _POLL):
            await writing.tx.execute(statement, {**named, "now": writing.now})
    action = "endpoint.pause" if paused else "endpoint.resume"
    await note(writing, tenant_id, Entry(action, actor, "endpoint", endpoint_id))
    tenant.revision += 1  # which wakes relay and processor, wherever they run
    return True
