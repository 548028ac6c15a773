"""What comes after other records: found out when a change is accepted, for that is what "earlier" means.

A row waits for the deliveries that hold the named lanes at that moment, those of its own transaction included, and for
none that come later: so nobody waits for somebody who waits for him.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from server.outbox.lanes import Lane, holding
from server.storage.database import Tx


class _Follower(NamedTuple):
    place: int
    lanes: list[Lane]
    drafted: list[Lane]


class Following:
    """The rows of one transaction that come after others."""

    def __init__(self) -> None:
        """There are none yet."""
        self._drafted: dict[tuple[str, str, str], Lane] = {}
        self._followers: list[_Follower] = []

    def drafted(self, lane: Lane) -> None:
        """A row was drafted: those drafted later may come after it."""
        self._drafted[lane[:3]] = lane

    def follow(self, place: int, lane: Lane, records: Sequence[tuple[str, str]]) -> None:
        """The row at this place, of this lane, comes after these records."""
        lanes = [Lane(lane.endpoint_id, *record) for record in records if record != lane[1:3]]
        drafted = [self._drafted[one[:3]] for one in lanes if one[:3] in self._drafted]
        if lanes:
            self._followers.append(_Follower(place, lanes, drafted))

    async def resolve(self, tx: Tx, tenant_id: str, rows: list[tuple[Any, ...]], column: int) -> None:
        """Write into each row, at `column`, which lanes must let go first, and up to where."""
        asked = {lane for one in self._followers for lane in one.lanes}
        held = {lane[:3]: lane for lane in await holding(tx, tenant_id, sorted(asked))}
        for place, lanes, drafted in self._followers:
            found = {lane[:3]: held[lane[:3]] for lane in lanes if lane[:3] in held}
            found |= {lane[:3]: lane for lane in drafted}  # later than what was stored
            if found:
                after = to_json([lane[1:] for lane in found.values()]).decode()
                rows[place] = (*rows[place][:column], after, *rows[place][column + 1 :])
