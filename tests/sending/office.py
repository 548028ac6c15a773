"""A shop that issues invoices: the real engine, outbox and inbox on one database, and what a clerk does there."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from server.collections import routes
from server.inbox.copies import Copies
from server.inbox.listing import Event, Filter, list_events
from server.inbox.processor import Processor, ProcessorOptions
from server.inbox.receive import Receiver
from server.ports import Source
from server.storage.database import Tx
from server.storage.statement import Statement
from tests.outbox.outlet import SCHEDULES, OpenSecrets, Outlet, open_outlet
from tests.support.shop import sale_fields

SELLER = {
    "seller_name": "Bar Centrale di Ada Rossi",
    "seller_vat_number": "01234567890",
    "seller_address": "Via Roma, 1",
    "seller_postcode": "40121",
    "seller_city": "Bologna",
    "seller_province": "BO",
}
CUSTOMER = {
    "name": "Officine Bianchi S.r.l.",
    "vat_number": "IT09876543210",
    "sdi_code": "ABC1234",
    "address": "Via Milano, 22",
    "postcode": "20121",
    "city": "Milano",
    "province": "MI",
}

_ISSUED = Statement("SELECT id FROM issued_invoices WHERE tenant_id = :tenant_id ORDER BY seq")
_PAYLOADS = Statement("SELECT payload FROM outbox WHERE tenant_id = :tenant_id ORDER BY created_at, sequence")


@dataclass
class Office:
    """One tenant's invoices."""

    outlet: Outlet
    sources: list[Source] = field(default_factory=list)
    endpoint_id: str = ""
    said: int = 0
    copies: Copies | None = None

    async def open(self, provider: str = "sdi", **settings: Any) -> str:
        """Bind the endpoint that sends, with a seller; the address its webhooks come to."""
        named = {**SELLER, "scheme": "none", **settings}
        self.endpoint_id = await self.outlet.bind(f"issued_invoices.{provider}", provider, **named)
        return f"{self.outlet.tenant_id.replace('-', '')}.{self.endpoint_id.replace('-', '')}"

    async def customer(self, **replaced: Any) -> str:
        """A new customer."""
        return await self.create("customers", {**CUSTOMER, **replaced}, role="owner")

    async def sale(self, **replaced: Any) -> str:
        """A new sale."""
        self.said += 1
        return await self.create("sales", {**sale_fields(self.said), "shop": "centro", **replaced})

    async def ask(self, sale_id: str | None = None, customer_id: str | None = None, **replaced: Any) -> str:
        """Ask for an invoice."""
        asked = {
            "shop": "centro",
            "sale_id": sale_id or await self.sale(),
            "customer_id": customer_id or await self.customer(),
            "issued_on": "2025-11-24",
            **replaced,
        }
        return await self.create("issued_invoices", asked)

    async def create(self, collection: str, fields: Mapping[str, Any], role: str = "terminal") -> str:
        """A new record of a client's."""
        record_id = self.outlet.new_id()
        await self.say("create", collection, record_id, fields, role)
        return record_id

    async def change(self, collection: str, record_id: str, **fields: Any) -> None:
        """A change of a client's that saw everything."""
        await self.say("update", collection, record_id, fields, "owner", base_version=1000)

    async def say(
        self, op: str, collection: str, record_id: str, fields: Mapping[str, Any], role: str, **more: Any
    ) -> None:
        """Push one mutation."""
        told = {"uid": self.outlet.new_id(), "op": op, "collection": collection, "record_id": record_id}
        assert await self.outlet.push({**told, "fields": fields, **more}, role=role) == ["applied"]

    async def get(self, record_id: str) -> Mapping[str, Any]:
        """An issued invoice's fields."""
        return (await self.all())[record_id]

    async def all(self) -> dict[str, Mapping[str, Any]]:
        """Every issued invoice."""

        async def work(tx: Tx) -> dict[str, Mapping[str, Any]]:
            ids = [row[0] for row in await tx.fetch(_ISSUED, (self.outlet.tenant_id,))]
            keys = [("issued_invoices", record_id) for record_id in ids]
            loaded = await self.outlet.records.load(tx, self.outlet.tenant_id, keys)
            return {record_id: loaded["issued_invoices", record_id].fields for record_id in ids}

        return await self.outlet.database.read(work)

    async def payloads(self) -> list[Mapping[str, Any]]:
        """What the outbox holds, as frozen."""

        async def work(tx: Tx) -> list[Mapping[str, Any]]:
            rows = await tx.fetch(_PAYLOADS, (self.outlet.tenant_id,))
            return [json.loads(row[0])["data"]["fields"] for row in rows]

        return await self.outlet.database.read(work)

    @property
    def receiver(self) -> Receiver:
        """What webhooks come to."""
        return Receiver(
            database=self.outlet.database,
            writer=self.outlet.writer,
            sources={source.name: source for source in self.sources},
            secrets=OpenSecrets(),
            clock=self.outlet.clock,
            new_id=self.outlet.new_id,
            stored=lambda: None,
            copies=self.copies,
        )

    @property
    def processor(self) -> Processor:
        """What reads them."""
        return Processor(
            database=self.outlet.database,
            writer=self.outlet.writer,
            registry=self.outlet.registry,
            sources=self.sources,
            secrets=OpenSecrets(),
            applying=self.outlet.applier,
            owner="one",
            clock=self.outlet.clock,
            random=lambda: 0.999,
            options=ProcessorOptions(schedules=SCHEDULES, watch=False),
        )

    async def events(self) -> Sequence[Event]:
        """The inbox."""
        return await list_events(self.outlet.database, self.outlet.tenant_id, Filter(limit=1000))


@asynccontextmanager
async def open_office(url: str) -> AsyncIterator[Office]:
    """On a migrated database."""
    async with open_outlet(url, declared=routes()) as outlet:
        yield Office(outlet)
