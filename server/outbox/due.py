"""What is due: every endpoint with something to send, and from when.

One probe of an index for each endpoint with unsettled rows, whatever its backlog. What is throttled, broken, or waits
for its polls in a new epoch is not due before its time, so it wakes nobody.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from server.outbox.epoch import HELD_SINCE
from server.resilience.entry import Look
from server.storage.database import Tx
from server.storage.statement import Statement
from sync.clock import decode_instant, encode_instant

# The relay serves all tenants: one of the few queries across them. One probe of the index for each busy endpoint.
_DUE = """/* across tenants */ WITH RECURSIVE busy(endpoint_id) AS (
         SELECT (SELECT endpoint_id FROM outbox WHERE state IN ('pending', 'leased') ORDER BY endpoint_id LIMIT 1)
         UNION ALL
         SELECT (SELECT o.endpoint_id FROM outbox AS o WHERE o.state IN ('pending', 'leased')
                 AND o.endpoint_id > busy.endpoint_id ORDER BY o.endpoint_id LIMIT 1)
         FROM busy WHERE busy.endpoint_id IS NOT NULL),
       heads(endpoint_id, tenant_id, due_at) AS (
         SELECT endpoint_id,
           (SELECT o.tenant_id FROM outbox AS o WHERE o.state IN ('pending', 'leased')
            AND o.endpoint_id = busy.endpoint_id ORDER BY o.next_attempt_at LIMIT 1),
           (SELECT o.next_attempt_at FROM outbox AS o WHERE o.state IN ('pending', 'leased')
            AND o.endpoint_id = busy.endpoint_id ORDER BY o.next_attempt_at LIMIT 1)
         FROM busy WHERE busy.endpoint_id IS NOT NULL)
       SELECT e.tenant_id, e.endpoint_id, e.provider, heads.due_at, e.not_before,
         (SELECT g.ready_ms FROM gates AS g WHERE g.tenant_id = e.tenant_id AND g.endpoint_id = e.endpoint_id),
         e.settings, (SELECT {held_since} FROM tenants AS t WHERE t.tenant_id = e.tenant_id)
       FROM heads {join} WHERE NOT e.paused"""
_JOIN_LITE = "JOIN endpoints AS e ON e.tenant_id = heads.tenant_id AND e.endpoint_id = heads.endpoint_id"
_JOIN_POST = """CROSS JOIN LATERAL (SELECT * FROM endpoints AS one WHERE one.tenant_id = heads.tenant_id
       AND one.endpoint_id = heads.endpoint_id LIMIT 1) AS e"""
DUE = Statement(
    _DUE.format(join=_JOIN_LITE, held_since=HELD_SINCE), postgresql=_DUE.format(join=_JOIN_POST, held_since=HELD_SINCE)
)

Patience = Callable[[str, Mapping[str, Any]], int]
"""How long an endpoint, by its provider and settings, waits for its polls in a new epoch, in ms; 0: it has none."""


def no_patience(_provider: str, _settings: Mapping[str, Any]) -> int:
    """Nobody polls."""
    return 0


class Due(NamedTuple):
    """An endpoint with something to send, and from when.

    `patience_ms` also where no new epoch is to be entered: one may begin before the claim.
    """

    tenant_id: str
    endpoint_id: str
    provider: str
    due_at: str
    patience_ms: int = 0


async def due_endpoints(tx: Tx, look: Look, patience: Patience = no_patience) -> list[Due]:
    """Every endpoint with unsettled deliveries that is not paused, and when it is due next; the longest due first."""
    found: list[Due] = []
    for tenant_id, endpoint_id, provider, due_at, not_before, ready_ms, settings, held_since in await tx.fetch(DUE):
        ready_at = encode_instant(look.believed_ms(ready_ms or 0, provider, settings))
        patience_ms = patience(provider, json.loads(settings))
        held_until = encode_instant(decode_instant(held_since) + patience_ms) if held_since and patience_ms else ""
        from_when = max(due_at, not_before or "", ready_at, held_until)
        found.append(Due(tenant_id, endpoint_id, provider, from_when, patience_ms))
    return sorted(found, key=lambda due: due.due_at)
