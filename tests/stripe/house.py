"""A shop with an account at Stripe: outbox, inbox and polls in one process, and a server that plays Stripe.

All ways are HTTP on this machine. The clock is the machine's until a test moves it; a webhook is answered when it was
stored and processed, so that what a test sees after one is no matter of luck.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx

from server.inbox.listing import Event, Filter, list_events
from server.inbox.observe import Observer
from server.inbox.poll import Polling
from server.inbox.processor import Processor, ProcessorOptions
from server.inbox.receive import Receiver
from server.outbound import Outbound, open_outbound
from server.outbox.listing import Delivery
from server.outbox.relay import Relay
from server.ports import Account, Call, WebhookRefusedError
from server.providers.stripe import StripeProvider
from server.storage.database import Tx
from sync.clock import encode_instant
from tests.inbox.mailroom import DICE, SCHEDULES, nap
from tests.inbox.told_back import wall_ms
from tests.outbox.outlet import OpenSecrets, Outlet, open_outlet
from tests.support.processes import ServerProcess, reserved_port
from tests.support.raw_http import Response, converse
from tests.support.shop import sale_fields

API_KEY = "sk_test_51HouseOfTests"
SECRET = "whsec_house-of-tests-0001"
SECRETS = {"api_key": API_KEY, "webhook_secret": SECRET}
ROUTES = ("sales.stripe", "customers.stripe", "customers.plan")
_SEEDS = itertools.count(5000)
"""The servers are one for many shops: their keys must differ."""


@dataclass
class House:
    """The shop, and the server it has its account at."""

    outlet: Outlet
    outbound: Outbound
    stripe: ServerProcess
    port: int
    endpoint_id: str = ""
    statuses: list[int] = field(default_factory=list)
    arrived: anyio.Condition = field(default_factory=anyio.Condition)
    processing: anyio.Lock = field(default_factory=anyio.Lock)

    def __post_init__(self) -> None:
        outlet = self.outlet
        self.provider = StripeProvider(self.outbound, outlet.clock)
        shared: dict[str, Any] = {"database": outlet.database, "writer": outlet.writer, "secrets": OpenSecrets()}
        self.desk = Receiver(
            **shared,
            sources={"stripe": self.provider},
            clock=wall_ms,
            new_id=outlet.new_id,
            stored=lambda: None,
        )
        self.processor = Processor(
            **shared,
            registry=outlet.registry,
            sources=[self.provider],
            applying=outlet.applier,
            owner="one",
            clock=outlet.clock,
            random=lambda: DICE,
            sleep=nap,
            options=ProcessorOptions(schedules=SCHEDULES, watch=False),
        )
        self.polling = Polling(
            **shared,
            sources=[self.provider],
            clock=outlet.clock,
            random=lambda: DICE,
            new_id=outlet.new_id,
            found=lambda: None,
        )

    @property
    def relay(self) -> Relay:
        """What sends."""
        relay = self.outlet.relay(self.provider)
        relay.observing = Observer(lambda: None)
        relay.__post_init__()
        return relay

    @property
    def url(self) -> str:
        """Where webhooks come to."""
        address = f"{self.outlet.tenant_id.replace('-', '')}.{self.endpoint_id.replace('-', '')}"
        return f"http://127.0.0.1:{self.port}/v1/webhooks/stripe/{address}"

    async def open_account(self, **settings: Any) -> None:
        """Bind all that goes to Stripe."""
        known = {"base_url": self.stripe.url, "shop": "centro", "scheme": "stripe", "rate": None, "timeout": 10}
        self.endpoint_id = await self.outlet.bind(ROUTES[0], "stripe", secrets=SECRETS, **known | settings)
        for route in ROUTES[1:]:
            await self.outlet.lead(route, self.endpoint_id)
        self.settings = known | settings

    def call(self, operation: str, payload: str, record_id: str, **more: Any) -> Call:
        """A call as the relay would make it."""
        account = Account(self.outlet.tenant_id, self.endpoint_id, self.settings, SECRETS)
        known = {"idempotency_key": f"rnt_{operation}_{record_id}", "correlation_id": "corr", "attempt": 1}
        named: dict[str, Any] = {"collection": "customers", **known, **more}
        return Call(account=account, delivery_id="d", record_id=record_id, payload=payload, **named)

    async def answer(self, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Take a webhook in, and process what is due, before it is answered."""
        status = await self.receive(headers, body)
        async with self.arrived:
            self.statuses.append(status)
            self.arrived.notify_all()
        return Response(status, {})

    async def receive(self, headers: Mapping[str, str], body: bytes) -> int:
        """What a webhook is answered."""
        try:
            await self.desk.receive("stripe", self.url.rpartition("/")[2], headers, body, "corr-stripe")
        except WebhookRefusedError:
            return 401
        await self.process()
        return 200

    async def process(self) -> None:
        """Process what is due; one at a time, for the processor is one."""
        async with self.processing:
            await self.processor.drain()

    async def told(self) -> None:
        """Wait until a webhook of every event was answered."""
        events = (await self.ask("GET", "/v1/events", limit=1000))["data"]
        with anyio.fail_after(120):
            async with self.arrived:
                while len(self.statuses) < len(events):
                    await self.arrived.wait()

    async def add_customer(self, name: str = "Ada Rossi", **fields: Any) -> str:
        """A new customer, told to Stripe; the record's id."""
        record_id = self.outlet.new_id()
        await self.change("customers", record_id, "create", {"name": name, **fields})
        await self.relay.drain()
        return record_id

    async def ring_up(self, customer_id: str | None, total: str = "12.30", method: str = "stored_card") -> str:
        """A sale that Stripe is to collect; its id."""
        record_id = self.outlet.new_id()
        vat = [{"rate": "0.00", "gross": total, "net": total, "vat": "0.00", "nature": "N4"}]
        fields = {"payment_method": method, "customer_id": customer_id, "total": total, "vat": vat}
        await self.change("sales", record_id, "create", sale_fields(self.outlet.last_id + 1, **fields))
        await self.relay.drain()
        return record_id

    async def change(self, collection: str, record_id: str, op: str, fields: Mapping[str, Any]) -> None:
        """A change that somebody of the shop makes now."""
        told = {"uid": self.outlet.new_id(), "op": op, "collection": collection, "record_id": record_id}
        now = encode_instant(self.outlet.clock())
        statuses = await self.outlet.push({**told, "timestamp": now, "fields": fields}, role="owner")
        assert statuses == ["applied"]

    async def poll(self) -> None:
        """Ask what no webhook told, and process it."""
        self.outlet.clock.ms += 1_000_000
        await self.polling.poll_due()
        await self.process()

    async def rows(self, collection: str) -> list[dict[str, Any]]:
        """The records of a collection, as they go out to clients."""
        ids = [row[0] for row in await self.outlet.fetch(f"SELECT id FROM {collection} ORDER BY seq")]  # noqa: S608

        async def work(tx: Tx) -> list[dict[str, Any]]:
            wanted = [(collection, str(one)) for one in ids]
            found = await self.outlet.records.load(tx, self.outlet.tenant_id, wanted)
            return [dict(found[one].fields) for one in wanted]

        return await self.outlet.database.read(work)

    async def deliveries(self) -> list[tuple[str, str, str | None]]:
        """What went out: operation, state and error, in the order it was made."""
        rows: list[Delivery] = await self.outlet.rows()
        return sorted((row.operation, row.state, row.error) for row in rows)

    async def events(self) -> list[Event]:
        """The inbox."""
        return await list_events(self.outlet.database, self.outlet.tenant_id, Filter(limit=1000))

    async def ask(self, method: str, path: str, /, **form: Any) -> dict[str, Any]:
        """Stripe's own API, as the account's owner."""
        async with httpx.AsyncClient(trust_env=False, timeout=30, auth=(API_KEY, "")) as client:
            reads = method == "GET"
            url = f"{self.stripe.url}{path}"
            answer = await client.request(method, url, params=form if reads else None, data=None if reads else form)
        assert answer.status_code < 500, answer.text
        told: dict[str, Any] = answer.json() if answer.content else {}
        return told


@asynccontextmanager
async def open_house(url: str, stripe: ServerProcess, **settings: Any) -> AsyncIterator[House]:
    """A shop on a migrated database, with an account at that server, listening on a port of its own."""
    async with open_outlet(url, seed=next(_SEEDS)) as outlet, open_outbound(allow_loopback=True) as outbound:
        outlet.clock.ms = wall_ms()
        with reserved_port() as port:
            house = House(outlet, outbound, stripe, port)
            await house.open_account(**settings)
            async with _listening(port, house):
                yield house


@asynccontextmanager
async def _listening(port: int, house: House) -> AsyncIterator[None]:
    """Take webhooks; what is on its way at the end is answered."""
    conversations: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        task.add_done_callback(conversations.discard)
        await converse(house.answer, reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", port, reuse_address=True)
    yield
    server.close()
    if conversations:
        await asyncio.wait(conversations, timeout=10)
