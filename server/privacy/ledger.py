"""The ledger of erasures: which records were erased, by their bare ids; in the database, and beside it in a file.

A backup knows nothing of what was erased after it. So a restore takes the ledger of the database it replaces, where
that can still be read, and of the file, which no backup holds and no restore touches; it is applied before the restored
server answers.
"""

import json
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from server.audit import Actor, Entry, note
from server.storage.database import Database, DatabaseError, Tx
from server.storage.statement import Statement
from server.storage.writer import Writing

FILE = "erased.jsonl"

_NOTE = Statement(
    """INSERT INTO erasures (tenant_id, collection, record_id, reason, erased_at)
       VALUES (:tenant_id, :collection, :record_id, :reason, :erased_at)
       ON CONFLICT (tenant_id, collection, record_id) DO NOTHING"""
)
_DONE = Statement(
    """UPDATE erasures SET done_at = :now WHERE tenant_id = :tenant_id AND collection = :collection
       AND record_id = :record_id"""
)
_OPEN = Statement(
    """SELECT tenant_id, collection, record_id, reason, erased_at FROM erasures
       WHERE tenant_id = :tenant_id AND done_at IS NULL ORDER BY erased_at, record_id LIMIT :most"""
)
_EVERY = Statement(
    "/* across tenants */ SELECT tenant_id, collection, record_id, reason, erased_at FROM erasures ORDER BY erased_at"
)
_AT_ONCE = 1000
_SYSTEM = Actor("system")


class Erasure(NamedTuple):
    """A record that was erased."""

    tenant_id: str
    collection: str
    record_id: str
    reason: str
    erased_at: str


async def note_erasure(writing: Writing, erasure: Erasure) -> bool:
    """Add to the ledger; what is in it stays as it is. Whether it was not in it."""
    return bool(await writing.tx.execute(_NOTE, erasure._asdict()))


async def end_erasure(writing: Writing, erasure: Erasure) -> None:
    """No copy is left."""
    named = {name: getattr(erasure, name) for name in ("tenant_id", "collection", "record_id")}
    await writing.tx.execute(_DONE, {**named, "now": writing.now})


async def open_erasures(database: Database, tenant_id: str) -> Sequence[Erasure]:
    """Those of a tenant of which copies may be left, the oldest first, at most 1,000."""

    async def work(tx: Tx) -> Sequence[Erasure]:
        return [Erasure(*row) for row in await tx.fetch(_OPEN, (tenant_id, _AT_ONCE))]

    return await database.read(work)


async def known_erasures(database: Database | None, folder: Path) -> Mapping[str, Sequence[Erasure]]:
    """What a database, as far as it can be read, and the file beside it know, by tenant."""

    async def work(tx: Tx) -> list[Erasure]:
        return [Erasure(*row) for row in await tx.fetch(_EVERY)]

    try:
        stored = [] if database is None else await database.read(work)
    except DatabaseError:  # that may be why somebody restores; an older one has no such table
        stored = []
    found: dict[str, dict[tuple[str, str], Erasure]] = {}
    for one in (*_kept(folder / FILE), *stored):
        found.setdefault(one.tenant_id, {})[one.collection, one.record_id] = one
    return {tenant_id: list(erasures.values()) for tenant_id, erasures in found.items()}


def carried(erased: Mapping[str, Sequence[Erasure]]) -> Callable[[str, Writing], Awaitable[None]]:
    """What a restore writes into each tenant, so that what was erased is erased there, too.

    The entry that said who did it may be lost with the database; this one says that it was done.
    """

    async def write(tenant_id: str, writing: Writing) -> None:
        for erasure in erased.get(tenant_id, ()):
            if await note_erasure(writing, erasure):
                entry = Entry("customer.erase", _SYSTEM, "customer", erasure.record_id, reason=erasure.reason)
                await note(writing, tenant_id, entry)

    return write


def keep(folder: Path, erasure: Erasure) -> None:
    """Add to the file, on the disk when this returns; before the database knows, so that it never knows less."""
    handle = os.open(folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, f"\n{json.dumps(erasure._asdict())}\n".encode())  # on a line of its own, whatever was cut off
        os.fsync(handle)
    finally:
        os.close(handle)


def _kept(file: Path) -> Iterable[Erasure]:
    """Its lines; one that was cut off in the middle of being written was of an erasure that never came to be."""
    if not file.is_file():
        return
    for line in file.read_text().splitlines():
        try:
            yield Erasure(**json.loads(line))
        except (ValueError, TypeError):
            continue
