"""SQLite: one writing connection in one thread, a few reading ones beside it, WAL, and an fsync at every commit.

An acknowledged sale must survive a power cut, hence synchronous=FULL. Several processes may share the file: writers
begin IMMEDIATE and wait for each other, and `PRAGMA data_version` on the writing connection tells when another one
wrote.

A file may be copied back under a running server. Each transaction begins with a look at what the path names: another
file is opened anew, and the first writing that finds one fails as after a lost connection, so that the writer knows
that this may be another history. What is written to a file that has lost its name would be lost with it, so that fails
too; and where there was a file once, no connection makes an empty one in its place.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast
from urllib.parse import quote

import anyio

from server.storage.database import DatabaseError, Row, Work
from server.storage.statement import DialectName, Parameters, Statement

T = TypeVar("T")

PRAGMAS = (
    "PRAGMA busy_timeout = 5000",  # first: it covers the switch to WAL
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA cache_size = -16000",
)
READERS = 2
WATCH_S = 0.2

_READ, _WRITE = "BEGIN DEFERRED", "BEGIN IMMEDIATE"
_File = tuple[int, int] | None

_TRANSIENT = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
    # A file that is being put back is for a moment half there: no mutation is to blame for it.
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY),
}
_UNIQUE = {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_ROWID}


class SqliteTx:
    """A transaction on a connection that only this thread uses; its coroutines never suspend."""

    dialect: DialectName = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        """The transaction is begun and ended by whoever made this."""
        self._connection = connection

    async def fetch(self, statement: Statement, parameters: Parameters = ()) -> Sequence[Row]:
        """All rows."""
        arguments = statement.arguments("sqlite", parameters)
        return self._connection.execute(statement.sql("sqlite"), arguments).fetchall()

    async def execute(self, statement: Statement, parameters: Parameters = ()) -> int:
        """The number of rows touched."""
        return self._connection.execute(statement.sql("sqlite"), statement.arguments("sqlite", parameters)).rowcount

    async def many(self, statement: Statement, rows: Sequence[Parameters]) -> None:
        """Once a row."""
        if rows:
            self._connection.executemany(statement.sql("sqlite"), [statement.arguments("sqlite", row) for row in rows])

    async def copy(
        self, _table: str, _columns: Sequence[str], statement: Statement, rows: Sequence[Sequence[Any]]
    ) -> None:
        """Insert rows of wire text."""
        self._connection.executemany(statement.sql("sqlite"), rows)


class SqliteDatabase:
    """An open SQLite file."""

    dialect: DialectName = "sqlite"

    def __init__(self, path: str) -> None:
        """Connections are made by the threads that use them, at first use."""
        self._path = path
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="rientro-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="rientro-read")
        self._local = threading.local()
        self._open: set[sqlite3.Connection] = set()
        self._had_file = False

    async def read(self, work: Work[T]) -> T:
        """Run a unit of work in one snapshot."""
        return await self._run(self._readers, _READ, work)

    async def write(self, work: Work[T]) -> T:
        """Run a unit of work in one transaction; it is on the disk when this returns."""
        return await self._run(self._writer, _WRITE, work)

    async def watch(self, changed: Callable[[str | None], None]) -> None:
        """Poll for other processes' commits; whose tenants they were is not known."""
        loop = asyncio.get_running_loop()
        before = await loop.run_in_executor(self._writer, self._data_version)
        while True:
            await anyio.sleep(WATCH_S)
            now = await loop.run_in_executor(self._writer, self._data_version)
            if now is not None and now != before:
                before = now
                changed(None)

    async def close(self) -> None:
        """Wait for what runs, then close every connection."""
        await anyio.to_thread.run_sync(self._writer.shutdown)
        await anyio.to_thread.run_sync(self._readers.shutdown)
        for connection in self._open:
            connection.close()

    def _run(self, threads: ThreadPoolExecutor, begin: str, work: Work[T]) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(threads, self._transaction, begin, work)

    def _transaction(self, begin: str, work: Work[T]) -> T:
        try:
            connection = self._connection(told=begin == _WRITE)
            connection.execute(begin)
            try:
                result = _drive(cast("Coroutine[Any, Any, T]", work(SqliteTx(connection))))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise _translated(error) from error
        return result

    def _data_version(self) -> tuple[_File, int] | None:
        """Changes with every commit of another process and with the file; None where it cannot be told."""
        try:
            connection = self._connection(told=False)
            return self._local.file, int(connection.execute("PRAGMA data_version").fetchone()[0])
        except (sqlite3.Error, DatabaseError):
            return None

    def _connection(self, *, told: bool) -> sqlite3.Connection:
        """A connection of this thread's own to the file that is there now.

        Raises DatabaseError where there is none any more, and once, to whoever is to be `told`, where it is another.
        """
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            return self._opened()
        if self._local.file is not None and (found := _file(self._path)) != self._local.file:
            if found is None:
                raise _gone()
            self._open.discard(connection)
            connection.close()
            connection = self._opened()
            self._local.replaced = True
        if told and self._local.replaced:
            self._local.replaced = False
            raise DatabaseError("the file was replaced", transient=True)
        return connection

    def _opened(self) -> sqlite3.Connection:
        try:
            connection = connect(self._path, create=not self._had_file)
        except sqlite3.OperationalError as error:
            raise (_gone() if error.sqlite_errorcode == sqlite3.SQLITE_CANTOPEN else error) from error
        self._open.add(connection)
        file = _file(self._path)
        if self._had_file and file is None:
            raise _gone()
        self._had_file = file is not None
        self._local.connection, self._local.file, self._local.replaced = connection, file, False
        return connection


def connect(path: str, *, create: bool = True) -> sqlite3.Connection:
    """A connection set up as all of ours are; without `create` there must be a file."""
    address = path if create else f"file:{quote(path)}?mode=rw"
    connection = sqlite3.connect(
        address, isolation_level=None, check_same_thread=False, cached_statements=256, uri=not create
    )
    for pragma in PRAGMAS:
        connection.execute(pragma)
    return connection


def _gone() -> DatabaseError:
    return DatabaseError("the file is gone", transient=True)


def _file(path: str) -> _File:
    """What a path names, by device and number; None where it names no file."""
    try:
        found = os.stat(path)  # noqa: PTH116  # at every transaction: no object for it
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine whose awaits never suspend."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    coroutine.close()
    raise RuntimeError("a unit of work awaited something else than its transaction")


def _translated(error: sqlite3.Error) -> DatabaseError:
    code = getattr(error, "sqlite_errorcode", 0)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return DatabaseError(name, transient=code & 0xFF in _TRANSIENT, unique=code in _UNIQUE)
