"""API keys that come to their end, of all tenants: they expire, or are due for their successor.

A key that has its successor is told only if it was used after that one was made: its end would put somebody out. One
that expired is told for a week.
"""

from typing import NamedTuple

from server.storage.database import Tx
from server.storage.statement import Statement

TOLD_MS = 7 * 86_400_000
MOST_KEYS = 1_000

_ALL = Statement(
    f"""/* across tenants */ SELECT x.key_id, x.what, x.ends_at FROM (
         SELECT k.tenant_id, k.key_id, 'expires' AS what, k.expires_at AS ends_at FROM keys AS k
           LEFT JOIN keys AS s ON s.tenant_id = k.tenant_id AND s.key_id = k.successor
           WHERE k.revoked_at IS NULL AND k.expires_at <= :until AND k.expires_at > :told
           AND (k.successor IS NULL OR k.last_used_at > s.created_at)
         UNION ALL SELECT tenant_id, key_id, 'rotate', rotate_by FROM keys
           WHERE revoked_at IS NULL AND successor IS NULL AND rotate_by <= :until
           AND (expires_at IS NULL OR expires_at > :now)) AS x
       JOIN tenants AS t ON t.tenant_id = x.tenant_id ORDER BY x.ends_at, x.key_id LIMIT {MOST_KEYS}"""  # noqa: S608
)


class KeyEnding(NamedTuple):
    """A key that ends at `at`; `what`: expires, rotate (our own schedule)."""

    key_id: str
    what: str
    at: str


async def all_key_endings(tx: Tx, *, until: str, now: str, told: str) -> list[KeyEnding]:
    """What ends by `until`; what expired before `told` is old news."""
    return [KeyEnding(*row) for row in await tx.fetch(_ALL, {"until": until, "now": now, "told": told})]
