"""The processes of the demonstration: the server with its command line, and the clients.

They die with the process that started them, and may be killed and started again on their files before that.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from tests.demo.client import Orders
from tests.support.nursery import run
from tests.support.processes import ServerProcess, dying_with_parent, server_process

_ROOT = Path(__file__).parents[2]
_STOP_S = 10.0
LEASE_S = 8
"""How long the work of a killed server stays its own; a minute is usual, and dull to watch."""


class CommandError(RuntimeError):
    """A command failed; the message is what it printed."""


@dataclass(frozen=True)
class Installation:
    """A server's folder and database, looked after by its command line as its owner would."""

    folder: Path
    database_url: str | None = None

    @property
    def log(self) -> Path:
        """What the server has to say."""
        return self.folder / "server.log"

    async def command(self, *arguments: str) -> Any:
        """Run `rientro … --json`; what it printed. Raises CommandError."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RIENTRO_")}
        command = partial(run, "server", *arguments, "--json", environment={**inherited, **self._environment()})
        ended = await anyio.to_thread.run_sync(command)
        async with await anyio.open_file(self.folder / "commands.log", "a") as log:
            await log.write(ended.stderr)
        if ended.returncode != 0:
            raise CommandError(f"rientro {' '.join(arguments[:2])}: {ended.stderr}")
        return json.loads(ended.stdout)

    def serving(self) -> AbstractAsyncContextManager[ServerProcess]:
        """The server, from here to the end of the block."""
        return server_process(["-m", "server", "serve", "--port", "{port}"], self.log, self._environment())

    def _environment(self) -> dict[str, str]:
        known = {
            "RIENTRO_ALLOW_LOOPBACK": "1",
            "RIENTRO_DATA": str(self.folder / "data"),
            "RIENTRO_LEASE_S": str(LEASE_S),
        }
        return known if self.database_url is None else {**known, "RIENTRO_DATABASE_URL": self.database_url}


class ClientProcess:
    """A client through any number of lives."""

    def __init__(self, folder: Path, orders: Orders) -> None:
        """Write its orders down; nothing is started yet."""
        self._orders, self._file = orders, folder / f"{orders.name}.json"
        self.log = folder / f"{orders.name}.log"
        self._told: list[Mapping[str, Any]] = []
        self._process: subprocess.Popen[bytes] | None = None
        orders.write(self._file)

    @property
    def name(self) -> str:
        """What people call it."""
        return self._orders.name

    @property
    def journal(self) -> Path:
        """Its database."""
        return Path(self._orders.database)

    def start(self) -> None:
        """Start a life, and repeat what its former lives were told."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.demo.client", str(self._file)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=_ROOT,
                preexec_fn=dying_with_parent(signal.SIGKILL),  # noqa: PLW1509  one system call
            )
        told, self._told = self._told, []
        for order in told:
            self.tell(**order)

    def tell(self, **order: Any) -> None:
        """Have it do something."""
        self._told.append(order)
        pipe = self._running().stdin
        assert pipe is not None
        pipe.write(json.dumps(order).encode() + b"\n")
        pipe.flush()

    def ended(self) -> int | None:
        """The exit status, if it has ended by itself."""
        return self._running().poll()

    def kill(self) -> None:
        """SIGKILL; harmless when it has ended."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._process.communicate()
        self._process = None

    async def stop(self) -> int | None:
        """Let it end by itself; its exit status, None where it had to be killed."""
        process = self._running()
        assert process.stdin is not None
        process.stdin.close()
        deadline = time.monotonic() + _STOP_S
        while process.poll() is None and time.monotonic() < deadline:
            await anyio.sleep(0.02)
        status = process.poll()
        process.kill()
        process.wait()
        self._process = None
        return status

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process


@asynccontextmanager
async def clients_running(*clients: ClientProcess) -> AsyncIterator[None]:
    """Start them all; whatever happens, none outlives the block."""
    try:
        for client in clients:
            client.start()
        yield
    finally:
        for client in clients:
            client.kill()
