"""Refusals that anybody can bring about, as often as they like: gathered in memory, noted once a minute.

Rules:

1. One entry a minute for each reason and origin, with how often: whoever knocks all day fills no table.
2. At most `MOST` different ones are told apart in a minute; what comes on top is noted without its origin.
3. A bearer names its tenant; what names none, or none that is here, is only counted in the metrics.
4. What a process gathered when it dies at once is lost: at most a minute of it, and the metrics had it.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio

from server import meters
from server.audit.entries import Actor, Entry, note
from server.storage.database import DatabaseError
from server.storage.writer import Job, UnknownTenantError, Writer, Writing

MOST = 500
EVERY_S = 60.0

Refused = tuple[str, str, str | None]
"""Tenant, reason, origin."""


class Refusals:
    """Gathers refusals of one process."""

    def __init__(self, writer: Writer, sleep: Callable[[float], Awaitable[None]] = anyio.sleep) -> None:
        """`sleep` takes seconds."""
        self._writer, self._sleep = writer, sleep
        self._gathered: Counter[Refused] = Counter()

    def refuse(self, reason: str, tenant_id: str | None = None, origin: str | None = None) -> None:
        """Count a refusal; `reason` is one of our own words, `origin` coarse."""
        meters.REFUSALS.labels(reason).inc()
        if tenant_id is None:
            return
        seen = (tenant_id, reason, origin)
        if seen not in self._gathered and len(self._gathered) >= MOST:
            seen = (tenant_id, reason, None)
            if seen not in self._gathered and len(self._gathered) >= 2 * MOST:
                return
        self._gathered[seen] += 1

    async def flush(self) -> None:
        """Note what was gathered; what cannot be stored now is tried again with the next."""
        gathered, self._gathered = self._gathered, Counter()
        for (tenant_id, reason, origin), times in gathered.items():
            entry = Entry("access.refuse", Actor("nobody", origin=origin), None, None, "refused", reason, times)
            try:
                await self._writer.submit(Job([tenant_id], partial(_note, tenant_id, entry)))
            except UnknownTenantError:
                continue
            except DatabaseError:
                self._gathered[tenant_id, reason, origin] += times

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Flush every minute, and at the end."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._run)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
        with suppress(DatabaseError):
            await self.flush()

    async def _run(self) -> None:
        while True:
            await self._sleep(EVERY_S)
            await self.flush()


async def _note(tenant_id: str, entry: Entry, writing: Writing) -> None:
    writing.tenant(tenant_id)
    await note(writing, tenant_id, entry)
