"""SQLite: the backup is an ordinary database file, written by `VACUUM INTO` in one read transaction.

A restore makes the new database beside the old one and then swaps their names, under a lock that nobody else can have.
The old one keeps its write-ahead log: a log that is left lying is taken for the new database's own.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from server.ops.backup.errors import BackupError
from server.ops.backup.manifest import Manifest, Reached

_REACHED = """/* across tenants */ SELECT c.tenant_id, t.epoch, c.client_id, c.last_mutation_id FROM clients AS c
    JOIN tenants AS t ON t.tenant_id = c.tenant_id"""
_HEADER = b"SQLite format 3\0"
_LOOK_S = 0.1
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def write(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the database into a new file; `progress` gets bytes written and, about, to write. Raises BackupError."""
    if not source.is_file():
        raise BackupError(f"there is no database {source}")
    total = source.stat().st_size
    with _watched(target, lambda size: progress(min(size, total), total)):
        _copy(source, target)
    progress(total, total)


def check(file: Path) -> Manifest:
    """Read a backup back. Raises BackupError where it is not whole."""
    with _reading(file) as connection:
        (found,) = connection.execute("PRAGMA integrity_check").fetchone()
        if found != "ok":
            raise BackupError(f"{file.name} is damaged ({found}): use another backup")
        if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise BackupError(f"{file.name} is damaged (a reference to nothing): use another backup")
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        if revision is None:
            raise BackupError(f"{file.name} is no backup of rientro's database")
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608
        reached = [Reached(*row) for row in connection.execute(_REACHED)]
    return Manifest(revision[0], rows, reached)


@contextmanager
def beside(file: Path, target: Path) -> Iterator[Path]:
    """A copy of a backup beside the database it is to replace; gone at the end, unless it was swapped in."""
    coming = target.with_name(f"{target.name}.restoring")
    try:
        _remove(coming)
        coming.touch(mode=0o600)
        _copy(file, coming)
        yield coming
    finally:
        _remove(coming)


def swap(coming: Path, target: Path, stamp: str) -> Path | None:
    """Give a database the name of another; the file that keeps the other. Raises BackupError if that is in use."""
    kept = target.with_name(f"{target.name}.before-restore-{stamp}")
    with _alone(target):
        replaced = target.exists()
        with suppress(FileNotFoundError):
            _log_of(target).rename(_log_of(kept))
        if replaced:
            _keep(target, kept)
        coming.replace(target)
        sync_to_disk(target.parent)
    return kept if replaced else None


def alone(target: Path) -> None:
    """Raises BackupError while somebody else has the database open."""
    with _alone(target):
        pass


def sync_to_disk(path: Path) -> None:
    """Wait until a file or a folder is on the disk as it is here."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy(source: Path, target: Path) -> None:
    with _reading(source) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    sync_to_disk(target)


def _keep(target: Path, kept: Path) -> None:
    """A second name for it, so that there is a database under the first at every moment; where links are, a move."""
    try:
        kept.hardlink_to(target)
    except OSError:
        target.rename(kept)


def _remove(database: Path) -> None:
    for name in ("", "-wal", "-shm", "-journal"):
        database.with_name(database.name + name).unlink(missing_ok=True)


def _log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}-wal")


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Lock everybody out; leaving WAL mode folds the log in, and works only for the one connection there is.

    A file that is no database any more cannot be locked, and nobody works with it: that is why somebody restores.
    """
    if not _is_database(target):
        yield
        return
    with closing(sqlite3.connect(target, timeout=1, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in _BUSY:
                raise BackupError("a server or a relay has this database open: stop it first") from None
        yield


def _is_database(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(_HEADER)) == _HEADER
    except FileNotFoundError:
        return False


@contextmanager
def _reading(file: Path) -> Iterator[sqlite3.Connection]:
    address = f"{file.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise BackupError(f"{file.name}: {error}") from error


@contextmanager
def _watched(target: Path, told: Callable[[int], None]) -> Iterator[None]:
    """Tell how large a file has become, again and again."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(_LOOK_S):
            told(target.stat().st_size)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
