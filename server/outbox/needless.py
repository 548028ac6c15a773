"""Dead deliveries that nobody may redrive any more: a later change of their record replaces them, or takes them back.

Only those that certainly had no effect. A dead compensation stays: it is still owed.
"""

from typing import Literal, NamedTuple

from server.outbox.epoch import CERTAIN
from server.outbox.lanes import Lane
from server.storage.statement import Statement
from server.storage.writer import Writing

_END = """UPDATE outbox SET state = :state, holds = false, settled_at = :now, waits_for = NULL
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND collection = :collection
       AND record_id = :record_id AND route = :route AND sequence < :sequence
       AND state IN ('dead', 'in_doubt') AND state = 'dead' AND operation <> :compensation AND """
_END_ENTERED = Statement(f"{_END} NOT ambiguous")
_END_CERTAIN = Statement(_END + CERTAIN)


class Before(NamedTuple):
    """What came before a place in a lane by a route, but for that route's `compensation`."""

    tenant_id: str
    lane: Lane
    route: str
    compensation: str = ""


async def end_dead(
    writing: Writing, before: Before, state: Literal["cancelled", "superseded"], epoch: str | None = None
) -> bool:
    """End what is dead there; whether there was any. `epoch`: the tenant's, where the endpoint may have to enter it."""
    named = {**before._asdict(), **before.lane._asdict(), "state": state, "now": writing.now}
    if epoch is None:
        return bool(await writing.tx.execute(_END_ENTERED, named))
    return bool(await writing.tx.execute(_END_CERTAIN, {**named, "epoch": epoch}))
