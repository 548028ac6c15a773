"""The database port: transactions that engine, relay and inbox are written against, once for SQLite and PostgreSQL.

A unit of work is `async def work(tx)`. On PostgreSQL its awaits are real. On SQLite they never suspend: the coroutine
is driven to its end inside the writer's (or a reader's) thread, so a transaction costs one change of threads, not one
per statement. A unit of work must therefore await nothing but `tx`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from server import meters
from server.storage.statement import DialectName, Parameters, Statement

T = TypeVar("T")
Row = Sequence[Any]


class Tx(Protocol):
    """An open transaction, or one snapshot when reading."""

    @property
    def dialect(self) -> DialectName:
        """Which database this is."""

    async def fetch(self, statement: Statement, parameters: Parameters = ()) -> Sequence[Row]:
        """All rows."""

    async def execute(self, statement: Statement, parameters: Parameters = ()) -> int:
        """Run it; the number of rows it touched."""

    async def many(self, statement: Statement, rows: Sequence[Parameters]) -> None:
        """Run it once a row."""

    async def copy(
        self, table: str, columns: Sequence[str], statement: Statement, rows: Sequence[Sequence[Any]]
    ) -> None:
        """Insert rows of wire text: COPY into the table on PostgreSQL, `statement` once a row on SQLite."""


Work = Callable[[Tx], Awaitable[T]]


class DatabaseError(Exception):
    """The database refused or failed; `transient` says that trying again may help, `unique` that a key was taken."""

    def __init__(self, message: str, *, transient: bool = False, unique: bool = False) -> None:
        """The message carries no values: they may be somebody's data."""
        super().__init__(message)
        self.transient, self.unique = transient, unique
        kind = "unique" if unique else "transient" if transient else "permanent"
        meters.DATABASE_ERRORS.labels(kind).inc()  # here, so that none is forgotten, whoever handles it


class Database(Protocol):
    """An open database. Only `server.storage.writer.Writer` calls `write`."""

    @property
    def dialect(self) -> DialectName:
        """Which database this is."""

    async def read(self, work: Work[T]) -> T:
        """Run a unit of work in one snapshot."""

    async def write(self, work: Work[T]) -> T:
        """Run a unit of work in one transaction and commit it durably. Raises DatabaseError."""

    async def watch(self, changed: Callable[[str | None], None]) -> None:
        """Call `changed` when another process wrote: with a tenant, or None where that is unknown; until cancelled."""

    async def close(self) -> None:
        """Give everything back."""
