"""How many of a tenant's deliveries and events waited at past moments, and the oldest of them for how long.

Worked out from the rows that are kept, so it is there when somebody first looks: nothing is sampled. A row waits from
when it was made until it settled or ended; what is dead waits for a person. Rows that were tidied away are over, and at
most `MOST` are read: beyond that the oldest moments tell too little, and `cut` says so.
"""

import heapq
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from server.storage.database import Database, Tx
from server.storage.statement import Statement
from sync.clock import decode_instant, encode_instant

MOST = 20_000
POINTS = 48
_FOR_EVER = 2**62
Rows = Sequence[tuple[str, str | None]]

_OUTBOX = Statement(
    """SELECT created_at, settled_at FROM outbox
       WHERE tenant_id = :tenant_id
       AND (state IN ('pending', 'leased', 'dead', 'in_doubt') OR settled_at >= :since)
       ORDER BY delivery_id DESC LIMIT :most"""
)
_INBOX = Statement(
    """SELECT received_at, ended_at FROM inbox
       WHERE tenant_id = :tenant_id AND (ended_at IS NULL OR ended_at >= :since)
       ORDER BY receipt_id DESC LIMIT :most"""
)


class Depth(NamedTuple):
    """What waited at each moment; `oldest_s`: seconds, 0 where nothing did. `cut`: more rows than were read."""

    waiting: list[int]
    oldest_s: list[float]
    cut: bool


class Depths(NamedTuple):
    """Both queues at the same moments, the last of which is now."""

    at: list[str]
    outbox: Depth
    inbox: Depth


async def depths(database: Database, tenant_id: str, now_ms: int, hours: int) -> Depths:
    """The tenant's queues over the last hours. Raises DatabaseError."""
    step = hours * 3_600_000 // POINTS
    moments = [now_ms - step * back for back in range(POINTS, -1, -1)]
    named = {"tenant_id": tenant_id, "since": encode_instant(moments[0]), "most": MOST}
    outbox, inbox = await database.read(partial(_read, named))
    return Depths([encode_instant(ms) for ms in moments], depth_of(outbox, moments), depth_of(inbox, moments))


def depth_of(rows: Rows, moments: Sequence[int]) -> Depth:
    """How these rows, each from its beginning to its end or open, lie at the moments, which go forward."""
    spans = sorted((decode_instant(begin), _FOR_EVER if end is None else decode_instant(end)) for begin, end in rows)
    waiting, oldest_s = [], []
    open_: list[tuple[int, int]] = []  # a heap by beginning
    ends: list[int] = []  # a heap of the same
    place = 0
    for moment in moments:
        while place < len(spans) and spans[place][0] <= moment:
            heapq.heappush(open_, spans[place])
            heapq.heappush(ends, spans[place][1])
            place += 1
        while ends and ends[0] <= moment:
            heapq.heappop(ends)
        while open_ and open_[0][1] <= moment:
            heapq.heappop(open_)
        waiting.append(len(ends))
        oldest_s.append((moment - open_[0][0]) / 1000 if open_ else 0.0)
    return Depth(waiting, oldest_s, len(rows) >= MOST)


async def _read(named: dict[str, Any], tx: Tx) -> tuple[Rows, Rows]:
    outbox, inbox = await tx.fetch(_OUTBOX, named), await tx.fetch(_INBOX, named)
    return [(begin, end) for begin, end in outbox], [(begin, end) for begin, end in inbox]
