"""A new epoch: what an endpoint's deliveries wait for, and what is thought of them, before any is sent in it.

Rules:

1. History after some backup is lost here. What is unsettled now may have been sent there: it is `ambiguous`, and so is
   what was dead, should a person redrive it.
2. What came in there is fetched again by the polls. An endpoint that has one sends nothing until it has ended once in
   the new epoch, so that what our lost calls made is known; but it waits no longer than a relay's patience, and alarms.
3. An endpoint enters an epoch in the claim that first takes something of it. One that was made later has nothing to
   wait for. Whoever takes back or supersedes before that asks for himself (`CERTAIN`).
"""

from typing import NamedTuple

import structlog

from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.clock import decode_instant

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_ENTERS = "t.epoch_at > e.created_at AND (e.epoch IS NULL OR e.epoch <> t.epoch)"
NEW_EPOCH = f"CASE WHEN {_ENTERS} THEN t.epoch END"
"""The epoch an endpoint `e` of a tenant `t` has yet to enter, or NULL."""

HELD_SINCE = f"""CASE WHEN {_ENTERS} AND NOT EXISTS (SELECT 1 FROM polls AS p WHERE p.tenant_id = e.tenant_id
         AND p.endpoint_id = e.endpoint_id AND p.epoch = t.epoch AND p.finished_at IS NOT NULL) THEN t.epoch_at END"""  # noqa: S608  # our own text
"""When that epoch began, or NULL where nothing is to be entered or its polls have ended once in it."""

CERTAIN = """(NOT ambiguous AND NOT EXISTS (SELECT 1 FROM endpoints AS e JOIN tenants AS t ON t.tenant_id = e.tenant_id
         WHERE e.tenant_id = outbox.tenant_id AND e.endpoint_id = outbox.endpoint_id
         AND (e.epoch IS NULL OR e.epoch <> :epoch)
         AND e.created_at < CASE WHEN t.epoch = :epoch THEN t.epoch_at ELSE :now END
         AND outbox.created_at < CASE WHEN t.epoch = :epoch THEN t.epoch_at ELSE :now END))"""
"""Of a row of the outbox: all that was tried is known here, also where its endpoint has yet to enter `:epoch`.

That is the tenant's as this transaction leaves it: one that is drawn in it begins `:now`.
"""

# Each by its own index of an endpoint's rows.
_DOUBT_UNSETTLED = Statement(
    """UPDATE outbox SET ambiguous = true, doubted_from = coalesce(doubted_from, created_at)
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND state IN ('pending', 'leased')
       AND created_at < :epoch_at"""
)
_DOUBT_DEAD = Statement(
    """UPDATE outbox SET ambiguous = true, doubted_from = coalesce(doubted_from, created_at)
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND state IN ('dead', 'in_doubt') AND state = 'dead'
       AND created_at < :epoch_at"""
)
_ENTER = Statement("UPDATE endpoints SET epoch = :epoch WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id")


class Renewal(NamedTuple):
    """An endpoint before an epoch that it has yet to enter; `held_since` where its polls have not ended in it."""

    tenant_id: str
    endpoint_id: str
    epoch: str
    epoch_at: str
    held_since: str | None


async def enter(writing: Writing, renewal: Renewal, patience_ms: int) -> bool:
    """Enter the epoch, inside a claim; False where that has to wait. `patience_ms` is 0 where nothing is polled."""
    if renewal.held_since is not None and patience_ms:
        if writing.now_ms < decode_instant(renewal.held_since) + patience_ms:
            return False
        log.error("epoch_entered_unpolled", alarm=True, tenant_id=renewal.tenant_id, endpoint_id=renewal.endpoint_id)
    at = {"tenant_id": renewal.tenant_id, "endpoint_id": renewal.endpoint_id}
    for doubt in (_DOUBT_UNSETTLED, _DOUBT_DEAD):
        await writing.tx.execute(doubt, {**at, "epoch_at": renewal.epoch_at})
    await writing.tx.execute(_ENTER, {**at, "epoch": renewal.epoch})
    return True
