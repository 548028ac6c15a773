"""SQLite: the backup is an ordinary database file, written by `VACUUM INTO` in one read transaction."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from server.ops.backup.errors import BackupError
from server.ops.backup.manifest import Manifest, Reached

_REACHED = """SELECT c.tenant_id, t.epoch, c.client_id, c.last_mutation_id FROM clients AS c
    JOIN tenants AS t ON t.tenant_id = c.tenant_id"""
_LOOK_S = 0.1


def write(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the database into a new file; `progress` gets bytes written and, about, to write. Raises BackupError."""
    total = source.stat().st_size
    done = threading.Event()

    def look() -> None:
        while not done.wait(_LOOK_S):
            progress(min(target.stat().st_size if target.exists() else 0, total), total)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        with _reading(source) as connection:
            connection.execute("VACUUM INTO ?", (str(target),))
    finally:
        done.set()
        watcher.join()
    _sync(target)
    progress(total, total)


def check(file: Path) -> Manifest:
    """Read a backup back. Raises BackupError where it is not whole."""
    with _reading(file) as connection:
        (found,) = connection.execute("PRAGMA integrity_check").fetchone()
        if found != "ok":
            raise BackupError(f"{file.name} is damaged ({found}): use another backup")
        if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise BackupError(f"{file.name} is damaged (a reference to nothing): use another backup")
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608
        reached = [Reached(*row) for row in connection.execute(_REACHED)]
    return Manifest(revision, rows, reached)


def put_back(file: Path, target: Path, stamp: str) -> Path | None:
    """Make a copy of a backup the database; the file that keeps the one before. Raises BackupError if it is in use."""
    kept = None
    if target.exists():
        _alone(target)
        kept = target.with_name(f"{target.name}.before-restore-{stamp}")
        target.replace(kept)
        for suffix in ("-wal", "-shm"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
    coming = target.with_name(f"{target.name}.restoring")
    coming.unlink(missing_ok=True)
    with _reading(file) as connection:
        connection.execute("VACUUM INTO ?", (str(coming),))
    _sync(coming)
    coming.replace(target)
    _sync(target.parent)
    return kept


def _alone(target: Path) -> None:
    """Leave WAL mode, which folds the log in and works only for the one connection there is."""
    with closing(sqlite3.connect(target, timeout=1, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError:
            raise BackupError("a server or a relay has this database open: stop it first") from None


@contextmanager
def _reading(file: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(
            sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        ) as connection:
            yield connection
    except sqlite3.Error as error:
        raise BackupError(f"{file.name}: {error}") from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
