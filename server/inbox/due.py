"""What is due: endpoints with unfinished events, and rows that somebody died with; of all tenants.

When an endpoint may be asked is told beside when its events are due: what says everything does not wait for that.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from server.resilience.busy import busy_endpoints
from server.resilience.entry import Look
from server.storage.database import Row, Tx
from server.storage.statement import Statement
from sync.clock import decode_instant, encode_instant

# One processor serves all tenants: one of the few queries across them.
DUE = busy_endpoints("inbox")
LAPSED = Statement(
    """/* across tenants */ SELECT e.tenant_id, e.endpoint_id, e.provider, i.next_attempt_at, e.not_before,
         (SELECT g.ready_ms FROM gates AS g WHERE g.tenant_id = e.tenant_id AND g.endpoint_id = e.endpoint_id),
         e.settings, i.receipt_id
       FROM inbox AS i JOIN endpoints AS e ON e.tenant_id = i.tenant_id AND e.endpoint_id = i.endpoint_id
       WHERE i.state = 'leased' AND i.next_attempt_at <= :now AND NOT e.paused
       ORDER BY i.next_attempt_at LIMIT 100"""
)


class Due(NamedTuple):
    """An endpoint with something to process, and from when; it may be asked from `open_ms` on."""

    tenant_id: str
    endpoint_id: str
    provider: str
    due_ms: int
    open_ms: int
    settings: Mapping[str, Any]


class Lapsed(NamedTuple):
    """A row whose lease ran out, and its endpoint."""

    receipt_id: str
    due: Due


async def due_endpoints(tx: Tx, look: Look) -> list[Due]:
    """Every endpoint with unfinished events that is not paused, and when it is due next; the longest due first."""
    return sorted((_due(row, look) for row in await tx.fetch(DUE)), key=lambda due: due.due_ms)


async def lapsed_leases(tx: Tx, look: Look) -> list[Lapsed]:
    """Rows that somebody died with."""
    rows = await tx.fetch(LAPSED, {"now": encode_instant(look.now_ms)})
    return [Lapsed(row[-1], _due(row[:-1], look)) for row in rows]


def _due(row: Row, look: Look) -> Due:
    tenant_id, endpoint_id, provider, due_at, not_before, ready_ms, settings = row
    open_ms = max(look.believed_ms(ready_ms or 0, provider, settings), decode_instant(not_before) if not_before else 0)
    return Due(tenant_id, endpoint_id, provider, decode_instant(due_at), open_ms, json.loads(settings))
