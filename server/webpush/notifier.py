"""The notifier: looks for what is due to be told, and has it composed; in every process that works.

Several at once do no harm: what is composed is taken in one transaction under the merchant's lock. It sleeps until the
next is due or somebody here noted something; what another process noted is found within `LOOK_S`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import anyio
import structlog

from server.engine.records import Records
from server.storage.database import Database, DatabaseError, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, UnknownTenantError, Writer
from server.webpush.composing import compose, groups

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LOOK_S = 15.0
_SOON_S = 0.2
_TENANTS = Statement("/* across tenants */ SELECT DISTINCT tenant_id FROM webpush_notices ORDER BY tenant_id")


@dataclass
class Notifier:
    """Tells devices. `clock` gives milliseconds since 1970."""

    database: Database
    writer: Writer
    records: Records
    public_url: str | None
    clock: Callable[[], int]
    _noted: anyio.Event = field(default_factory=anyio.Event)

    def wake(self) -> None:
        """Something was noted; its commit may be under way."""
        self._noted.set()

    async def run(self) -> None:
        """Compose until cancelled; what goes wrong is tried again at the next look."""
        while True:
            self._noted = anyio.Event()
            try:
                due_ms = await self.once()
                pause_s = LOOK_S if due_ms is None else (due_ms - self.clock()) / 1000
            except DatabaseError as error:
                log.warning("webpush_put_off", error=str(error))
                pause_s = LOOK_S
            except Exception:
                log.exception("webpush_composing_failed", alarm=True)
                pause_s = LOOK_S
            with anyio.move_on_after(min(max(pause_s, _SOON_S), LOOK_S)):
                await self._noted.wait()
                await anyio.sleep(_SOON_S)

    async def once(self) -> int | None:
        """One look: all that is due is composed; when the next is. Raises DatabaseError."""
        next_ms: int | None = None
        for tenant_id in await self._tenants():
            due_ms = await self._due_ms(tenant_id)
            if due_ms is not None and due_ms <= self.clock():
                await self._compose(tenant_id)
                due_ms = await self._due_ms(tenant_id)
            next_ms = min((one for one in (next_ms, due_ms) if one is not None), default=None)
        return next_ms

    async def _compose(self, tenant_id: str) -> None:
        run: Callable[..., Awaitable[int]] = partial(compose, self.records, self.public_url, tenant_id)
        try:
            messages = await self.writer.submit(Job([tenant_id], run))
        except UnknownTenantError:
            return  # deleted meanwhile
        if messages:
            log.info("webpush_composed", tenant_id=tenant_id, messages=messages)

    async def _tenants(self) -> list[str]:
        async def work(tx: Tx) -> list[str]:
            return [str(tenant_id) for (tenant_id,) in await tx.fetch(_TENANTS)]

        return await self.database.read(work)

    async def _due_ms(self, tenant_id: str) -> int | None:
        async def work(tx: Tx) -> int | None:
            waiting = await groups(tx, tenant_id, self.clock())
            return min((group.due_ms for group in waiting), default=None)

        return await self.database.read(work)
