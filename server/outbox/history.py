"""When a delivery's earlier attempts may have reached its provider: by its attempts, and by a history that was lost.

In a lost history it may have been sent from `doubted_from` until the present epoch began, whatever its attempts say.
"""

from dataclasses import dataclass

from server.outbox.before import Sent
from server.outbox.claim import Claimed
from server.ports import Operation
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from sync.clock import decode_instant

LEASE_MS = 60_000
"""What bounds an attempt that left no end, for whoever holds no lease himself."""

_TIMES = Statement(
    """SELECT min(a.started_at), max(a.ended_at), max(CASE WHEN a.ended_at IS NULL THEN a.started_at END),
         max(o.doubted_from), max(t.epoch_at), max(o.created_at)
       FROM outbox AS o JOIN tenants AS t ON t.tenant_id = o.tenant_id
       LEFT JOIN attempts AS a ON a.tenant_id = o.tenant_id AND a.delivery_id = o.delivery_id AND a.attempt < :attempt
       WHERE o.tenant_id = :tenant_id AND o.delivery_id = :delivery_id"""
)


@dataclass(frozen=True)
class Times:
    """Reads when attempts were made; `lease_ms` bounds those that left no end, or the deadline of a longer call."""

    database: Database
    lease_ms: int

    async def of(self, claimed: Claimed, operation: Operation) -> Sent:
        """Of the attempts before this one. Raises DatabaseError."""

        async def work(tx: Tx) -> Sent:
            named = {
                "tenant_id": claimed.tenant_id,
                "delivery_id": claimed.delivery_id,
                "attempt": claimed.attempt,
            }
            ((started, ended, unended, doubted_from, epoch_at, created_at),) = await tx.fetch(_TIMES, named)
            first = min(at for at in (started, doubted_from, created_at if started is None else None) if at)
            lost_until = epoch_at if doubted_from is not None else None
            last = [decode_instant(at) for at in (ended, lost_until) if at is not None]
            lasts_ms = max(self.lease_ms, int((operation.deadline_s or 0) * 1000))  # its lease is renewed meanwhile
            last += [decode_instant(unended) + lasts_ms] if unended is not None else []
            return Sent(decode_instant(first), max(last, default=decode_instant(created_at)))

        return await self.database.read(work)
