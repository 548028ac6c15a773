"""What a person may do to the outbox: redrive, cancel, let pass. One tenant at a time.

Every change is a job of the writer under the tenant's lock, and moves the tenant's revision: that is what wakes the
relay, in whatever process it runs.
"""

from dataclasses import replace
from functools import partial

from server.audit import OPERATOR, Actor, Entry, note
from server.outbox.epoch import CERTAIN
from server.outbox.lanes import bring_next
from server.outbox.listing import Delivery, Filter, OutboxError, matching, unknown_delivery
from server.ports import DeliveryState
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing

_REDRIVE = Statement(
    """UPDATE outbox SET state = 'pending', holds = true, failures = 0, failing_since = NULL, settled_at = NULL,
       ambiguous = (ambiguous AND state = 'dead'), next_attempt_at = :now,
       doubted_from = CASE WHEN state = 'dead' THEN doubted_from END
       WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id AND state IN ('dead', 'in_doubt')"""
)
_CANCEL = Statement(
    f"""UPDATE outbox SET state = 'cancelled', holds = false, settled_at = :now, waits_for = NULL
       WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id AND state = 'pending' AND attempts = 0
       AND {CERTAIN}"""  # noqa: S608  # our own text
)
_LET_PASS = Statement("UPDATE outbox SET holds = false WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id")

STUCK: tuple[DeliveryState, ...] = ("dead", "in_doubt")
"""What waits for a person."""


async def redrive(writer: Writer, tenant_id: str, wanted: Filter, actor: Actor = OPERATOR) -> int:
    """Send what is dead or in doubt on its way again, with the same key and payload. Returns how many.

    At most `wanted.limit`, the oldest first. What is in doubt may then take effect a second time: that is the person's
    decision. Raises UnknownTenantError.
    """
    return await writer.submit(Job([tenant_id], partial(_redrive, tenant_id, wanted, actor)))


async def cancel(writer: Writer, tenant_id: str, delivery_id: str, actor: Actor = OPERATOR) -> None:
    """Take back what was never tried. Raises OutboxError (unknown_delivery, not_waiting, already_attempted)."""
    refusal = await writer.submit(Job([tenant_id], partial(_cancel, tenant_id, delivery_id, actor)))
    if refusal is not None:
        raise refusal


async def let_pass(writer: Writer, tenant_id: str, delivery_id: str, actor: Actor = OPERATOR) -> None:
    """Let later deliveries of its record go on past a dead one. Raises OutboxError (unknown_delivery, not_stuck)."""
    refusal = await writer.submit(Job([tenant_id], partial(_let_pass, tenant_id, delivery_id, actor)))
    if refusal is not None:
        raise refusal


async def _redrive(tenant_id: str, wanted: Filter, actor: Actor, writing: Writing) -> int:
    tenant = writing.tenant(tenant_id)
    states = [state for state in STUCK if wanted.states is None or state in wanted.states]
    stuck = await matching(writing.tx, tenant_id, replace(wanted, states=states))
    rows = [{"tenant_id": tenant_id, "delivery_id": one.delivery_id, "now": writing.now} for one in stuck]
    await writing.tx.many(_REDRIVE, rows)
    if rows:
        tenant.revision += 1
        one = stuck[0].delivery_id if len(rows) == 1 else None
        await note(writing, tenant_id, Entry("delivery.redrive", actor, "delivery", one, times=len(rows)))
    return len(rows)


async def _cancel(tenant_id: str, delivery_id: str, actor: Actor, writing: Writing) -> OutboxError | None:
    found = await matching(writing.tx, tenant_id, Filter(ids=[delivery_id]))
    if not found:
        return unknown_delivery()
    named = {"tenant_id": tenant_id, "delivery_id": delivery_id, "now": writing.now}
    named["epoch"] = writing.tenant(tenant_id).epoch
    if not await writing.tx.execute(_CANCEL, named):
        return _why_not(found[0])
    await note(writing, tenant_id, Entry("delivery.cancel", actor, "delivery", delivery_id))
    await _go_on(found[0], tenant_id, writing)
    return None


async def _let_pass(tenant_id: str, delivery_id: str, actor: Actor, writing: Writing) -> OutboxError | None:
    found = await matching(writing.tx, tenant_id, Filter(ids=[delivery_id]))
    if not found:
        return unknown_delivery()
    if found[0].state not in STUCK:
        return OutboxError("not_stuck", f"it is {found[0].state}: only what is dead or in doubt holds others up")
    await writing.tx.execute(_LET_PASS, {"tenant_id": tenant_id, "delivery_id": delivery_id})
    await note(writing, tenant_id, Entry("delivery.let_pass", actor, "delivery", delivery_id))
    await _go_on(found[0], tenant_id, writing)
    return None


async def _go_on(left: Delivery, tenant_id: str, writing: Writing) -> None:
    lane = {
        "tenant_id": tenant_id,
        "endpoint_id": left.endpoint_id,
        "collection": left.collection,
        "record_id": left.record_id,
        "sequence": left.sequence,
    }
    await bring_next(writing.tx, lane, writing.now)
    writing.tenant(tenant_id).revision += 1


def _why_not(delivery: Delivery) -> OutboxError:
    if delivery.state in {"pending", "leased"}:
        return OutboxError("already_attempted", "it was tried: the provider may have it, so it cannot be taken back")
    return OutboxError("not_waiting", f"it is {delivery.state}: there is nothing to take back")
