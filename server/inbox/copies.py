"""A second store of what nobody can be asked for again: a file each, beside the database, outside its history.

A database that goes back to a backup loses what came after it, and SDI, which was answered, does not send it again. So
before it is answered each message is written here too and flushed to the disk; `rientro inbox recall` takes them in
again, once each, for the inbox knows what it has. Files are named by their content: a message told twice is one file.
They go after `KEPT_S`: no older backup is worth going back to, and they hold what people's invoices say.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import structlog
from anyio import to_thread
from pydantic import TypeAdapter, ValidationError

from server.audit import Actor
from server.audit.entries import Entry, note
from server.inbox.store import Incoming, store
from server.storage.writer import Job, Writer, Writing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

KEPT_S = 90 * 86_400
_INCOMING = TypeAdapter(Incoming, config={"ser_json_bytes": "base64", "val_json_bytes": "base64"})


class Copies:
    """The files of all accounts, below one folder."""

    def __init__(self, folder: Path) -> None:
        """It is made when there is something to keep."""
        self._folder = folder

    async def keep(self, incoming: Incoming) -> None:
        """Write a copy of an event. Raises OSError."""
        folder = self._folder / incoming.tenant_id / incoming.endpoint_id
        name = sha256(f"{incoming.event_id} ".encode() + incoming.body).hexdigest()
        await to_thread.run_sync(self._write, folder, name, _INCOMING.dump_json(incoming))

    def of(self, tenant_id: str) -> Iterator[Incoming]:
        """Every copy of a tenant's, oldest first; one that a disk has damaged is told of, and does not end it."""
        files = [file for file in (self._folder / tenant_id).glob("*/*.json") if file.is_file()]
        for file in sorted(files, key=lambda one: (one.stat().st_mtime_ns, one.name)):
            try:
                incoming = _INCOMING.validate_json(file.read_bytes())
            except ValidationError:
                log.error("copy_unreadable", tenant_id=tenant_id, file=file.name)  # noqa: TRY400  it quotes the content
                continue
            yield incoming

    def _write(self, folder: Path, name: str, content: bytes) -> None:
        """Whole or not at all, also after a power cut."""
        is_new = not folder.exists()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / f"{name}.json"
        if file.exists():
            return
        _forget_old(folder)
        beside = file.with_suffix(f".{uuid4().hex}.new")  # the same message may come on two connections at once
        with beside.open("wb") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        beside.replace(file)
        for made in (folder, folder.parent, self._folder) if is_new else (folder,):
            _flush(made)


def _forget_old(folder: Path) -> None:
    """Copies no backup is worth going back to, and what a crash left half written."""
    for old in folder.iterdir():
        with suppress(FileNotFoundError):  # another message does the same
            if time.time() - old.stat().st_mtime > KEPT_S:
                old.unlink()


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


async def recall(writer: Writer, copies: Copies, tenant_id: str, new_id: Callable[[], str], actor: Actor) -> int:
    """Take in every copy that the inbox lacks; how many those were. Raises UnknownTenantError, DatabaseError."""
    taken = 0
    for incoming in copies.of(tenant_id):
        run = partial(_take, incoming, new_id())
        taken += await writer.submit(Job([tenant_id], run))
    noted = Entry("event.recall", actor, times=taken)
    await writer.submit(Job([tenant_id], lambda writing: note(writing, tenant_id, noted)))
    return taken


async def _take(incoming: Incoming, receipt_id: str, writing: Writing) -> bool:
    return (await store(writing, incoming, receipt_id)).outcome == "stored"
