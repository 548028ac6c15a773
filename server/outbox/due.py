"""What is due: every endpoint with something to send, and from when.

One probe of an index for each endpoint with unsettled rows, whatever its backlog. What is throttled, broken, or waits
for its polls in a new epoch is not due before its time, so it wakes nobody.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from server.outbox.epoch import HELD_SINCE
from server.resilience.busy import busy_endpoints
from server.resilience.entry import Look
from server.storage.database import Tx
from sync.clock import decode_instant, encode_instant

# The relay serves all tenants: one of the few queries across them.
DUE = busy_endpoints("outbox", f"(SELECT {HELD_SINCE} FROM tenants AS t WHERE t.tenant_id = e.tenant_id)")  # noqa: S608

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
