"""A shop whose sales go out: the real engine and outbox on a fresh database, with a clock that is moved by hand."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from pydantic import BaseModel

from server.auth.admin import Admin
from server.auth.keys import Keys as ApiKeys
from server.collections import registry, routes
from server.engine.apply import Applier
from server.engine.push import Pusher
from server.engine.records import Records
from server.engine.tidy import Tidier
from server.outbox.collect import Forwarder
from server.outbox.listing import Delivery, Filter, list_deliveries
from server.outbox.relay import Relay, RelayOptions
from server.ports import Answer, Call, Cause, Operation, Principal, Promise, Provider, Route
from server.resilience.backoff import Schedule, Schedules
from server.storage.database import Database, Tx
from server.storage.open import open_database
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.protocol import Mutation, Registry
from sync.record import Record
from tests.support.shop import TIMESTAMP, Clock, Ids, sale_fields

_ENDPOINT = Statement(
    """INSERT INTO endpoints (tenant_id, endpoint_id, provider, name, settings, sealed, paused, created_at)
       VALUES (:tenant_id, :endpoint_id, :provider, 'test', :settings, :sealed, false, :created_at)"""
)
_BIND = Statement(
    "INSERT INTO bindings (tenant_id, route, endpoint_id) VALUES (:tenant_id, :route, :endpoint_id)",
)
DAY_MS = 86_400_000
SCHEDULES = Schedules(Schedule(base_s=1, cap_s=60, lasts_s=86_400), Schedule(base_s=10, cap_s=60, lasts_s=3600))


Answering = Callable[[Call], Answer | Awaitable[Answer]]


class OpenSecrets:
    """Secrets that were never sealed: the vault has tests of its own."""

    def unseal(self, _tenant_id: str, _provider: str, _endpoint_id: str, sealed: str, /) -> dict[str, str]:
        opened: dict[str, str] = json.loads(sealed)
        return opened


class Scripted:
    """A stand-in for a provider, where what matters is order and time and not HTTP: it answers what a test says."""

    name = "http"
    settings = BaseModel

    def __init__(self, answer: Answering | None = None, promise: Promise = "keyed") -> None:
        self.calls: list[Call] = []
        self.effects: dict[str, str] = {}
        self.answer: Answering = answer or self.take
        self.known: Callable[[Call], Answer | None] = lambda _call: None
        self._promise: Promise = promise

    def operations(self) -> Mapping[str, Operation]:
        return {"post": Operation(self._promise, self._send, self._look_up)}

    def take(self, call: Call) -> Answer:
        """Take effect, once a key."""
        self.effects.setdefault(call.idempotency_key, call.payload)
        return Answer(200, reference=f"ref-{call.record_id[-4:]}")

    def of(self, record_id: str) -> list[Call]:
        """The calls for one record."""
        return [call for call in self.calls if call.record_id == record_id]

    async def _send(self, call: Call) -> Answer:
        self.calls.append(call)
        await anyio.lowlevel.checkpoint()
        answer = self.answer(call)
        return answer if isinstance(answer, Answer) else await answer

    async def _look_up(self, call: Call) -> Answer | None:
        return self.known(call)


@dataclass
class Outlet:
    """One tenant with a till, whose sales are forwarded where an endpoint is bound."""

    database: Database
    writer: Writer
    records: Records
    pusher: Pusher
    applier: Applier
    clock: Clock
    new_id: Ids
    routes: Sequence[Route]
    tenant_id: str = ""
    last_id: int = 0
    client_id: str = ""
    endpoints: list[str] = field(default_factory=list)

    @property
    def registry(self) -> Registry:
        """The collections."""
        return self.records.registry

    async def bind(self, route: str = "sales.forward", provider: str = "http", **settings: Any) -> str:
        """A new endpoint that a route leads to."""
        endpoint_id = self.new_id()
        secret = settings.pop("secret", None)
        secrets = settings.pop("secrets", {"secret": secret} if secret else {})

        async def job(writing: Writing) -> None:
            row = {
                "tenant_id": self.tenant_id,
                "endpoint_id": endpoint_id,
                "provider": provider,
                "settings": json.dumps(settings),
                "sealed": json.dumps(secrets) if secrets else "",
                "created_at": writing.now,
            }
            await writing.tx.execute(_ENDPOINT, row)
            await writing.tx.execute(_BIND, (self.tenant_id, route, endpoint_id))
            writing.tenant(self.tenant_id).revision += 1

        await self.writer.submit(Job([self.tenant_id], job))
        self.endpoints.append(endpoint_id)
        return endpoint_id

    async def lead(self, route: str, endpoint_id: str) -> None:
        """Let another route lead to an endpoint."""

        async def job(writing: Writing) -> None:
            await writing.tx.execute(_BIND, (self.tenant_id, route, endpoint_id))
            writing.tenant(self.tenant_id).revision += 1

        await self.writer.submit(Job([self.tenant_id], job))

    async def change_rows(self, sql: str, *parameters: Any) -> None:
        """Change what is stored, past everything that would do so."""

        async def work(tx: Tx) -> None:
            await tx.execute(Statement(sql), parameters)

        await self.database.write(work)

    async def push(
        self, *mutations: Mapping[str, Any], correlation_id: str = "corr-1", role: str = "terminal"
    ) -> list[str]:
        """Send mutations as the till would; their statuses."""
        numbered = []
        for mutation in mutations:
            self.last_id += 1
            numbered.append({"mutation_id": self.last_id, "timestamp": TIMESTAMP, "base_version": 0, **mutation})
        document = {"protocol": 1, "client_id": self.client_id, "mutations": numbered}
        request = self.registry.parse_request(json.dumps(document).encode())
        principal = Principal(self.tenant_id, self.client_id, role, "centro", frozenset(("centro",)))
        pushed = await self.pusher.push(principal, request, correlation_id)
        return [verdict["status"] for verdict in pushed.verdicts]

    async def sell(self, count: int = 1) -> list[str]:
        """Ring up sales; their ids."""
        ids = [self.new_id() for _ in range(count)]
        number = self.last_id
        sales = [
            {"uid": self.new_id(), "op": "create", "collection": "sales", "record_id": record_id,
             "fields": sale_fields(number + place)}
            for place, record_id in enumerate(ids, 1)
        ]  # fmt: skip
        for start in range(0, count, 1000):
            assert set(await self.push(*sales[start : start + 1000])) == {"applied"}
        return ids

    async def update(self, record_id: str, **fields: Any) -> None:
        """Change a sale."""
        await self.push(
            {"uid": self.new_id(), "op": "update", "collection": "sales", "record_id": record_id, "fields": fields}
        )

    async def void(self, record_id: str) -> None:
        """Void a sale."""
        await self.update(record_id, status="voided")

    def relay(
        self,
        *providers: Provider,
        writer: Writer | None = None,
        owner: str = "one",
        polled: bool = False,
        **options: Any,
    ) -> Relay:
        """A relay of this process. Its dice always give the longest pause; `polled` goes for every endpoint."""
        known = {"schedules": SCHEDULES, "watch": False, **options}
        return Relay(
            database=self.database,
            writer=writer or self.writer,
            routes=self.routes,
            providers=providers,
            secrets=OpenSecrets(),
            applying=self.applier,
            owner=owner,
            clock=self.clock,
            random=lambda: 0.999,
            polls=lambda _provider, _settings: polled,
            options=RelayOptions(**known),
        )

    async def rows(self, **wanted: Any) -> list[Delivery]:
        """The outbox."""
        return await list_deliveries(self.database, self.tenant_id, Filter(limit=100_000, **wanted))

    async def states(self) -> dict[str, int]:
        """How many deliveries are in which state."""
        found = [row.state for row in await self.rows()]
        return {state: found.count(state) for state in sorted(set(found))}

    async def sale(self, record_id: str) -> Record:
        """A sale as it is stored."""

        async def work(tx: Tx) -> Record:
            return (await self.records.load(tx, self.tenant_id, [("sales", record_id)]))["sales", record_id]

        return await self.database.read(work)

    async def begin_epoch(self) -> str:
        """Draw a new epoch, as a rewind that was found out does; its name."""
        epoch = self.new_id()

        async def job(writing: Writing) -> None:
            writing.tenant(self.tenant_id).epoch = epoch

        await self.writer.submit(Job([self.tenant_id], job))
        return epoch

    async def apply(self, mutation: Mutation, author: str, provider: str | None = None) -> None:
        """A mutation of the server's."""

        async def job(writing: Writing) -> None:
            await self.applier.apply(writing, self.tenant_id, author, [mutation], Cause("corr-server", provider))

        await self.writer.submit(Job([self.tenant_id], job))

    async def fetch(self, sql: str, *parameters: Any) -> list[Sequence[Any]]:
        """Rows of a query."""

        async def work(tx: Tx) -> list[Sequence[Any]]:
            return list(await tx.fetch(Statement(sql), parameters))

        return await self.database.read(work)


async def tidied(outlet: Outlet) -> None:
    """Let more than the retention pass, and collect what is older."""
    outlet.clock.ms += 100 * DAY_MS
    tidier = Tidier(outlet.database, outlet.writer, outlet.records, outlet.clock, 90 * DAY_MS)
    await tidier.tidy(outlet.tenant_id)


@asynccontextmanager
async def open_outlet(
    url: str, seed: int = 1, clock: Clock | None = None, declared: Sequence[Route] = (), **route: Any
) -> AsyncIterator[Outlet]:
    """An outlet on a migrated database; `declared` are its routes, all of them by default.

    Keywords change the terms of the plain one by which sales go to any HTTP endpoint, and leave it alone.
    """
    new_id, clock = Ids(seed), clock or Clock()
    if route:
        declared = [replace(one, **route) for one in routes() if one.name == "sales.forward"]
    declared = tuple(declared) or routes()
    database = open_database(url)
    writer = Writer(database, clock=clock, nonce=lambda: new_id().replace("-", ""))
    records, forwarder = Records(registry()), Forwarder(declared)
    outlet = Outlet(
        database=database,
        writer=writer,
        records=records,
        pusher=Pusher(writer, records, forwarder),
        applier=Applier(records, forwarder),
        clock=clock,
        new_id=new_id,
        routes=declared,
        client_id=new_id(),
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        outlet.tenant_id = await Admin(database, writer, ApiKeys(database, writer, new_id, clock), new_id).add_tenant(
            "Bar Centrale"
        )
        yield outlet
        tasks.cancel_scope.cancel()
    await database.close()
