"""A shop to test with: an open engine on a fresh database, devices, and mutations written in one line each.

Ids and times are made from a seed, so a failure replays.
"""

import json
import random
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from server.auth.admin import Admin
from server.auth.keys import Keys as ApiKeys
from server.collections import registry as described
from server.engine.apply import Applier
from server.engine.exchange import Exchange
from server.engine.history import History
from server.engine.pull import Puller
from server.engine.push import Pusher
from server.engine.records import Records
from server.ports import Cause, Collector, Principal
from server.storage.database import Database
from server.storage.open import open_database
from server.storage.writer import Tenant, Writer, Writing
from sync.cursor import CursorKeys
from sync.judge import Accepted
from sync.protocol import Registry

START_MS = 1_764_000_000_000
TIMESTAMP = "2025-11-24T10:00:00.000Z"


class Ids:
    """Uuids of version 7 from a seed, one millisecond apart."""

    def __init__(self, seed: int = 1) -> None:
        self._random, self._ms = random.Random(seed), START_MS

    def __call__(self) -> str:
        self._ms += 1
        bits = self._random.getrandbits(74)
        value = self._ms << 80 | 7 << 76 | (bits >> 62) << 64 | 2 << 62 | bits & (2**62 - 1)
        return str(uuid.UUID(int=value))


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms


class NothingForwarded:
    """An outbox that nothing is bound to, for tests of the engine alone; it notes what it was shown."""

    def __init__(self) -> None:
        self.seen: list[Accepted] = []

    def accepted(self, change: Accepted) -> None:
        self.seen.append(change)

    async def store(self) -> None:
        return None

    async def collector(self, _writing: Writing, _tenant: Tenant, _cause: Cause) -> Collector:
        return self


@dataclass
class Shop:
    """An engine with one tenant."""

    database: Database
    writer: Writer
    records: Records
    exchange: Exchange
    puller: Puller
    applier: Applier
    admin: Admin
    clock: Clock
    forwarding: NothingForwarded
    new_id: Ids
    tenant_id: str = ""

    def device(self, role: str = "terminal", shop: str = "centro", shops: Sequence[str] = ()) -> "Till":
        """A device that is let in."""
        seen = frozenset(shops or (shop,))
        return Till(self, Principal(self.tenant_id, self.new_id(), role, shop, seen))


@dataclass
class Till:
    """A device with one local database: it numbers its mutations and sends them when told."""

    shop: Shop
    principal: Principal
    client_id: str = ""
    last_id: int = 0
    cursor: str | None = None
    epoch: str | None = None
    received: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client_id = self.client_id or self.shop.new_id()

    def mutation(self, collection: str, record_id: str, op: str = "create", **more: Any) -> dict[str, Any]:
        """The next mutation; keywords replace or add members."""
        self.last_id += 1
        known = {
            "mutation_id": self.last_id,
            "uid": self.shop.new_id(),
            "collection": collection,
            "record_id": record_id,
            "op": op,
            "base_version": 0,
            "timestamp": TIMESTAMP,
        }
        return known | more

    def sale(self, **fields: Any) -> dict[str, Any]:
        """The next sale."""
        return self.mutation("sales", self.shop.new_id(), fields=sale_fields(self.last_id + 1, **fields))

    async def send(self, *mutations: Mapping[str, Any], **request: Any) -> dict[str, Any]:
        """Push and, where `collections` are named, pull; the answer. Raises what the engine raises."""
        document = {"protocol": 1, "client_id": self.client_id, "mutations": list(mutations), **request}
        answer = await self.shop.exchange.sync(self.principal, json.dumps(document).encode(), "test")
        parsed: dict[str, Any] = json.loads(answer)
        return parsed

    async def pull(self, *collections: str, limit: int = 1000) -> list[dict[str, Any]]:
        """Every page of a round; the changes, in the order they came."""
        changes: list[dict[str, Any]] = []
        while True:
            answer = await self.send(collections=list(collections), cursor=self.cursor, limit=limit)
            self.cursor, self.epoch = answer["cursor"], answer["epoch"]
            changes += answer["changes"]
            self.received |= {(c["collection"], c["record_id"]): c for c in answer["changes"]}
            if not answer["more"]:
                return changes


def sale_fields(number: int = 1, **replaced: Any) -> dict[str, Any]:
    """A sale of one coffee."""
    fields = {
        "terminal_id": "T1",
        "receipt_no": number,
        "business_day": "2025-11-24",
        "sold_at": TIMESTAMP,
        "lines": [
            {
                "description": "caffè",
                "quantity": "1.000",
                "unit_price": "1.20",
                "total": "1.20",
                "vat_rate": "10.00",
            }
        ],
        "vat": [{"rate": "10.00", "gross": "1.20", "net": "1.09", "vat": "0.11"}],
        "total": "1.20",
        "payment_method": "cash",
    }
    return fields | replaced


def line(product_id: str, quantity: str = "1.000") -> dict[str, str]:
    """A line that takes from a product's stock."""
    return {
        "product_id": product_id,
        "description": "caffè",
        "quantity": quantity,
        "unit_price": "1.20",
        "total": "1.20",
        "vat_rate": "10.00",
    }


def product_fields(**replaced: Any) -> dict[str, Any]:
    """A product."""
    return {"name": "caffè", "price": "1.20", "vat_rate": "10.00"} | replaced


@asynccontextmanager
async def open_shop(
    url: str, seed: int = 1, registry: Registry | None = None, *, empty: bool = False
) -> AsyncIterator[Shop]:
    """An engine on a migrated database, with one tenant (`empty`: none); another registry may bend rules."""
    new_id, clock, forwarding = Ids(seed), Clock(), NothingForwarded()
    database = open_database(url)
    writer = Writer(database, clock=clock, nonce=lambda: new_id().replace("-", ""))
    registry = registry or described()
    records = Records(registry)
    puller = Puller(database, records, CursorKeys(b"k" * 32), History(writer, new_id))
    shop = Shop(
        database=database,
        writer=writer,
        records=records,
        exchange=Exchange(registry, Pusher(writer, records, forwarding), puller, clock),
        puller=puller,
        applier=Applier(records, forwarding),
        admin=Admin(database, writer, ApiKeys(database, writer, new_id, clock), new_id),
        clock=clock,
        forwarding=forwarding,
        new_id=new_id,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        shop.tenant_id = "" if empty else await shop.admin.add_tenant("Bar Centrale")
        yield shop
        tasks.cancel_scope.cancel()
    await database.close()
