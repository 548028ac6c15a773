"""A transaction that somebody else began and ends, as a database: what is written to it stands or falls with it."""

from collections.abc import Callable
from typing import Any, TypeVar

from server.storage.database import Work
from server.storage.postgres import PostgresTx
from server.storage.statement import DialectName

T = TypeVar("T")


class Within:
    """Units of work run in a connection's transaction, each whole or not at all (a savepoint); none commits."""

    dialect: DialectName = "postgresql"

    def __init__(self, connection: Any) -> None:
        """Used by one writer at a time; values travel as the wire's text already."""
        self._connection = connection

    async def read(self, work: Work[T]) -> T:
        """As the transaction sees it."""
        return await work(PostgresTx(self._connection))

    async def write(self, work: Work[T]) -> T:
        """On the disk when the transaction is."""
        async with self._connection.transaction():
            return await work(PostgresTx(self._connection))

    async def watch(self, _changed: Callable[[str | None], None]) -> None:
        """Nobody else writes to it."""

    async def close(self) -> None:
        """Its owner does that."""
