"""Databases of the simulation: the real SQLite adapter without its threads, on files in memory where there are such.

Every transaction runs where it is asked for, so the order of things is the simulation's alone. Files are never synced:
a crash of the simulation falls between transactions, and a lost disk is what `Disk.restore` is for.
"""

import shutil
import sqlite3
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.dialects import sqlite

from server.storage.database import DatabaseError, Tx, Work
from server.storage.migrate import upgrade
from server.storage.sqlite import _READ, _WRITE, SqliteDatabase, T
from tests.simulation.models import errands_ddl
from tests.support.databases import sqlite_url

_MEMORY = Path("/dev/shm")
_SIDE_FILES = ("-wal", "-shm")


class InlineSqlite(SqliteDatabase):
    """The SQLite adapter with one connection, used in the caller's own thread. `refusals` fail the next commits."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.refusals: deque[DatabaseError] = deque()

    async def read(self, work: Work[T]) -> T:
        return self._transaction(_READ, work)

    async def write(self, work: Work[T]) -> T:
        async def refused(tx: Tx) -> T:
            await work(tx)
            raise self.refusals.popleft()

        return self._transaction(_WRITE, refused if self.refusals else work)

    async def close(self) -> None:
        for connection in self._open:
            connection.close()

    def _opened(self) -> sqlite3.Connection:
        connection = super()._opened()
        connection.execute("PRAGMA synchronous = OFF")
        return connection


class Disk:
    """The server's database file: it can be copied, and copied back."""

    def __init__(self, file: Path, template: bytes) -> None:
        """A fresh database at `file`."""
        self.file = file
        self._template = template
        file.write_bytes(template)

    def open(self) -> InlineSqlite:
        """The database as a process just started sees it."""
        return InlineSqlite(str(self.file))

    def copy(self) -> bytes:
        """The file as it stands, with what is still in its log."""
        connection = sqlite3.connect(self.file)
        try:
            return connection.serialize()
        finally:
            connection.close()

    def restore(self, content: bytes) -> None:
        """Copy a file back; nobody may have it open."""
        for suffix in _SIDE_FILES:
            Path(f"{self.file}{suffix}").unlink(missing_ok=True)
        self.file.write_bytes(content)

    def replace(self, content: bytes) -> None:
        """Put a file in the place of this one, which somebody has open."""
        fresh = self.file.with_suffix(".fresh")
        fresh.write_bytes(content)
        for suffix in _SIDE_FILES:
            Path(f"{self.file}{suffix}").unlink(missing_ok=True)
        fresh.replace(self.file)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that goes away again, in memory where the machine allows it."""
    folder = Path(tempfile.mkdtemp(prefix="rientro-sim-", dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def migrated(folder: Path) -> bytes:
    """An empty database with every table, as the content of a file."""
    file = folder / "template.db"
    await upgrade(sqlite_url(file))
    connection = sqlite3.connect(file)
    try:
        for statement in errands_ddl(sqlite.dialect()):
            connection.execute(statement)
        connection.commit()
        connection.execute("PRAGMA journal_mode = WAL")
        return connection.serialize()
    finally:
        connection.close()
