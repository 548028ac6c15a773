"""Counting what is refused: so many a day, an endpoint and a reason. Nothing of what was sent is kept.

Rows are bounded by days and reasons, so that whoever sends forgeries cannot fill the disk with them; only endpoints
that exist are counted.
"""

from functools import partial

from server.inbox.accounts import Address
from server.ports import RefusalReason
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing

_COUNT = Statement(
    """INSERT INTO refusals (tenant_id, endpoint_id, day, reason, times, first_at, last_at)
       VALUES (:tenant_id, :endpoint_id, :day, :reason, 1, :now, :now)
       ON CONFLICT (tenant_id, endpoint_id, day, reason)
       DO UPDATE SET times = refusals.times + 1, last_at = excluded.last_at"""
)


async def count_refusal(writer: Writer, address: Address, reason: RefusalReason) -> None:
    """Count one refused webhook, durably. Raises DatabaseError.

    The tenant is not locked: whoever forges shall not hold up its tills.
    """
    await writer.submit(Job([], partial(_count, address, reason)))


async def _count(address: Address, reason: RefusalReason, writing: Writing) -> None:
    await writing.tx.execute(
        _COUNT, {**address._asdict(), "day": writing.now[:10], "reason": reason, "now": writing.now}
    )
