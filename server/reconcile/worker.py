"""The reconciler: follows each tenant's sequence as a client does, and compares what its news concerns.

Rules:

1. It reads behind the writers and costs a sale nothing: where there is nothing to compare, nothing is written, and how
   far it read is stored only now and then.
2. What it finds is compared again under the tenant's lock, in the transaction that stores how far it read: two
   processes that look at once write the same, and the second finds it written.
3. What goes wrong is tried again at the next look; a tenant that cannot be reconciled holds up no other.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import anyio
import structlog

from server.reconcile.news import Due, look
from server.reconcile.rows import BEHIND, store_upto
from server.reconcile.settle import Settling
from server.storage.database import Database, DatabaseError, Tx
from server.storage.writer import Job, UnknownTenantError, Writer, Writing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

GATHER_S = 1.0
"""So long after something was committed it looks: a shop that sells brings many at once."""

REST_S = 30.0
STORE_EVERY = 5_000
"""So many places of a sequence may have to be read again after a start."""


@dataclass
class Reconciler:
    """Compares closings with sales, in the background. `sleep` takes seconds."""

    database: Database
    writer: Writer
    settling: Settling
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    _woken: anyio.Event = field(default_factory=anyio.Event, init=False)
    _read: dict[tuple[str, str], int] = field(default_factory=dict, init=False)

    def wake(self, _tenant_id: str | None = None) -> None:
        """Something was committed. For `Writer.committed` and `Database.watch`."""
        self._woken.set()

    async def run(self) -> None:
        """Compare until cancelled."""
        self.writer.committed.append(self.wake)
        while True:
            self._woken = anyio.Event()
            try:
                await self.once()
            except DatabaseError as error:
                log.warning("reconciling_put_off", error=str(error))
            except Exception:
                log.exception("reconciling_failed", alarm=True)
            with anyio.move_on_after(REST_S):
                await self._woken.wait()
            await self.sleep(GATHER_S)

    async def once(self) -> int:
        """Read every tenant's news to its end; how many records were written. Raises DatabaseError."""
        written = 0
        for tenant_id, epoch, head, stored in await self.database.read(_behind):
            try:
                written += await self._follow((tenant_id, epoch), head, stored)
            except UnknownTenantError:
                continue
        return written

    async def _follow(self, history: tuple[str, str], head: int, stored: int) -> int:
        """Read one tenant's news, in one epoch of it: what was read in another is no news of this one."""
        tenant_id, _ = history
        written, read = 0, max(stored, self._read.get(history, 0))
        while read < head:
            due = await self.database.read(partial(look, tenant_id=tenant_id, after=read, head=head))
            if due.is_something or due.upto - stored >= STORE_EVERY:
                written += await self.writer.submit(Job([tenant_id], partial(self._settle, tenant_id, due)))
                stored = due.upto
            read = self._read[history] = due.upto
        return written

    async def _settle(self, tenant_id: str, due: Due, writing: Writing) -> int:
        written = await self.settling.settle(writing, tenant_id, due)
        await store_upto(writing.tx, tenant_id, due.upto, writing.now)
        return written


async def _behind(tx: Tx) -> list[tuple[str, str, int, int]]:
    return [(tenant_id, epoch, seq, stored) for tenant_id, epoch, seq, stored in await tx.fetch(BEHIND)]
