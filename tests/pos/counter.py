"""A shop whose sales are rung up at vendors: their desk, an inbox, and what polls."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from server.inbox.poll import Polling
from server.inbox.store import Receipt
from server.outbound import open_outbound
from server.ports import webhook_path
from server.providers.pos.shopify import ShopifyProvider
from server.providers.pos.square import SquareProvider
from server.providers.pos.sumup import SumUpProvider
from tests.inbox.mailroom import Mailroom, open_mailroom
from tests.inbox.post import polling
from tests.support.vendors import HOOK, PUBLIC_URL, Vendors, shopify_webhook, square_webhook


@dataclass
class Counter:
    """One shop at one vendor."""

    room: Mailroom
    vendors: Vendors
    address: str

    @property
    def url(self) -> str:
        """What Square was told to send to."""
        return PUBLIC_URL + webhook_path(self.room.shop.tenant_id, "square", self.room.endpoints["square"])

    async def square(self, order_id: str, event_id: str, kind: str = "payment", **more: Any) -> Receipt:
        """A webhook of Square."""
        body, headers = square_webhook(self.url, order_id, event_id, kind, **more)
        return await self.room.receiver.receive("square", self.address, headers, body, "corr")

    async def shopify(self, told: Mapping[str, Any], event_id: str, topic: str = "orders/updated") -> Receipt:
        """A webhook of Shopify."""
        body, headers = shopify_webhook(told, event_id, topic)
        return await self.room.receiver.receive("shopify", self.address, headers, body, "corr")

    async def sumup(self, body: bytes) -> Receipt:
        """A hint of SumUp."""
        return await self.room.receiver.receive("sumup", f"{self.address}.{HOOK}", {}, body, "corr")

    async def process(self) -> None:
        """Process all that is due."""
        await self.room.processor().drain()

    async def poll(self) -> Polling:
        """Poll to the end of a round, and process what was found."""
        await self.room.pass_time(61)
        poller = polling(self.room)
        await poller.poll_due()
        await self.process()
        return poller

    async def sales(self) -> list[Mapping[str, Any]]:
        """What the owner's phone has, by day and amount."""
        found = await self.room.records("sales")
        return sorted(found, key=lambda one: (one["sold_at"], one["total"]))


@asynccontextmanager
async def open_counter(url: str, vendors: Vendors, vendor: str, **settings: Any) -> AsyncIterator[Counter]:
    """A shop with one account at one vendor."""
    async with open_outbound(allow_loopback=True) as outbound:
        sources = (
            SquareProvider(outbound, lambda: 0, PUBLIC_URL),
            ShopifyProvider(outbound, lambda: 0),
            SumUpProvider(outbound, lambda: 0),
        )
        async with open_mailroom(url, *sources) as room:
            address = await room.add(vendor, {**vendors.settings[vendor], **settings}, vendors.secrets[vendor])
            yield Counter(room, vendors, address)
