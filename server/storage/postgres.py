"""PostgreSQL by asyncpg: one writing connection a process, a few reading ones, LISTEN for the others' commits.

Values travel as the wire's text in both directions (codecs below), so a unit of work sees the same rows as on SQLite.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import anyio
import asyncpg
from sqlalchemy.engine import make_url

from server.storage.database import DatabaseError, Row, Work
from server.storage.statement import DialectName, Parameters, Statement

T = TypeVar("T")

CHANNEL = "rientro"
READERS = 4

_SETTINGS = {
    "application_name": "rientro",
    "timezone": "UTC",
    "jit": "off",
    # Generic plans made while a table was empty stay bad for the life of the connection.
    "plan_cache_mode": "force_custom_plan",
    # Fresh tables have no statistics yet; every query here has its index.
    "enable_seqscan": "off",
}
_TRANSIENT = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    OSError,
)
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what the driver says of a connection that was cut off while it was beginning
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    OSError,
)
"""Of no use any more is a connection after these."""
_SPECIAL = "\\\t\n\r"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class PostgresTx:
    """A transaction on one connection."""

    dialect: DialectName = "postgresql"

    def __init__(self, connection: Any) -> None:
        """The transaction is begun and ended by whoever made this."""
        self._connection = connection

    async def fetch(self, statement: Statement, parameters: Parameters = ()) -> Sequence[Row]:
        """All rows."""
        arguments = statement.arguments("postgresql", parameters)
        rows: Sequence[Row] = await self._connection.fetch(statement.sql("postgresql"), *arguments)
        return rows

    async def execute(self, statement: Statement, parameters: Parameters = ()) -> int:
        """The number of rows touched."""
        arguments = statement.arguments("postgresql", parameters)
        status: str = await self._connection.execute(statement.sql("postgresql"), *arguments)
        last = status.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

    async def many(self, statement: Statement, rows: Sequence[Parameters]) -> None:
        """Once a row, in one round trip."""
        if rows:
            arguments = [statement.arguments("postgresql", row) for row in rows]
            await self._connection.executemany(statement.sql("postgresql"), arguments)

    async def copy(
        self, table: str, columns: Sequence[str], _statement: Statement, rows: Sequence[Sequence[Any]]
    ) -> None:
        """COPY rows of wire text straight into the table."""
        texts = [_copy_column(values) for values in zip(*rows, strict=True)]
        lines = "\n".join(map("\t".join, zip(*texts, strict=True))).encode()

        async def source() -> AsyncIterator[bytes]:
            yield lines

        await self._connection.copy_to_table(table, source=source(), columns=columns, format="text")


def _copy_column(values: Sequence[Any]) -> Sequence[str]:
    """A column as COPY reads it, looked through as a whole first: hardly one holds what has to be escaped."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return list(map(str, values))
    if kinds != {str}:
        return [_copy_text(value) for value in values]
    whole = "".join(values)
    if any(special in whole for special in _SPECIAL):
        return [value.translate(_ESCAPES) for value in values]
    return values


def _copy_text(value: Any) -> str:
    if value is None:
        return "\\N"
    if value.__class__ is str:
        return value.translate(_ESCAPES)
    if value.__class__ is bool:
        return "t" if value else "f"
    return str(value)


class PostgresDatabase:
    """A PostgreSQL database; connections are made at first use and again after a loss."""

    dialect: DialectName = "postgresql"

    def __init__(self, url: str) -> None:
        """`url` as SQLAlchemy writes it: postgresql+asyncpg://user:password@host/database."""
        self._connect_to = connect_arguments(url)
        self._pool: Any = None
        self._writer: Any = None
        self._opening = anyio.Lock()
        self._writing = anyio.Lock()

    async def read(self, work: Work[T]) -> T:
        """Run a unit of work in one snapshot."""
        with _Translating():
            pool = await self._opened()
            async with (
                pool.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                return await work(PostgresTx(connection))

    async def write(self, work: Work[T]) -> T:
        """Run a unit of work in one transaction and commit it."""
        with _Translating():
            async with self._writing:
                if self._writer is None:
                    self._writer = await self._connection()
                elif self._writer.is_closed():  # lost while nobody wrote: the next one may lead to another history
                    self._writer = None
                    raise DatabaseError("the connection was lost", transient=True)
                try:
                    async with self._writer.transaction():
                        return await work(PostgresTx(self._writer))
                except _LOST:
                    self._writer.terminate()
                    self._writer = None
                    raise

    async def watch(self, changed: Callable[[str | None], None]) -> None:
        """Listen for commits; after a lost connection everything may have changed."""
        while True:
            try:
                async with self._listening(changed) as lost:
                    changed(None)
                    await lost.wait()
            except _TRANSIENT:
                await anyio.sleep(1)

    @asynccontextmanager
    async def _listening(self, changed: Callable[[str | None], None]) -> AsyncIterator[anyio.Event]:
        connection = await self._connection()
        lost = anyio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        await connection.add_listener(CHANNEL, partial(self._notified, changed))
        try:
            yield lost
        finally:
            connection.terminate()

    def _notified(
        self, changed: Callable[[str | None], None], _connection: Any, pid: int, _channel: str, tenant_id: str
    ) -> None:
        """Pass another process's commit on; our own is known."""
        if self._writer is None or pid != self._writer.get_server_pid():
            changed(tenant_id)

    async def close(self) -> None:
        """Give the connections back."""
        if self._writer is not None:
            await self._writer.close()
        if self._pool is not None:
            await self._pool.close()

    async def _opened(self) -> Any:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    **self._connect_to,
                    min_size=1,
                    max_size=READERS,
                    server_settings=_SETTINGS,
                    init=set_codecs,
                    reset=_keep,
                )
        return self._pool

    async def _connection(self) -> Any:
        connection = await asyncpg.connect(**self._connect_to, server_settings=_SETTINGS)
        await set_codecs(connection)
        return connection


def connect_arguments(url: str) -> dict[str, Any]:
    """Asyncpg's arguments for an SQLAlchemy URL."""
    parsed = make_url(url)
    host = parsed.host or parsed.query.get("host")
    known = {
        "host": host,
        "port": parsed.port,
        "user": parsed.username,
        "password": parsed.password,
        "database": parsed.database,
    }
    return {name: value for name, value in known.items() if value is not None}


async def set_codecs(connection: Any) -> None:
    """Let values travel as the wire's text on this connection."""
    for name, decode in (("uuid", str), ("numeric", str), ("date", str), ("json", str), ("timestamptz", _instant)):
        await connection.set_type_codec(name, encoder=str, decoder=decode, schema="pg_catalog", format="text")


async def _keep(_connection: Any) -> None:
    """Nothing to undo after a read: it ran in a transaction, and sets nothing. Saves asyncpg's own reset, a query."""


def _instant(text: str) -> str:
    """`2026-11-24 06:04:01.5+00` as the wire's `2026-11-24T06:04:01.500Z`."""
    moment, fraction = text[:19], text[19:].split("+", 1)[0].lstrip(".")
    return f"{moment[:10]}T{moment[11:]}.{fraction[:3].ljust(3, '0')}Z"


class _Translating:
    """Turns the driver's errors into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (asyncpg.PostgresError, *_LOST)):
            unique = isinstance(error, asyncpg.UniqueViolationError)
            transient = isinstance(error, (*_TRANSIENT, *_LOST))
            raise DatabaseError(type(error).__name__, transient=transient, unique=unique) from error
