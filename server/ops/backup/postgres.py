"""PostgreSQL: the backup is a ZIP of what COPY gives for each table, all read in one snapshot, and a manifest.

It needs no program of PostgreSQL's beside the server, and can be put back into any version of it.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from server.ops.backup.errors import BackupError
from server.ops.backup.manifest import Manifest, Reached
from server.storage.migrate import upgrade
from server.storage.postgres import connect_arguments

FORMAT = 1
_MANIFEST = "manifest.json"
_CHUNK = 1 << 20

_TABLES = """SELECT t.relname, array_agg(a.attname::text ORDER BY a.attnum), max(t.reltuples)::bigint
    FROM pg_class AS t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace GROUP BY t.relname ORDER BY t.relname"""
_REACHED = """/* across tenants */ SELECT c.tenant_id::text, t.epoch, c.client_id::text, c.last_mutation_id
    FROM clients AS c JOIN tenants AS t ON t.tenant_id = c.tenant_id"""
_OTHERS = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""


async def write(url: str, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the database into a new file; `progress` gets tables done and to do. Raises BackupError."""
    with _refusals():
        async with _connected(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            tables = await connection.fetch(_TABLES)
            revision = await connection.fetchval("SELECT version_num FROM alembic_version")
            reached = [list(row) for row in await connection.fetch(_REACHED)]
            described: dict[str, Any] = {}
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for done, (name, columns, _) in enumerate(tables):
                    progress(done, len(tables))
                    described[name] = await _write_table(connection, archive, name, columns)
                manifest = {"format": FORMAT, "revision": revision, "tables": described, "reached": reached}
                archive.writestr(_MANIFEST, json.dumps(manifest))
            progress(len(tables), len(tables))
    with target.open("rb") as written:
        os.fsync(written.fileno())


def check(file: Path) -> Manifest:
    """Read a backup back: every row of every table. Raises BackupError where it is not whole."""
    with _refusals(), zipfile.ZipFile(file) as archive:
        manifest = _manifest(archive)
        rows: dict[str, int] = {}
        for name, described in manifest["tables"].items():
            with archive.open(name) as stored:
                rows[name], digest = _digest(stored)
            if (rows[name], digest) != (described["rows"], described["sha256"]):
                raise BackupError(f"{file.name} is damaged (table {name}): use another backup")
    return Manifest(manifest["revision"], rows, [Reached(*row) for row in manifest["reached"]])


async def put_back(url: str, file: Path, stamp: str) -> str | None:
    """Make a backup the database; the schema that keeps what it replaces. Raises BackupError while it is in use."""
    kept = f"before_restore_{stamp}"
    with _refusals(), zipfile.ZipFile(file) as archive:
        manifest = _manifest(archive)
        async with _connected(url) as connection:
            if await connection.fetchval(_OTHERS):
                raise BackupError("somebody is connected to this database: stop servers and relays first")
            replaced = await _set_aside(connection, kept)
        await upgrade(url, manifest["revision"])
        async with _connected(url) as connection, connection.transaction():
            for name, described in manifest["tables"].items():
                if name != "alembic_version":
                    await _read_table(connection, archive, name, described["columns"])
    return kept if replaced else None


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
    """Move every table into a schema of its own; whether there were any."""
    tables = await connection.fetch(_TABLES)
    if not tables:
        return False
    async with connection.transaction():
        await connection.execute(f'CREATE SCHEMA "{kept}"')
        for name, *_ in tables:
            await connection.execute(f'ALTER TABLE "{name}" SET SCHEMA "{kept}"')
    return True


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
    return manifest


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(**connect_arguments(url))
    try:
        yield connection
    finally:
        await connection.close()


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BackupError(f"this is no backup of a PostgreSQL database ({type(error).__name__})") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise BackupError(f"the database cannot be read or written ({type(error).__name__})") from error
