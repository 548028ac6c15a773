"""A database behind a counter: the real one does the work."""

from collections.abc import Callable

from server.storage.database import Database, T, Work
from server.storage.statement import DialectName


class CountedDatabase:
    """Counts the snapshots taken of it."""

    def __init__(self, real: Database) -> None:
        self._real, self.reads = real, 0

    @property
    def dialect(self) -> DialectName:
        return self._real.dialect

    async def read(self, work: Work[T]) -> T:
        self.reads += 1
        return await self._real.read(work)

    async def write(self, work: Work[T]) -> T:
        return await self._real.write(work)

    async def watch(self, changed: Callable[[str | None], None]) -> None:
        await self._real.watch(changed)

    async def close(self) -> None:
        await self._real.close()
