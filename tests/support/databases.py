"""Fresh, migrated databases in milliseconds: each kind is migrated once a session and copied for each test.

The work runs in an event loop of its own thread, so synchronous fixtures and tests get databases too.
"""

import shutil
import sqlite3
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import asyncpg
from anyio.from_thread import BlockingPortal
from sqlalchemy import URL

_TEMPLATE = "rientro_template"


class SqliteTemplate:
    """A migrated SQLite file; copies of it are databases."""

    def __init__(self, portal: BlockingPortal, folder: Path) -> None:
        """Migrate a new file in `folder` and fold its write-ahead log back in, so that one file holds everything."""
        self._file = folder / "template.db"
        portal.call(_migrate, sqlite_url(self._file))
        connection = sqlite3.connect(self._file)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def copy_to(self, file: Path) -> str:
        """Make `file` a fresh database and give its address."""
        shutil.copyfile(self._file, file)
        return sqlite_url(file)


class PostgresTemplate:
    """A migrated database of a PostgreSQL server; copies are made by the server, by file copy."""

    def __init__(self, portal: BlockingPortal, socket: Path) -> None:
        """Create and migrate the template on the server at `socket`."""
        self._portal = portal
        self._socket = socket
        portal.call(self._execute, f"CREATE DATABASE {_TEMPLATE}")
        portal.call(_migrate, postgres_url(socket, _TEMPLATE))

    @contextmanager
    def copy(self) -> Iterator[str]:
        """Yield the address of a fresh database, dropped at the end with whoever is still connected."""
        name = f"test_{uuid.uuid4().hex}"
        self._portal.call(self._execute, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY")
        try:
            yield postgres_url(self._socket, name)
        finally:
            self._portal.call(self._execute, f"DROP DATABASE {name} WITH (FORCE)")

    async def _execute(self, statement: str) -> None:
        async with _administrator(self._socket) as connection:
            await connection.execute(statement)


def back_up_file(file: Path, copy: Path) -> None:
    """Copy a SQLite database that is in use, as SQLite itself does it."""
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def put_back_file(copy: Path, file: Path) -> None:
    """What somebody does who restores by hand: the old log goes, then the copy takes the file's name."""
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    copy.replace(file)


def sqlite_url(file: Path) -> str:
    """SQLAlchemy's address of a SQLite file."""
    return f"sqlite+aiosqlite:///{file}"


def postgres_url(socket: Path, database: str) -> str:
    """SQLAlchemy's address of a database behind a unix socket."""
    url = URL.create("postgresql+asyncpg", username="postgres", database=database, query={"host": str(socket)})
    return url.render_as_string(hide_password=False)


async def _migrate(url: str) -> None:
    from server.storage.migrate import upgrade  # noqa: PLC0415  tests of the kernel load no server

    await upgrade(url)


@asynccontextmanager
async def _administrator(socket: Path) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(host=str(socket), user="postgres", database="postgres")
    try:
        yield connection
    finally:
        await connection.close()
