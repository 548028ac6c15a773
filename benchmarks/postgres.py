"""A PostgreSQL as production runs it: on a disk, an fsync at every commit.

The tests' own server trades durability for speed and lives in memory; its programs are used, its settings are not.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from tests.support.databases import postgres_url
from tests.support.postgres import _initialise, _programs, _server, _unprivileged

_SETTINGS = """
fsync = on
synchronous_commit = on
full_page_writes = on
autovacuum = on
shared_buffers = 256MB
"""


@contextmanager
def durable_postgres(parent: Path) -> Iterator["Server"]:
    """Run a server whose data is in a folder of its own under `parent`, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=parent))
    try:
        identity = _unprivileged(folder)
        programs = _programs(folder, identity)
        common = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}, **identity}
        data = _initialise(folder, programs, common)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
        with _server(programs, data, folder / "log", common):
            yield Server(folder, int((data / "postmaster.pid").read_text().split()[0]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """A running server: its socket's folder, its process."""

    def __init__(self, socket: Path, pid: int) -> None:
        """Where it listens and who it is."""
        self.socket, self.pid = socket, pid

    async def new_database(self) -> str:
        """A fresh database's name."""
        name = f"bench_{uuid.uuid4().hex}"
        connection = await self.connect("postgres")
        await connection.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        await connection.close()
        return name

    async def connect(self, database: str) -> "asyncpg.Connection[asyncpg.Record]":
        """A plain connection."""
        return await asyncpg.connect(host=str(self.socket), user="postgres", database=database)

    def url(self, database: str) -> str:
        """The database's address for rientro."""
        return postgres_url(self.socket, database)
