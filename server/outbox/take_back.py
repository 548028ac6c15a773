"""Taking back: what a later change makes unwanted is cancelled while nobody has tried it, and else compensated.

A compensation is owed where something was tried, and where nothing is known of what was sent. What is tried and turns
out to have had no effect needs none: that is seen when the compensation's turn comes (`past`).
"""

from typing import Any, NamedTuple

from server.outbox.lanes import Lane, bring_next
from server.storage.database import Tx
from server.storage.statement import Statement

_LANE = """tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND collection = :collection AND record_id = :record_id
       AND route = :route AND operation <> :compensation AND sequence < :sequence"""
_CANCEL = Statement(
    f"""UPDATE outbox SET state = 'cancelled', holds = false, settled_at = :now, waits_for = NULL
       WHERE {_LANE} AND holds AND state = 'pending' AND attempts = 0 AND NOT ambiguous"""  # noqa: S608  # our own text
)
_NO_EFFECT = "(state IN ('cancelled', 'superseded', 'answered') OR (state = 'dead' AND NOT ambiguous))"
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


async def take_back(tx: Tx, tenant_id: str, taken: TakenBack, now: str) -> bool:
    """Cancel what nobody has tried; whether the compensation is owed."""
    named = {"tenant_id": tenant_id, "route": taken.route, "compensation": taken.compensation, **taken.lane._asdict()}
    if await tx.execute(_CANCEL, {**named, "now": now}):
        first = {"tenant_id": tenant_id, **taken.lane._replace(sequence=0)._asdict()}
        await bring_next(tx, first, now)
    ((holds, effective, known),) = await tx.fetch(_LEFT, named)
    return bool(holds or effective or not known)
