"""Renewing: a lease is kept for as long as a call lasts that was declared to last longer.

An ordinary call ends before its lease does, so nothing need be renewed. One whose operation declares a longer deadline
renews at each third of the lease, by its fence. Where that fails until the lease is nearly over, or somebody has taken
it over, the call is cut off: nobody sends under a lease that is not his.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import anyio
import structlog

from server.outbox.call import LEASE_MARGIN_MS
from server.outbox.claim import Claimed
from server.outbox.decide import Result
from server.resilience.classify import classify_reason
from server.storage.database import DatabaseError
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.clock import encode_instant

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_RENEW = Statement(
    """UPDATE outbox SET leased_until = :until, next_attempt_at = :until WHERE tenant_id = :tenant_id
       AND delivery_id = :delivery_id AND fence = :fence AND state = 'leased'"""
)


@dataclass(frozen=True)
class Renewer:
    """Keeps leases of `length_ms`; `clock` gives milliseconds, `sleep` takes seconds."""

    writer: Writer
    length_ms: int
    clock: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]

    async def during(
        self, claimed: Claimed, call: Callable[[], Awaitable[Result | None]]
    ) -> tuple[Claimed, Result | None]:
        """Call, and keep the lease meanwhile; the delivery with its lease as it then is, and what came of the call."""
        lease = _Lease(claimed.leased_until_ms)
        result: Result | None = Result(classify_reason("deadline"))
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep, claimed, lease, group.cancel_scope)
            result = await call()
            group.cancel_scope.cancel()
        return claimed._replace(leased_until_ms=lease.until_ms), result

    async def _keep(self, claimed: Claimed, lease: "_Lease", calling: anyio.CancelScope) -> None:
        left_ms = lease.until_ms - LEASE_MARGIN_MS - self.clock()
        while left_ms > 0:
            await self.sleep(min(self.length_ms / 3, left_ms) / 1000)
            try:
                until_ms = await self.writer.submit(Job([], partial(self._renew, claimed)))
            except DatabaseError as error:
                log.warning("lease_not_renewed", delivery_id=claimed.delivery_id, error=str(error))
            else:
                lease.until_ms = until_ms
            left_ms = lease.until_ms - LEASE_MARGIN_MS - self.clock()
        log.warning("call_cut_off", delivery_id=claimed.delivery_id, alarm=True)
        calling.cancel()

    async def _renew(self, claimed: Claimed, writing: Writing) -> int:
        """Until when it is ours now; 0 where it is no more."""
        until_ms = writing.now_ms + self.length_ms
        named = {
            "tenant_id": claimed.tenant_id,
            "delivery_id": claimed.delivery_id,
            "fence": claimed.fence,
            "until": encode_instant(until_ms),
        }
        return until_ms if await writing.tx.execute(_RENEW, named) else 0


@dataclass
class _Lease:
    until_ms: int
