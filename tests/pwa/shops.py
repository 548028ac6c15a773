"""A server that tests written in TypeScript command: merchants made in advance, started, stopped, killed, put back.

They ask a small application (`commands`); a task of its own (`Shops.run`) does it, so that servers are closed by whom
they were opened.
"""

import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from server.app import create_app, open_core
from server.audit import OPERATOR
from server.auth.people import NewPerson
from server.settings import Settings
from sync.client import Options, SyncClient, ViewRecord
from tests.support.processes import ServerProcess, reserved_port
from tests.support.serving import served

COLLECTIONS = ("sales", "products", "customers", "conflicts")
MERCHANTS = 20
START_S = 150  # on a machine that does much else


@dataclass
class Shops:
    """The server's data, its merchants, and its address while it runs."""

    folder: Path
    merchants: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        """Nothing runs yet."""
        self._stop = anyio.Event()
        self._wanted, self._wishes = anyio.create_memory_object_stream[tuple[str, anyio.Event]](1)

    def settings(self) -> Settings:
        """Of every life of the server."""
        return Settings(data=self.folder / "data", allow_loopback=True)

    async def found(self) -> None:
        """Set the merchants up, each with an owner's device, a till and a person to be."""
        async with open_core(self.settings()) as core:
            for number in range(MERCHANTS):
                tenant_id = await core.admin.add_tenant(f"Bar {number}")
                owner = await core.admin.add_device(tenant_id, "Ufficio", "owner", "centro")
                till = await core.admin.add_device(tenant_id, "Cassa 1", "terminal", "centro")
                person_id = await core.access.people.add(tenant_id, NewPerson("Anna", "owner", "centro"), OPERATOR)
                invite = await core.access.invites.make(tenant_id, person_id, OPERATOR)
                token = invite.link.partition("=")[2]
                self.merchants.append({"tenant": tenant_id, "owner": owner.token, "till": till.token, "link": token})

    async def run(self) -> None:
        """Serve whenever somebody wants it, until `aclose`."""
        async with self._wishes:
            async for kind, started in self._wishes:
                self._stop = anyio.Event()
                async with self._life(kind) as self.url:
                    started.set()
                    await self._stop.wait()
                self.url = ""

    async def aclose(self) -> None:
        """End this life, and `run` with it."""
        await self._wanted.aclose()
        self._stop.set()

    def _life(self, kind: str) -> AbstractAsyncContextManager[str]:
        return self._process() if kind == "process" else served(create_app(self.settings()))

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[str]:
        """A process of its own; it is killed when it is to stop."""
        arguments = [sys.executable, "-m", "server", "serve", "--port", "{port}", "--data", str(self.folder / "data")]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RIENTRO_")}
        with reserved_port() as port:
            server = ServerProcess(arguments, port, self.folder / "log", {**inherited, "RIENTRO_ALLOW_LOOPBACK": "1"})
            try:
                await server.start(timeout_s=START_S)
                yield server.url
            finally:
                server.kill()

    async def start(self, request: Request) -> dict[str, Any]:
        """Begin a life: `app` in this process, or `process`."""
        started = anyio.Event()
        await self._wanted.send((request.query_params.get("kind", "app"), started))
        await started.wait()
        return {"url": self.url}

    async def stop(self, _request: Request) -> dict[str, Any]:
        """End this life; a process is killed."""
        self._stop.set()
        while self.url:
            await anyio.sleep(0.005)
        return {}

    async def backup(self, _request: Request) -> dict[str, Any]:
        """Copy a stopped server's data aside."""
        shutil.copytree(self.folder / "data", self.folder / "backup", dirs_exist_ok=True)
        return {}

    async def restore(self, _request: Request) -> dict[str, Any]:
        """Put a stopped server's data back as it was copied."""
        shutil.rmtree(self.folder / "data")
        shutil.copytree(self.folder / "backup", self.folder / "data")
        return {}

    async def take(self, _request: Request) -> dict[str, Any]:
        """A merchant nobody has used."""
        return dict(self.merchants.pop())

    async def python(self, request: Request) -> dict[str, Any]:
        """What the Python client sees with a bearer, in every collection."""
        form = await request.json()
        options = Options(collections=COLLECTIONS, page=50)
        async with SyncClient(":memory:", self.url, form["token"], options) as client:
            await client.drain()
            status = client.status
            seen = {name: _plain(client.records(name)) for name in COLLECTIONS}
        return {"records": seen, "differences": status.differences}


def _plain(records: Mapping[str, ViewRecord]) -> dict[str, Any]:
    return {record_id: record._asdict() for record_id, record in records.items()}


def commands(shops: Shops) -> Starlette:
    """The application that is asked, by POST."""

    def route(name: str, work: Callable[[Request], Awaitable[dict[str, Any]]]) -> Route:
        async def answer(request: Request) -> JSONResponse:
            return JSONResponse(await work(request))

        return Route(f"/{name}", answer, methods=["POST"])

    names = ("start", "stop", "backup", "restore", "take", "python")
    return Starlette(routes=[route(name, getattr(shops, name)) for name in names])
