"""The server of the simulation: the real engine on a real database, which can be killed, copied and set back.

It answers as the HTTP layer does: an answer's bytes, or a problem document made by the very handlers of the routes.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import anyio
import anyio.abc
from starlette.requests import Request
from starlette.responses import Response

from server.auth.admin import Admin
from server.auth.keys import Keys as ApiKeys
from server.collections import routes
from server.engine.apply import Applier
from server.engine.exchange import Exchange
from server.engine.history import History
from server.engine.pull import Puller
from server.engine.push import Pusher
from server.engine.tidy import Tidier
from server.outbox.collect import Forwarder
from server.ports import Cause, Principal
from server.routes.problem import HANDLERS
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.cursor import CursorKeys
from sync.outcome import Outcome
from sync.protocol import Mutation
from tests.simulation.models import GROWN, records, registry
from tests.support.shop import Ids

RETENTION_MS = 90 * 24 * 60 * 60 * 1000
KEYS = CursorKeys(b"s" * 32)

_ENDPOINT = Statement(
    """INSERT INTO endpoints (tenant_id, endpoint_id, provider, name, settings, sealed, paused, created_at)
       VALUES (:tenant_id, :endpoint_id, 'http', 'outside', '{}', '', false, :now)"""
)
_BINDING = Statement(
    "INSERT INTO bindings (tenant_id, route, endpoint_id) VALUES (:tenant_id, 'sales.forward', :endpoint_id)"
)
_VERDICT = Statement("SELECT uid, verdict FROM mutations WHERE tenant_id = :tenant_id AND uid = :uid")
_EPOCH = Statement("UPDATE tenants SET epoch = :epoch WHERE tenant_id = :tenant_id")
_NOBODY = Request({"type": "http", "method": "POST", "path": "/v1/sync", "headers": []})


class Reply(NamedTuple):
    """What crosses the network on the way back."""

    status: int
    body: bytes
    headers: dict[str, str]

    def document(self) -> dict[str, Any]:
        """The body's members."""
        document: dict[str, Any] = json.loads(self.body)
        return document


class _Process(NamedTuple):
    """What dies with the server's process."""

    database: Database
    writer: Writer
    exchange: Exchange
    applier: Applier
    admin: Admin
    scope: anyio.CancelScope


class Server:
    """One process after the other on the same database."""

    def __init__(
        self, tasks: anyio.abc.TaskGroup, opened: Callable[[], Database], clock: Callable[[], int], ids: Ids
    ) -> None:
        """`opened` opens the database as a new process does; `clock` is the server's own, in milliseconds."""
        self._tasks, self._opened, self._clock, self._ids = tasks, opened, clock, ids
        self._process: _Process | None = None
        self.tenant_id = ""
        self.grown = False

    @property
    def process(self) -> _Process:
        """The one that runs."""
        assert self._process is not None, "the server does not run"
        return self._process

    def start(self) -> None:
        """A new process."""
        database = self._opened()
        writer = Writer(database, clock=self._clock, nonce=lambda: self._ids().replace("-", ""))
        forwarder = Forwarder(routes())
        stored = records(grown=self.grown)
        history = History(writer, self._ids)
        pusher, puller = Pusher(writer, stored, forwarder), Puller(database, stored, KEYS, history)
        oldest = GROWN if self.grown else 1
        exchange = Exchange(registry(grown=self.grown), pusher, puller, self._clock, oldest_schema=oldest)
        scope = anyio.CancelScope()
        admin, applier = (
            Admin(database, writer, ApiKeys(database, writer, self._ids, self._clock), self._ids),
            Applier(stored, forwarder),
        )
        self._process = _Process(database, writer, exchange, applier, admin, scope)
        self._tasks.start_soon(self._serve, writer, scope)

    async def stop(self) -> None:
        """The process is gone, and with it all it did not commit."""
        process, self._process = self.process, None
        process.scope.cancel()
        await process.database.close()

    async def deploy(self) -> None:
        """A later version takes the place of this one; apps older than it may push, and pull nothing."""
        await self.stop()
        self.grown = True
        self.start()

    async def restart(self) -> None:
        """A crash, and the process that comes after."""
        await self.stop()
        self.start()

    async def found(self) -> None:
        """Make the tenant, its one endpoint and the binding of the sales' route."""
        self.tenant_id = await self.process.admin.add_tenant("Bar Centrale")

        async def bind(writing: Writing) -> None:
            named = {"tenant_id": self.tenant_id, "endpoint_id": f"{self._ids()}"}
            await writing.tx.execute(_ENDPOINT, {**named, "now": writing.now})
            await writing.tx.execute(_BINDING, named)
            writing.tenant(self.tenant_id).revision += 1

        await self.process.writer.submit(Job([self.tenant_id], bind))

    async def answer(self, principal: Principal, body: bytes) -> Reply:
        """What a request is answered."""
        try:
            return Reply(200, await self.process.exchange.sync(principal, body, "simulated"), {})
        except Exception as error:  # noqa: BLE001  # as the HTTP layer: whatever it is becomes a problem document
            kinds = [kind for kind in type(error).__mro__ if kind in HANDLERS]
            response: Response = await HANDLERS[kinds[0]](_NOBODY, error)
            return Reply(response.status_code, bytes(response.body), dict(response.headers))

    async def ends_of(self, uids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What is remembered of mutations that were told to wait."""

        async def work(tx: Tx) -> dict[str, dict[str, Any]]:
            if not uids:
                return {}
            rows = [row for uid in uids for row in await tx.fetch(_VERDICT, (self.tenant_id, uid))]
            return {str(uid): json.loads(verdict) for uid, verdict in rows}

        return await self.process.database.read(work)

    async def version(self, collection: str, record_id: str) -> int:
        """A record's version; 0 where there is none."""

        async def work(tx: Tx) -> int:
            found = await records().sql[collection].load(tx, self.tenant_id, [record_id])
            return found[record_id].version if found else 0

        return await self.process.database.read(work)

    async def write(self, author: str, *mutations: Mutation) -> list[Outcome]:
        """Mutations of the server's own."""

        async def job(writing: Writing) -> list[Outcome]:
            return await self.process.applier.apply(writing, self.tenant_id, author, mutations, Cause("simulated"))

        return await self.process.writer.submit(Job([self.tenant_id], job))

    async def tidy(self) -> dict[str, int]:
        """Collect what is older than the retention; how many rows of each kind."""
        process, stored = self.process, records(grown=self.grown)
        return await Tidier(process.database, process.writer, stored, self._clock, RETENTION_MS).tidy(self.tenant_id)

    async def declare_epoch(self) -> None:
        """Draw a new epoch, as a restore does."""

        async def work(tx: Tx) -> None:
            await tx.execute(_EPOCH, {"epoch": self._ids(), "tenant_id": self.tenant_id})

        await self.process.database.write(work)

    async def _serve(self, writer: Writer, scope: anyio.CancelScope) -> None:
        with scope:
            await writer.run()
