"""A second store of what nobody can be asked for again: a file each, beside the database, outside its history.

A database that goes back to a backup loses what came after it, and SDI, which was answered, does not send it again. So
before it is answered each message is written here too and flushed to the disk; `rientro inbox recall` takes them in
again, once each, for the inbox knows what it has. Files are named by their content: a message told twice is one file.
They go after `KEPT_S`: no older backup is worth going back to, and they hold what people's invoices say.
"""

import os
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from anyio import to_thread

from server.inbox.accounts import parse_address

KEPT_S = 90 * 86_400


class Copies:
    """The files of all accounts, below one folder."""

    def __init__(self, folder: Path) -> None:
        """It is made when there is something to keep."""
        self._folder = folder

    async def keep(self, address: str, body: bytes) -> None:
        """Write a copy of what came to an address. Raises OSError."""
        parsed = parse_address(address)
        if parsed is not None:
            where, _ = parsed
            await to_thread.run_sync(self._write, self._folder / where.tenant_id / where.endpoint_id, body)

    def of(self, tenant_id: str) -> Iterator[tuple[str, bytes]]:
        """Every copy of a tenant's, with the endpoint it came to, oldest first."""
        files = [file for file in (self._folder / tenant_id).glob("*/*.json") if file.is_file()]
        for file in sorted(files, key=lambda one: (one.stat().st_mtime_ns, one.name)):
            yield file.parent.name, file.read_bytes()

    def _write(self, folder: Path, body: bytes) -> None:
        """Whole or not at all, also after a power cut."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / f"{sha256(body).hexdigest()}.json"
        if file.exists():
            return
        for old in folder.glob("*.json"):
            if time.time() - old.stat().st_mtime > KEPT_S:
                old.unlink(missing_ok=True)
        beside = file.with_suffix(f".{os.getpid()}.new")
        with beside.open("wb") as written:
            written.write(body)
            written.flush()
            os.fsync(written.fileno())
        beside.replace(file)
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
