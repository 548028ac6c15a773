"""A real server process on a fresh database, with a tenant and devices, ready to be loaded."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peer import Queue, environment, many_processes_command, serve_command, set_up
from benchmarks.postgres import Server
from tests.support.processes import server_process


@dataclass(frozen=True)
class Target:
    """Where to send, as whom, and whose work to count."""

    port: int
    tokens: list[str]
    pids: list[int]

    def queue(self, number: int) -> Queue:
        """A client of its own on the numbered device; the last device is an owner's phone."""
        return Queue(self.tokens[number])


@asynccontextmanager
async def target(
    folder: Path, devices: int, *, postgres: Server | None = None, bound: bool = False, processes: int = 1
) -> AsyncIterator[Target]:
    """Start the server on SQLite in a folder of its own, or on a new database of `postgres`.

    `bound`: each sale also writes a delivery, to an endpoint that is paused.
    """
    with tempfile.TemporaryDirectory(prefix="rientro-", dir=folder) as kept:
        data = Path(kept)
        url = None if postgres is None else postgres.url(await postgres.new_database())
        settings = environment(data, url)
        tokens = await set_up(settings, devices, bound=bound)
        one = processes == 1
        command = serve_command("{port}", data) if one else many_processes_command("{port}", processes)
        async with server_process(command, data / "server.log", settings) as server:
            pids = [server.pid] + ([postgres.pid] if postgres is not None else [])
            yield Target(int(server.url.rpartition(":")[2]), tokens, pids)
