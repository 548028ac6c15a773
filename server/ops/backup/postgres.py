"""PostgreSQL: the backup is a ZIP of what COPY gives for each table, all read in one snapshot, and a manifest.

It needs no program of PostgreSQL's beside the server, and can be put back into any version of it. A restore is one
transaction, DDL included: until it commits, whoever looks sees the database that was there before.
"""

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from server import collections  # noqa: F401  # registers the tables
from server.ops.backup.errors import BackupError
from server.ops.backup.manifest import Manifest, Reached
from server.ops.backup.within import Within
from server.storage import tables  # noqa: F401  # likewise
from server.storage.database import Database
from server.storage.migrate import migrating, run_within
from server.storage.postgres import connect_arguments, set_codecs

FORMAT = 1
_MANIFEST = "manifest.json"
_CHUNK = 1 << 20
_REVISION = "alembic_version"
# COPY writes dates as the session is told to, and reads them as the other one is.
_SETTINGS = {"application_name": "rientro", "timezone": "UTC", "datestyle": "ISO"}

_TABLES = """SELECT t.relname, array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_class AS t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace AND t.relname = ANY ($1)
    GROUP BY t.relname ORDER BY t.relname"""
_REACHED = """/* across tenants */ SELECT c.tenant_id::text, t.epoch, c.client_id::text, c.last_mutation_id
    FROM clients AS c JOIN tenants AS t ON t.tenant_id = c.tenant_id"""
# What other users' sessions are is not told to everybody; that they are there is. Workers of its own have no user.
_OTHERS = """SELECT coalesce(nullif(application_name, ''), 'somebody') FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
    AND coalesce(backend_type, 'client backend') = 'client backend'"""
_NO_BACKUP = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError),
    *(KeyError, TypeError, ValueError),
)


async def write(url: str, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the database into a new file; `progress` gets tables done and to do. Raises BackupError."""
    with _refusals():
        async with _connected(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            found = await connection.fetch(_TABLES, _ours())
            if not found:
                raise BackupError("there is nothing of rientro's in this database")
            revision = await connection.fetchval("SELECT version_num FROM alembic_version")
            reached = [list(row) for row in await connection.fetch(_REACHED)]
            described: dict[str, Any] = {}
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for done, (name, columns) in enumerate(found):
                    progress(done, len(found))
                    described[name] = await _write_table(connection, archive, name, columns)
                manifest = {"format": FORMAT, "revision": revision, "tables": described, "reached": reached}
                archive.writestr(_MANIFEST, json.dumps(manifest))
            progress(len(found), len(found))


def check(file: Path) -> Manifest:
    """Read a backup back: every row of every table. Raises BackupError where it is not whole."""
    with _whole(file), zipfile.ZipFile(file) as archive:
        manifest = _manifest(archive)
        rows: dict[str, int] = {}
        for name, described in manifest["tables"].items():
            with archive.open(name) as stored:
                rows[name], digest = _digest(stored)
            if (rows[name], digest) != (described["rows"], described["sha256"]):
                raise BackupError(f"{file.name} is damaged (table {name}): use another backup")
        return Manifest(manifest["revision"], rows, [Reached(*row) for row in manifest["reached"]])


async def put_back(url: str, file: Path, stamp: str, renew: Callable[[Database], Awaitable[int]]) -> tuple[str, int]:
    """Make a backup the database and `renew` it, in one transaction.

    The schema that keeps what it replaces ("" for nothing), and what `renew` said. Raises BackupError while the
    database is in use, DatabaseError. The file was checked before.
    """
    kept = f"before_restore_{stamp.lower()}"
    with _refusals(), zipfile.ZipFile(file) as archive:
        manifest = _manifest(archive)
        async with migrating(url) as migration:
            connection = await _driver(migration)
            await alone(connection)
            replaced = await _set_aside(connection, kept)
            await run_within(migration, "upgrade", manifest["revision"])
            for name, described in manifest["tables"].items():
                if name != _REVISION:
                    await _read_table(connection, archive, name, described["columns"])
            await run_within(migration, "upgrade", "head")
            await set_codecs(connection)
            return (kept if replaced else ""), await renew(Within(connection))


async def alone(connection: Any) -> None:
    """Raises BackupError while somebody else is connected to the database."""
    others = sorted({row[0] for row in await connection.fetch(_OTHERS)})
    if others:
        raise BackupError(f"{', '.join(others)} has this database open: stop servers and relays first")


def _ours() -> list[str]:
    """Tables of ours: a database may hold others'."""
    return [*SQLModel.metadata.tables, _REVISION]


async def _driver(migration: AsyncConnection) -> Any:
    """The driver's own connection, in the same transaction, set as when the backup was written."""
    for name, value in _SETTINGS.items():
        await migration.exec_driver_sql(f"SET LOCAL {name} = '{value}'")
    return (await migration.get_raw_connection()).driver_connection


async def _write_table(connection: Any, archive: zipfile.ZipFile, name: str, columns: list[str]) -> dict[str, Any]:
    digest, rows = hashlib.sha256(), 0
    with archive.open(name, "w", force_zip64=True) as stored:

        async def take(data: bytes) -> None:
            nonlocal rows
            digest.update(data)
            rows += data.count(b"\n")
            stored.write(data)

        await connection.copy_from_table(name, columns=columns, output=take, format="text")
    return {"columns": columns, "rows": rows, "sha256": digest.hexdigest()}


async def _read_table(connection: Any, archive: zipfile.ZipFile, name: str, columns: list[str]) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        with archive.open(name) as stored:
            while chunk := stored.read(_CHUNK):
                yield chunk

    await connection.copy_to_table(name, source=chunks(), columns=columns, format="text")


async def _set_aside(connection: Any, kept: str) -> bool:
    """Move our tables into a schema of their own; whether there were any."""
    found = await connection.fetch(_TABLES, _ours())
    if found:
        await connection.execute(f'CREATE SCHEMA "{kept}"')
    for name, _ in found:
        await connection.execute(f'ALTER TABLE "{name}" SET SCHEMA "{kept}"')
    return bool(found)


def _digest(stored: Any) -> tuple[int, str]:
    digest, rows = hashlib.sha256(), 0
    while chunk := stored.read(_CHUNK):
        digest.update(chunk)
        rows += chunk.count(b"\n")
    return rows, digest.hexdigest()


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(archive.read(_MANIFEST))
    if manifest["format"] != FORMAT:
        raise BackupError(f"this backup has format {manifest['format']}; this program reads {FORMAT}")
    strange = sorted(manifest["tables"].keys() - set(_ours()))
    if strange:
        raise BackupError(f"this backup has tables that are not rientro's: {', '.join(strange)}")
    return manifest


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(**connect_arguments(url), server_settings=_SETTINGS)
    try:
        yield connection
    finally:
        await connection.close()


@contextmanager
def _whole(file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BackupError(f"there is no file {file}") from error
    except (*_NO_BACKUP, OSError) as error:
        raise BackupError(f"{file.name} is no whole backup of PostgreSQL ({type(error).__name__})") from error


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise BackupError(f"the database or the file cannot be read or written ({type(error).__name__})") from error
