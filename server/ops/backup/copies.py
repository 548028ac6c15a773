"""Making a backup of whatever database is configured, and putting one back."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio
from pydantic_core import to_json
from sqlalchemy.engine import make_url

from server.ops.backup import postgres, sqlite
from server.ops.backup.errors import BackupError
from server.ops.backup.manifest import Manifest, Reached
from server.storage.database import Database, Tx
from server.storage.migrate import revisions, upgrade
from server.storage.open import open_database
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""

_SAFE = Statement(
    """UPDATE clients SET safe_mutation_id = (SELECT j.value FROM json_each(:reached) AS j
       WHERE j.key = clients.client_id) WHERE tenant_id = :tenant_id AND EXISTS (SELECT 1 FROM json_each(:reached) AS j
       WHERE j.key = clients.client_id AND j.value > clients.safe_mutation_id)""",
    postgresql="""UPDATE clients SET safe_mutation_id = j.value::bigint FROM json_each_text(:reached::json) AS j
       WHERE tenant_id = :tenant_id AND client_id = j.key::uuid AND safe_mutation_id < j.value::bigint""",
)
_BACKED_UP = Statement("UPDATE tenants SET backed_up_at = :now WHERE tenant_id = :tenant_id")
_TENANTS = Statement("/* across tenants */ SELECT tenant_id FROM tenants ORDER BY tenant_id")
_RELEASES = tuple(
    Statement(
        f"""UPDATE {table} SET state = 'pending', lease_owner = NULL, leased_until = NULL, fence = fence + 1
        WHERE tenant_id = :tenant_id AND state = 'leased'"""  # noqa: S608  # names of our own
    )
    for table in ("outbox", "inbox")
)


class Covered(NamedTuple):
    """A backup that was read back: its file, size in bytes, rows, and how many clients it covers."""

    file: Path
    size: int
    rows: int
    clients: int


class Restored(NamedTuple):
    """What a restore did: rows put back, tenants that begin a new epoch, and where the old database is kept."""

    rows: int
    tenants: int
    kept: str | None


async def backup(url: str, writer: Writer, file: Path, progress: Progress, *, force: bool = False) -> Covered:
    """Copy the database at `url` to `file`, read it back, and tell clients how far it covers them.

    Raises BackupError, DatabaseError; then there is no new file, and clients know of none.
    """
    with _coming(file, force=force) as coming:
        manifest = await _made(url, coming, progress)
    await _tell(writer, manifest.reached)
    return Covered(file, _size(file), sum(manifest.rows.values()), len(manifest.reached))


async def restore(url: str, file: Path, stamp: str, *, clock: Callable[[], int], nonce: Callable[[], str]) -> Restored:
    """Make the backup in `file` the database at `url`; `stamp` names what is kept of the one before.

    Raises BackupError; DatabaseError when the restored database refuses what follows.
    """
    manifest = await _checked(url, file)
    if manifest.revision not in revisions():
        raise BackupError("this backup is of a newer version of rientro: update this program first")
    if _is_sqlite(url):
        path = await anyio.to_thread.run_sync(sqlite.put_back, file, _path(url), stamp)
        kept = None if path is None else str(path)
    else:
        kept = await postgres.put_back(url, file, stamp)
    await upgrade(url)
    tenants = await _begin_again(url, clock, nonce)
    return Restored(sum(manifest.rows.values()), tenants, kept)


@contextmanager
def _coming(file: Path, *, force: bool) -> Iterator[Path]:
    """A file beside the wanted one that takes its place when all went well, and only its owner may read."""
    if file.exists() and not force:
        raise BackupError(f"{file} exists: choose another name, or say --force")
    if not file.parent.is_dir():
        raise BackupError(f"there is no folder {file.parent}")
    coming = file.with_name(f".{file.name}.part")
    coming.unlink(missing_ok=True)
    try:
        coming.touch(mode=0o600)
        yield coming
        coming.replace(file)
    finally:
        coming.unlink(missing_ok=True)


def _size(file: Path) -> int:
    return file.stat().st_size


async def _made(url: str, coming: Path, progress: Progress) -> Manifest:
    if _is_sqlite(url):
        await anyio.to_thread.run_sync(sqlite.write, _path(url), coming, progress)
    else:
        await postgres.write(url, coming, progress)
    return await _checked(url, coming)


async def _checked(url: str, file: Path) -> Manifest:
    return await anyio.to_thread.run_sync(sqlite.check if _is_sqlite(url) else postgres.check, file)


async def _tell(writer: Writer, reached: Sequence[Reached]) -> None:
    """Note how far the backup covers each client, where its tenant still lives in the backup's epoch."""
    for tenant_id in dict.fromkeys(one.tenant_id for one in reached):
        mine = [one for one in reached if one.tenant_id == tenant_id]
        covers = to_json({one.client_id: one.last_mutation_id for one in mine}).decode()

        await writer.submit(Job([tenant_id], partial(_note_covered, tenant_id, mine[0].epoch, covers)))


async def _note_covered(tenant_id: str, epoch: str, covers: str, writing: Writing) -> None:
    if writing.tenant(tenant_id).epoch == epoch:
        await writing.tx.execute(_SAFE, {"tenant_id": tenant_id, "reached": covers})
        await writing.tx.execute(_BACKED_UP, {"tenant_id": tenant_id, "now": writing.now})


async def _begin_again(url: str, clock: Callable[[], int], nonce: Callable[[], str]) -> int:
    """A new epoch for each tenant, and nothing under way in any; how many there are."""
    database = open_database(url)
    writer = Writer(database, clock=clock, nonce=nonce)
    try:
        tenants = await _tenants(database)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer.run)
            for tenant_id in tenants:
                await writer.submit(Job([tenant_id], partial(_renew, tenant_id, nonce())))
            tasks.cancel_scope.cancel()
    finally:
        await database.close()
    return len(tenants)


async def _renew(tenant_id: str, epoch: str, writing: Writing) -> None:
    writing.tenant(tenant_id).epoch = epoch
    for release in _RELEASES:
        await writing.tx.execute(release, (tenant_id,))


async def _tenants(database: Database) -> list[str]:
    async def work(tx: Tx) -> list[str]:
        return [row[0] for row in await tx.fetch(_TENANTS)]

    return await database.read(work)


def _is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"


def _path(url: str) -> Path:
    return Path(make_url(url).database or "")
