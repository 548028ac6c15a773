"""Alerts as they are stored: seen, claimed by whoever tells them, told, forgotten.

Few rows, whatever happens: one an account and kind, one an event and tenant. An alert is everybody's: the operator's
address is the installation's, so these statements go across tenants.
"""

from collections.abc import Sequence
from typing import NamedTuple

from server.ops.alerts.conditions import Seen
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.clock import encode_instant

LEASE_MS = 60_000
AGAIN_MS = 15 * 60_000
DAILY_MS = 24 * 60 * 60_000
FORGET_MS = 60 * 60_000
MOST_AT_ONCE = 50

_SEE = Statement(
    """INSERT INTO alerts (tenant_id, kind, subject, since, seen_at, value, told, told_value, next_at)
       VALUES (:tenant_id, :kind, :subject, :now, :now, :value, 0, 0, :now)
       ON CONFLICT (tenant_id, kind, subject) DO UPDATE SET seen_at = excluded.seen_at,
         value = CASE WHEN alerts.kind = 'alarm' THEN alerts.value + excluded.value ELSE excluded.value END"""
)
_FORGET = Statement("/* across tenants */ DELETE FROM alerts WHERE seen_at < :before AND (told > 0 OR kind <> 'alarm')")
# Time and silence only grow: that is no news before the day is over.
_CLAIM = Statement(
    f"""/* across tenants */ UPDATE alerts SET next_at = :until WHERE next_at <= :now
       AND (tenant_id, kind, subject) IN (SELECT a.tenant_id, a.kind, a.subject FROM alerts AS a
         WHERE a.next_at <= :now AND (a.told = 0 OR a.told_at <= :day_ago
           OR (a.value > a.told_value AND a.kind IN ('stuck', 'closing', 'alarm')))
         ORDER BY a.next_at, a.tenant_id, a.kind, a.subject LIMIT {MOST_AT_ONCE})
       RETURNING tenant_id, kind, subject, since, value, told"""  # noqa: S608  # our own number
)
_TOLD = Statement(
    """UPDATE alerts SET told = told + 1, told_value = :value, told_at = :now, next_at = :next_at
       WHERE tenant_id = :tenant_id AND kind = :kind AND subject = :subject AND next_at = :until"""
)


class Alert(NamedTuple):
    """An alert to tell. `told`: how often it was told before."""

    tenant_id: str
    kind: str
    subject: str
    since: str
    value: int
    told: int


class Claimed(NamedTuple):
    """Alerts that are ours to tell until an instant."""

    alerts: list[Alert]
    until: str


async def note_and_claim(seen: Sequence[Seen], writing: Writing) -> Claimed:
    """Note what is seen, forget what was not for long, and take what is to be told."""
    for one in sorted(seen):  # in one order, so that two processes never wait for each other
        await writing.tx.execute(_SEE, {**one._asdict(), "now": writing.now})
    await writing.tx.execute(_FORGET, {"before": encode_instant(writing.now_ms - FORGET_MS)})
    until = encode_instant(writing.now_ms + LEASE_MS)
    named = {"now": writing.now, "until": until, "day_ago": encode_instant(writing.now_ms - DAILY_MS)}
    rows = await writing.tx.fetch(_CLAIM, named)
    return Claimed(sorted(Alert._make(row) for row in rows), until)


async def note_told(claimed: Claimed, writing: Writing) -> None:
    """They were taken."""
    moved = {"now": writing.now, "until": claimed.until, "next_at": encode_instant(writing.now_ms + AGAIN_MS)}
    for alert in claimed.alerts:
        key = {"tenant_id": alert.tenant_id, "kind": alert.kind, "subject": alert.subject}
        await writing.tx.execute(_TOLD, {**key, **moved, "value": alert.value})
