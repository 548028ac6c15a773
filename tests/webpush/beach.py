"""A shop whose people are told: engine, outbox and web push on a fresh database, with a clock that is moved by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from server.app.core import now_ms
from server.audit import OPERATOR
from server.auth.admin import Admin
from server.auth.keys import Keys as ApiKeys
from server.collections import routes
from server.credentials.vault import Vault
from server.engine.apply import Applier
from server.engine.push import Pusher
from server.outbound import Outbound, open_outbound
from server.outbox.collect import Forwarder
from server.outbox.relay import Relay
from server.ports import Cause, Notice, Principal
from server.providers.webpush import WebPushProvider
from server.storage.writer import Job, Writing
from server.webpush.composing import BURST_MS, ROUTE
from server.webpush.hosts import Hosts
from server.webpush.keys import VapidKeys
from server.webpush.notices import Noticed, Noticing
from server.webpush.notifier import Notifier
from server.webpush.subscriptions import PushSubscriptions, Wanted
from sync.clock import encode_instant
from tests.outbox.outlet import Outlet, open_outlet
from tests.support.shop import TIMESTAMP, Clock
from tests.webpush.service import Browser, PushService

INVOICE: dict[str, Any] = {
    "position": 1,
    "document_type": "TD01",
    "number": "1",
    "issued_on": "2025-11-24",
    "received_at": TIMESTAMP,
    "supplier_name": "Rossi Srl",
    "currency": "EUR",
    "total": "1234.50",
    "payable": "1234.50",
    "lines": [],
    "summaries": [],
}
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


@dataclass
class Beach:
    """Everything of one process, and the push service its devices are subscribed at."""

    outlet: Outlet
    service: PushService
    outbound: Outbound
    admin: Admin
    keys: VapidKeys
    subscriptions: PushSubscriptions
    noticed: Noticed
    notifier: Notifier

    @property
    def clock(self) -> Clock:
        """The shop's."""
        return self.outlet.clock

    @property
    def tenant_id(self) -> str:
        """The shop."""
        return self.outlet.tenant_id

    async def device(self, role: str = "owner", shop: str = "centro") -> Principal:
        """A device of a role, let in by a key."""
        made = await self.admin.add_device(self.tenant_id, role, role, shop)
        return Principal(self.tenant_id, made.device_id, role, shop, frozenset((shop,)))

    async def subscribe(self, principal: Principal, **wanted: Any) -> Browser:
        """Subscribe a device's browser by the newest key, and say so."""
        public_key = (await self.keys.known(self.tenant_id))[0].public_key
        browser = await self.service.subscribe(public_key)
        await self.put(principal, browser, public_key, **wanted)
        return browser

    async def put(self, principal: Principal, browser: Browser, public_key: str, **wanted: Any) -> bool:
        """What a page says of its subscription."""
        keys = (SecretStr(browser.keys["p256dh"]), SecretStr(browser.keys["auth"]))
        known = {"lang": "it", "kinds": None, "quiet": None} | wanted
        return await self.subscriptions.put(principal, Wanted(browser.endpoint, *keys, public_key, **known), OPERATOR)

    async def owner(self, **wanted: Any) -> Browser:
        """An owner's device, subscribed."""
        return await self.subscribe(await self.device("owner"), **wanted)

    async def invoice(self, **fields: Any) -> str:
        """An invoice arrives, as the inbox brings it."""
        record_id = self.outlet.new_id()
        mutation: Any = {
            "mutation_id": 1,
            "uid": self.outlet.new_id(),
            "op": "create",
            "collection": "invoices",
            "record_id": record_id,
            "timestamp": TIMESTAMP,
            "base_version": 0,
            "fields": INVOICE | fields,
        }

        async def job(writing: Writing) -> None:
            outcomes = await self.outlet.applier.apply(writing, self.tenant_id, "provider:x", [mutation], Cause("c"))
            assert [outcome.status for outcome in outcomes] == ["applied"]

        await self.outlet.writer.submit(Job([self.tenant_id], job))
        return record_id

    async def notice(self, *notices: Notice) -> None:
        """Somebody noticed something."""

        async def job(writing: Writing) -> None:
            await self.noticed.note(writing, self.tenant_id, notices)

        await self.outlet.writer.submit(Job([self.tenant_id], job))

    def relay(self, **options: Any) -> Relay:
        """A relay whose provider is the real one; tokens are judged by the true time."""
        return self.outlet.relay(WebPushProvider(self.outbound, now_ms, self.subscriptions), **options)

    async def tell(self, later_ms: int = BURST_MS) -> None:
        """Let the burst be over, compose, and send."""
        self.clock.ms += later_ms
        await self.notifier.once()
        await self.relay().drain()

    async def waiting(self) -> int:
        """How many notices wait."""
        found = await self.outlet.fetch("SELECT count(*) FROM webpush_notices WHERE tenant_id = :t", self.tenant_id)
        return int(found[0][0])


@asynccontextmanager
async def open_beach(url: str, service: PushService) -> AsyncIterator[Beach]:
    """One merchant, nobody subscribed."""
    async with (
        open_outlet(url, declared=[*routes(), ROUTE]) as outlet,
        open_outbound(allow_loopback=True) as outbound,
    ):
        database, writer, clock, vault = outlet.database, outlet.writer, outlet.clock, Vault.of(b"k" * 32)
        notifier = Notifier(database, writer, outlet.records, "https://shop.example", clock)
        noticed = Noticed(database, notifier.wake)
        forwarder = Noticing(Forwarder(outlet.routes), noticed.note)
        outlet.pusher = Pusher(writer, outlet.records, forwarder)
        outlet.applier = Applier(outlet.records, forwarder)
        contact, instant = "mailto:owner@shop.example", lambda: encode_instant(clock())
        yield Beach(
            outlet=outlet,
            service=service,
            outbound=outbound,
            admin=Admin(database, writer, ApiKeys(database, writer, outlet.new_id, clock), outlet.new_id),
            keys=VapidKeys(database, writer, vault, outlet.new_id),
            subscriptions=PushSubscriptions(database, writer, vault, Hosts((), allow_loopback=True), contact, instant),
            noticed=noticed,
            notifier=notifier,
        )
