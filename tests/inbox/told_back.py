"""A shop whose sales go to a real receiver, which tells back what it made: outbox and inbox in one process.

Both ways are HTTP on this machine. The clock is moved by hand; a webhook is answered when it was stored and processed,
so that what a test sees after a call is no matter of luck.
"""

import itertools
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from server.inbox.listing import Event, Filter, list_events
from server.inbox.observe import Observer
from server.inbox.processor import Processor, ProcessorOptions
from server.inbox.receive import Receiver as Desk
from server.outbound import Outbound, open_outbound
from server.outbox.relay import Relay
from server.ports import WebhookRefusedError
from server.providers.http import HttpProvider
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.inbox.mailroom import DICE, SCHEDULES, nap
from tests.outbox.outlet import OpenSecrets, Outlet, open_outlet
from tests.support.processes import reserved_port
from tests.support.raw_http import Response, serve
from tests.support.receiver import API_KEY, SECRET, Receiver

_SEEDS = itertools.count(100)
"""The receiver is one for many shops: their keys must differ."""
HOOK = "0123456789abcdef" * 2


def wall_ms() -> int:
    """The receiver's clock is the machine's."""
    return time.time_ns() // 1_000_000


@dataclass
class ToldBack:
    """A shop, its receiver, and the address at which the receiver tells it."""

    outlet: Outlet
    outbound: Outbound
    receiver: Receiver
    port: int
    endpoint_id: str = ""
    hook: str = ""
    woken: int = 0
    statuses: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.http = HttpProvider(self.outbound, wall_ms)
        self.desk = Desk(
            database=self.outlet.database,
            writer=self.outlet.writer,
            sources={"http": self.http},
            secrets=OpenSecrets(),
            clock=wall_ms,
            new_id=self.outlet.new_id,
            stored=self.wake,
        )
        self.processor = self.another_processor("one")

    def wake(self) -> None:
        """There is something to process."""
        self.woken += 1

    def another_processor(self, owner: str) -> Processor:
        """A processor of the same database."""
        return Processor(
            database=self.outlet.database,
            writer=self.outlet.writer,
            registry=self.outlet.registry,
            sources=[self.http],
            secrets=OpenSecrets(),
            applying=self.outlet.applier,
            owner=owner,
            clock=self.outlet.clock,
            random=lambda: DICE,
            sleep=nap,
            options=ProcessorOptions(schedules=SCHEDULES, watch=False),
        )

    @property
    def relay(self) -> Relay:
        """What sends."""
        relay = self.outlet.relay(self.http)
        relay.observing = Observer(self.wake)
        relay.__post_init__()
        return relay

    @property
    def url(self) -> str:
        """Where the receiver tells us."""
        address = f"{self.outlet.tenant_id.replace('-', '')}.{self.endpoint_id.replace('-', '')}"
        return f"http://127.0.0.1:{self.port}/v1/webhooks/http/{address}" + (f".{self.hook}" if self.hook else "")

    async def bind(self, scheme: str) -> None:
        """Send sales to the receiver, which tells back in this way."""
        more = {"objects_url": f"{self.receiver.process.url}/objects"} if scheme == "hint" else {}
        settings: dict[str, Any] = {"url": self.receiver.url, "timeout": 10, "scheme": scheme, **more}
        self.endpoint_id = await self.outlet.bind(**settings, secret=SECRET)
        if scheme == "hint":
            self.hook = HOOK
            sealed = json.dumps({"secret": SECRET, "hook": HOOK, "api_key": API_KEY})
            await self.execute("UPDATE endpoints SET sealed = :sealed", sealed)

    async def answer(self, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Take a webhook in, and process what is due, before it is answered."""
        try:
            receipt = await self.desk.receive("http", target.rpartition("/")[2], headers, body, "corr-told-back")
        except WebhookRefusedError:
            return Response(401, {})
        await self.processor.drain()
        return Response(200, {"status": receipt.outcome})

    async def sell(self, **step: Any) -> str:
        """Ring up a sale whose delivery goes like that; its id."""
        await self.receiver.script({"do": "overtake", "url": self.url, **step})
        (record_id,) = await self.outlet.sell()
        await self.relay.drain()
        return record_id

    async def reference(self, record_id: str) -> tuple[Any, Any]:
        """What the sale knows of its delivery: state, and the receiver's name for it."""
        fields = (await self.outlet.sale(record_id)).fields
        return fields["forward_status"], fields["forward_reference"]

    async def events(self) -> list[Event]:
        """The inbox."""
        return await list_events(self.outlet.database, self.outlet.tenant_id, Filter())

    async def told(self) -> list[tuple[str, str | None]]:
        """The inbox: state and error of each event."""
        return [(event.state, event.error) for event in await self.events()]

    async def sales(self) -> int:
        """How many sales there are."""
        ((count,),) = await self.outlet.fetch("SELECT count(*) FROM sales")
        return int(count)

    async def execute(self, sql: str, *parameters: Any) -> None:
        """Change something behind everybody's back."""

        async def job(writing: Writing) -> None:
            await writing.tx.execute(Statement(sql), parameters)

        await self.outlet.writer.submit(Job([], job))


@asynccontextmanager
async def open_told_back(url: str, receiver: Receiver) -> AsyncIterator[ToldBack]:
    """A shop on a migrated database, listening on a port of its own."""
    async with open_outlet(url, seed=next(_SEEDS)) as outlet, open_outbound(allow_loopback=True) as outbound:
        outlet.clock.ms = wall_ms()
        with reserved_port() as port:
            shop = ToldBack(outlet, outbound, receiver, port)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve, port, shop.answer)
                yield shop
                tasks.cancel_scope.cancel()
