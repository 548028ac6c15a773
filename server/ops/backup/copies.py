"""Making a backup of whatever database is configured, and putting one back."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio
from sqlalchemy.engine import make_url

from server.audit import OPERATOR, Entry, note
from server.ops.backup import postgres, sqlite
from server.ops.backup.errors import BackupError
from server.ops.backup.manifest import Manifest, Reached
from server.storage.database import Database, Tx
from server.storage.migrate import newest, revisions, upgrade
from server.storage.open import open_database
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""

Beside = Callable[[str, Writing], Awaitable[None]]
"""Writes for a tenant what no backup knows, in the transaction that begins its new epoch."""


async def _nothing(_tenant_id: str, _writing: Writing) -> None:
    """There is nothing to add."""


_SAFE = Statement(
    """UPDATE clients SET safe_mutation_id = :last_mutation_id
       WHERE tenant_id = :tenant_id AND client_id = :client_id AND safe_mutation_id < :last_mutation_id""",
)
_BACKED_UP = Statement("UPDATE tenants SET backed_up_at = :now WHERE tenant_id = :tenant_id")
_TENANTS = Statement("/* across tenants */ SELECT tenant_id FROM tenants ORDER BY tenant_id")
# What is not settled in the backup may have been since: it is as doubtful as after a lost answer.
_RELEASE_DELIVERIES = Statement(
    """UPDATE outbox SET state = 'pending', lease_owner = NULL, leased_until = NULL, fence = fence + 1, ambiguous = true
       WHERE tenant_id = :tenant_id AND state IN ('pending', 'leased')"""
)
_RELEASE_EVENTS = Statement(
    """UPDATE inbox SET state = 'pending', lease_owner = NULL, leased_until = NULL, fence = fence + 1
       WHERE tenant_id = :tenant_id AND state = 'leased'"""
)
_RELEASE_POLLS = Statement(
    """UPDATE polls SET leased_until = NULL, fence = fence + 1
       WHERE tenant_id = :tenant_id AND leased_until IS NOT NULL"""
)
_BATCH = 1000


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

    Raises BackupError, and then there is no new file; DatabaseError where there is one and clients could not be told.
    """
    with _coming(file, force=force) as coming:
        manifest = await _made(url, coming, progress)
    reached = manifest.reached if manifest.revision == newest() else ()  # an older database has nowhere to note it
    await _tell(writer, reached)
    if manifest.revision == newest():
        await _note_made(writer)
    return Covered(file, _size(file), sum(manifest.rows.values()), len(reached))


async def restore(
    url: str,
    file: Path,
    stamp: str,
    *,
    clock: Callable[[], int],
    nonce: Callable[[], str],
    beside: Beside = _nothing,
) -> Restored:
    """Make the backup in `file` the database at `url`.

    `stamp` names what is kept of the one before; `beside` writes for each tenant what must not be lost with it.
    All of it or nothing: whatever is raised (BackupError, DatabaseError), the database is the one before.
    """
    manifest = await _checked(url, file)
    if manifest.revision not in revisions():
        raise BackupError("this backup is of a newer version of rientro: update this program first")
    renew = partial(_begin_again, clock=clock, nonce=nonce, beside=beside)
    if _is_sqlite(url):
        kept, tenants = await _swapped_in(file, _path(url), stamp, renew)
    else:
        kept, tenants = await postgres.put_back(url, file, stamp, renew)
    return Restored(sum(manifest.rows.values()), tenants, kept or None)


async def _swapped_in(
    file: Path, target: Path, stamp: str, renew: Callable[[Database], Awaitable[int]]
) -> tuple[str, int]:
    await anyio.to_thread.run_sync(sqlite.alone, target)
    with sqlite.beside(file, target) as coming:
        url = f"sqlite+aiosqlite:///{coming}"
        await upgrade(url)
        database = open_database(url)
        try:
            tenants = await renew(database)
        finally:
            await database.close()
        kept = await anyio.to_thread.run_sync(sqlite.swap, coming, target, stamp)
    return str(kept or ""), tenants


@contextmanager
def _coming(file: Path, *, force: bool) -> Iterator[Path]:
    """A file beside the wanted one that takes its place when all went well, and only its owner may read."""
    if file.is_dir() or (file.exists() and not force):
        raise BackupError(f"{file} exists: choose another name, or say --force")
    if not file.parent.is_dir():
        raise BackupError(f"there is no folder {file.parent}")
    coming = file.with_name(f".{file.name}.part")
    try:
        coming.unlink(missing_ok=True)
        coming.touch(mode=0o600)
        yield coming
        sqlite.sync_to_disk(coming)
        coming.replace(file)
        sqlite.sync_to_disk(file.parent)
    except OSError as error:
        raise BackupError(f"{file} cannot be written: {error.strerror or type(error).__name__}") from error
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
        for start in range(0, len(mine), _BATCH):
            batch = mine[start : start + _BATCH]
            await writer.submit(Job([tenant_id], partial(_note_covered, batch), weight=len(batch)))


async def _note_covered(batch: Sequence[Reached], writing: Writing) -> None:
    tenant_id, epoch = batch[0].tenant_id, batch[0].epoch
    tenant = writing.tenants.get(tenant_id)
    if tenant is not None and tenant.epoch == epoch:
        await writing.tx.many(_SAFE, [one._asdict() for one in batch])
        await writing.tx.execute(_BACKED_UP, {"tenant_id": tenant_id, "now": writing.now})


async def _note_made(writer: Writer) -> None:
    """In the audit of every tenant: it covers all of them, with clients or without."""
    for tenant_id in await writer.submit(Job([], _all)):
        entry = Entry("backup.make", OPERATOR)
        await writer.submit(Job([tenant_id], partial(note, tenant_id=tenant_id, entry=entry)))


async def _begin_again(
    database: Database, *, clock: Callable[[], int], nonce: Callable[[], str], beside: Beside
) -> int:
    """A new epoch for each tenant, and nothing under way in any; how many there are."""
    writer = Writer(database, clock=clock, nonce=nonce)
    tenants = await _tenants(database)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        for tenant_id in tenants:
            await writer.submit(Job([tenant_id], partial(_renew, tenant_id, nonce(), beside)))
        tasks.cancel_scope.cancel()
    return len(tenants)


async def _renew(tenant_id: str, epoch: str, beside: Beside, writing: Writing) -> None:
    writing.tenant(tenant_id).epoch = epoch
    for release in (_RELEASE_DELIVERIES, _RELEASE_EVENTS, _RELEASE_POLLS):
        await writing.tx.execute(release, (tenant_id,))
    await note(writing, tenant_id, Entry("backup.restore", OPERATOR, "epoch", epoch))
    await beside(tenant_id, writing)


async def _tenants(database: Database) -> list[str]:
    return await database.read(_ids)


async def _ids(tx: Tx) -> list[str]:
    return [row[0] for row in await tx.fetch(_TENANTS)]


async def _all(writing: Writing) -> list[str]:
    return await _ids(writing.tx)


def _is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"


def _path(url: str) -> Path:
    return Path(make_url(url).database or "")
