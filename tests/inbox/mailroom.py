"""A shop that is told things: the real engine and inbox on a fresh database, with a clock that is moved by hand."""

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import anyio
from standardwebhooks import Webhook

from server.inbox.claim import Claimed, Lease, Wanted, claim
from server.inbox.listing import Event, Filter, list_events
from server.inbox.processor import Processor, ProcessorOptions
from server.inbox.receive import Receiver
from server.inbox.store import Receipt
from server.inbox.work import PAUSE_S
from server.ports import Applying, Source
from server.providers.pos.provider import PosProvider
from server.resilience.backoff import Schedule, Schedules
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.inbox.scripted import Scripted
from tests.support.shop import Shop, Till, open_shop

POS_SECRET = "whsec_" + base64.b64encode(b"secret-of-the-point-of-sale-0001").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"secret-of-somebody-else-entirely").decode()
SCHEDULES = Schedules(Schedule(base_s=1, cap_s=60, lasts_s=86_400), Schedule(base_s=10, cap_s=60, lasts_s=3600))
DICE = 0.999
"""The longest pause, always."""

_ENDPOINT = Statement(
    """INSERT INTO endpoints (tenant_id, endpoint_id, provider, name, settings, sealed, paused, created_at)
       VALUES (:tenant_id, :endpoint_id, :provider, 'test', :settings, :sealed, false, :created_at)"""
)


class OpenSecrets:
    """Secrets that were never sealed: the vault has tests of its own."""

    def unseal(self, _tenant_id: str, _provider: str, _endpoint_id: str, sealed: str, /) -> dict[str, str]:
        opened: dict[str, str] = json.loads(sealed)
        return opened


async def nap(seconds: float) -> None:
    """Rest, but not for a pause between two tries to store something."""
    await anyio.sleep(seconds if seconds > PAUSE_S else 0)


@dataclass
class Mailroom:
    """A shop's inbox."""

    shop: Shop
    sources: list[Source]
    owner: Till
    woken: int = 0
    endpoints: dict[str, str] = field(default_factory=dict)

    @property
    def receiver(self) -> Receiver:
        """What webhooks come to."""
        return Receiver(
            database=self.shop.database,
            writer=self.shop.writer,
            sources={source.name: source for source in self.sources},
            secrets=OpenSecrets(),
            clock=self.shop.clock,
            new_id=self.shop.new_id,
            stored=self._wake,
        )

    def _wake(self) -> None:
        self.woken += 1

    def processor(self, *, applying: Applying | None = None, owner: str = "one", **options: Any) -> Processor:
        """A processor of this process. Its dice always give the longest pause."""
        known = {"schedules": SCHEDULES, "watch": False, **options}
        return Processor(
            database=self.shop.database,
            writer=self.shop.writer,
            registry=self.shop.records.registry,
            sources=self.sources,
            secrets=OpenSecrets(),
            applying=applying or self.shop.applier,
            owner=owner,
            clock=self.shop.clock,
            random=lambda: DICE,
            sleep=nap,
            options=ProcessorOptions(**known),
        )

    async def add(self, provider: str, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> str:
        """A new endpoint; the address its webhooks come to."""
        endpoint_id = self.shop.new_id()
        row = {
            "tenant_id": self.shop.tenant_id,
            "endpoint_id": endpoint_id,
            "provider": provider,
            "settings": json.dumps(settings),
            "sealed": json.dumps(secrets) if secrets else "",
        }

        async def job(writing: Writing) -> None:
            await writing.tx.execute(_ENDPOINT, {**row, "created_at": writing.now})

        await self.shop.writer.submit(Job([self.shop.tenant_id], job))
        self.endpoints[provider] = endpoint_id
        return f"{self.shop.tenant_id.replace('-', '')}.{endpoint_id.replace('-', '')}"

    async def add_pos(self, **secrets: str) -> str:
        """A point of sale; the address its webhooks come to."""
        return await self.add("pos", {"shop": "centro", "scheme": "standard"}, {"secret": POS_SECRET, **secrets})

    async def tell(
        self, address: str, event_id: str, name: str, correlation_id: str = "corr-webhook", about: str | None = None
    ) -> Receipt:
        """A webhook of the scripted source, perhaps `about` an object."""
        body = json.dumps({"name": name}).encode()
        headers = {"x-event": event_id} | ({"x-object": about} if about else {})
        return await self.receiver.receive("scripted", address, headers, body, correlation_id)

    async def sell(self, address: str, sale: Mapping[str, Any], event_id: str = "msg_1", **signing: Any) -> Receipt:
        """A sale's webhook, signed by the clock of the shop."""
        body, headers = self.signed(sale, event_id, **signing)
        return await self.receiver.receive("pos", address, headers, body, "corr-webhook")

    def signed(
        self,
        data: Mapping[str, Any],
        event_id: str = "msg_1",
        *,
        secret: str = POS_SECRET,
        off_s: int = 0,
        event_type: str = "sale.created",
    ) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a webhook, as a point of sale sends them."""
        body = json.dumps({"type": event_type, "timestamp": "2025-11-24T10:00:00Z", "data": data}).encode()
        at = datetime.fromtimestamp(self.shop.clock() // 1000 + off_s, UTC)
        signature = Webhook(secret).sign(event_id, at, body.decode())
        return body, {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature,
            "content-type": "application/json",
        }

    async def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self.shop.clock.ms += int(seconds * 1000)

    async def events(self, **wanted: Any) -> list[Event]:
        """The inbox."""
        return await list_events(self.shop.database, self.shop.tenant_id, replace(Filter(limit=10_000), **wanted))

    async def event(self) -> Event:
        """The only event there is."""
        (event,) = await self.events()
        return event

    async def states(self) -> dict[str, int]:
        """How many events are in which state."""
        found = [event.state for event in await self.events()]
        return {state: found.count(state) for state in sorted(set(found))}

    async def records(self, collection: str) -> list[Mapping[str, Any]]:
        """What the owner's phone has after pulling: fields, in the order they came."""
        await self.owner.pull("sales", "invoices", "customers", "products", "quarantined")
        return [
            change["fields"]
            for (name, _), change in self.owner.received.items()
            if name == collection and not change["deleted"]
        ]

    async def fetch(self, sql: str, *parameters: Any) -> list[Sequence[Any]]:
        """Rows of a query."""

        async def work(tx: Tx) -> list[Sequence[Any]]:
            return list(await tx.fetch(Statement(sql), parameters))

        return await self.shop.database.read(work)

    async def execute(self, sql: str, *parameters: Any) -> None:
        """Change something behind everybody's back."""

        async def job(writing: Writing) -> None:
            await writing.tx.execute(Statement(sql), parameters)

        await self.shop.writer.submit(Job([], job))


def sale(number: int = 1, **replaced: Any) -> dict[str, Any]:
    """A sale of two coffees, as a point of sale tells it."""
    told = {
        "version": 1,
        "id": f"S-{number}",
        "terminal": "P1",
        "receipt": number,
        "business_day": "2025-11-24",
        "sold_at": "2025-11-24T11:00:00+01:00",
        "lines": [
            {"description": "caffè", "quantity": "2", "unit_price": "1.20", "total": "2.40", "vat_rate": "10"},
        ],
        "total": "2.40",
        "payment_method": "card",
    }
    return told | replaced


@asynccontextmanager
async def open_mailroom(url: str, *sources: Source, seed: int = 1) -> AsyncIterator[Mailroom]:
    """An inbox on a migrated database, with one tenant."""
    async with open_shop(url, seed) as shop:
        owner = shop.device("owner", shops=("centro",))
        known: list[Source] = [PosProvider(None, shop.clock), Scripted(), *sources]  # type: ignore[arg-type]  # it asks nobody
        last = {source.name: source for source in known}
        yield Mailroom(shop, list(last.values()), owner)


def scripted(room: Mailroom) -> Scripted:
    """The scripted source of a room."""
    (source,) = [one for one in room.sources if isinstance(one, Scripted)]
    return source


async def submit_claim(room: Mailroom, wanted: list[Wanted], lease: Lease) -> list[Claimed]:
    """Claim as a processor does."""

    async def job(writing: Writing) -> list[Claimed]:
        return (await claim(wanted, lease, writing)).events

    return await room.shop.writer.submit(Job([], job))
