"""Taking back: what a later change makes unwanted is cancelled while nobody has tried it, and else compensated.

What died of a refusal is cancelled with it: redriven later, it would take effect, and nothing would take that back. A
compensation is owed where something was tried, and where nothing is known of what was sent. What is tried and turns
out to have had no effect needs none: that is seen when the compensation's turn comes (`past`).
"""

from typing import Any, NamedTuple

from server.outbox.epoch import CERTAIN
from server.outbox.lanes import Lane, bring_next
from server.outbox.needless import Before, end_dead
from server.storage.statement import Statement
from server.storage.writer import Tenant, Writing

_LANE = """tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND collection = :collection AND record_id = :record_id
       AND route = :route AND operation <> :compensation AND sequence < :sequence"""
_CANCEL = Statement(
    f"""UPDATE outbox SET state = 'cancelled', holds = false, settled_at = :now, waits_for = NULL
       WHERE {_LANE} AND holds AND state = 'pending' AND attempts = 0 AND {CERTAIN}"""  # noqa: S608  # our own text
)
_NO_EFFECT = f"(state IN ('cancelled', 'superseded', 'answered') OR (state = 'dead' AND {CERTAIN}))"
# By each index of a record's deliveries: those that hold its lane, and those that do not.
_LEFT = Statement(
    f"""SELECT EXISTS (SELECT 1 FROM outbox WHERE {_LANE} AND holds),
         EXISTS (SELECT 1 FROM outbox WHERE {_LANE} AND NOT holds AND NOT {_NO_EFFECT}),
         EXISTS (SELECT 1 FROM outbox WHERE {_LANE} AND NOT holds)"""  # noqa: S608
)


class TakenBack(NamedTuple):
    """A change that takes back what is before it in a lane, and the row of its compensation."""

    lane: Lane
    route: str
    compensation: str
    row: tuple[Any, ...]


async def take_back(writing: Writing, tenant: Tenant, taken: TakenBack) -> bool:
    """Cancel what nobody has tried, and what died without an effect; whether the compensation is owed."""
    at = {"tenant_id": tenant.tenant_id, "epoch": tenant.epoch, "now": writing.now}
    named = {**at, "route": taken.route, "compensation": taken.compensation, **taken.lane._asdict()}
    untried = await writing.tx.execute(_CANCEL, named)
    before = Before(tenant.tenant_id, taken.lane, taken.route, taken.compensation)
    if await end_dead(writing, before, "cancelled", tenant.epoch) or untried:
        first = {"tenant_id": tenant.tenant_id, **taken.lane._replace(sequence=0)._asdict()}
        await bring_next(writing.tx, first, writing.now)
    ((holds, effective, known),) = await writing.tx.fetch(_LEFT, named)
    return bool(holds or effective or not known)
