"""The stage: a shop on a database, the server's processes on it, a provider and a kiosk, and the lines between them."""

import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import SecretStr

from server.app import Core, open_core
from server.settings import Settings
from sync.client import Options, SyncClient
from tests.faults.fleet import LEASE_S, Fleet, Member, starting
from tests.faults.line import Line
from tests.faults.people import KIOSK_SECRET, REFUSED, STUCK, Kiosk, Till
from tests.support.processes import reserved_port
from tests.support.receiver import Receiver, receiver_process
from tests.support.shop import product_fields

DatabaseKind = Literal["sqlite", "postgres"]
COLLECTIONS = ("sales", "products")
SHOP = "centro"
STOCK = 1_000_000
STATUS_OF = {STUCK: 503, REFUSED: 422}
_LATE_S = LEASE_S / 2 + 0.4
"""Longer than a call may take: half a lease."""

OPTIONS = Options(COLLECTIONS, batch=20, interval_s=0.3, backoff_base_s=0.05, backoff_cap_s=0.5, timeout_s=4)


@dataclass(frozen=True)
class Plan:
    """What is to be played: for so many seconds there is trouble; `patience_s` is how long all may take to settle.

    `pace` is sales a second, on each till and at the kiosk.
    """

    kind: DatabaseKind
    url: str
    seed: int = 1
    seconds: float = 10
    pace: float = 4
    risk: float = 0.01
    patience_s: float = 60
    plant: str | None = None

    @property
    def processes(self) -> tuple[int, int]:
        """So many `serve`, so many `relay`."""
        return (1, 1) if self.kind == "sqlite" else (2, 3)


class Shop(NamedTuple):
    """A tenant, its owner's token, and where its kiosk tells of its sales."""

    tenant_id: str
    token: str
    webhook_path: str


@dataclass(frozen=True)
class Stage:
    """Everybody who plays."""

    plan: Plan
    folder: Path
    core: Core
    fleet: Fleet
    provider: Receiver
    outgoing: Line
    incoming: Line
    tills: list[Till]
    kiosk: Kiosk
    shop: Shop
    product: str

    @property
    def tenant_id(self) -> str:
        """The shop."""
        return self.shop.tenant_id


@asynccontextmanager
async def open_stage(plan: Plan, folder: Path) -> AsyncIterator[Stage]:
    """Set everything up; all processes end with the block."""
    settings = Settings(data=folder / "data", database_url=SecretStr(plan.url), allow_loopback=True)
    async with AsyncExitStack() as opened:
        fleet = opened.enter_context(_fleet(plan, folder))  # it loads while the others start
        core = await opened.enter_async_context(open_core(settings))
        provider = await opened.enter_async_context(receiver_process(folder))
        outgoing = Line([provider.process.url], plan.seed, _LATE_S, passes=24, poison=poison)
        fleet.calling = lambda: outgoing.late
        incoming = Line(fleet.urls, plan.seed + 1, _LATE_S, passes=8)
        for one in (outgoing, incoming):
            await opened.enter_async_context(one.open())
        shop = await _shop(core, outgoing.url, provider.secret)
        await fleet.restart()
        product = await _stock(folder, fleet.urls[0], shop.token)
        yield Stage(
            plan=plan,
            folder=folder,
            core=core,
            fleet=fleet,
            provider=provider,
            outgoing=outgoing,
            incoming=incoming,
            tills=await _tills(opened, core, fleet, shop.tenant_id, product),
            kiosk=Kiosk(incoming.url + shop.webhook_path, product, random.Random(f"kiosk {plan.seed}")),
            shop=shop,
            product=product,
        )


def poison(body: bytes) -> int | None:
    """How the provider answers what is poisoned."""
    return STATUS_OF.get(json.loads(body)["data"]["fields"]["note"] or "")


def only_refused(body: bytes) -> int | None:
    """How it answers once it has recovered: what it will not have, it still will not have."""
    status = poison(body)
    return status if status == STATUS_OF[REFUSED] else None


@contextmanager
def _fleet(plan: Plan, folder: Path) -> Iterator[Fleet]:
    serving, relaying = plan.processes
    with ExitStack() as held, starting(folder / "starter.log") as starter:
        ports = [held.enter_context(reserved_port()) for _ in range(serving)]
        members = [
            Member(f"serve-{number}", ["serve", "--port", str(port)], f"http://127.0.0.1:{port}")
            for number, port in enumerate(ports, 1)
        ]
        members += [Member(f"relay-{number}", ["relay"]) for number in range(1, relaying + 1)]
        environment = {
            "RIENTRO_ALLOW_LOOPBACK": "1",
            "RIENTRO_DATA": str(folder / "data"),
            "RIENTRO_DATABASE_URL": plan.url,
            "RIENTRO_LEASE_S": str(LEASE_S),
        }
        yield Fleet(starter, folder, environment, members, random.Random(f"fleet {plan.seed}"), plant=plan.plant)


async def _shop(core: Core, provider_url: str, secret: str) -> Shop:
    """As its owner would set it up."""
    tenant_id = await core.admin.add_tenant("Bar dei Guasti")
    hooked = {"url": f"{provider_url}/hook", "secret": secret, "timeout": "1", "breaker_pause": "0.2",
              "breaker_cap": "1"}  # fmt: skip
    await core.endpoints.add(tenant_id, "http", "provider", hooked)
    kiosk = await core.endpoints.add(tenant_id, "pos", "kiosk", {"shop": SHOP, "secret": KIOSK_SECRET})
    owner = await core.admin.add_device(tenant_id, "office", "owner", SHOP)
    return Shop(tenant_id, owner.token, kiosk.webhook_path)


async def _stock(folder: Path, url: str, token: str) -> str:
    """The one thing that is sold."""
    async with SyncClient(folder / "office.db", url, token, OPTIONS) as office:
        made = office.create("products", product_fields(), increments={"stock": str(STOCK)})
        await office.drain()
    return made.record_id


async def _tills(opened: AsyncExitStack, core: Core, fleet: Fleet, tenant_id: str, product: str) -> list[Till]:
    """Two, each at a server of its own where there are two."""
    tills = []
    for name, url in zip(("till-1", "till-2"), fleet.urls * 2, strict=False):
        device = await core.admin.add_device(tenant_id, name, "terminal", SHOP)
        client = SyncClient(fleet.folder / f"{name}.db", url, device.token, OPTIONS)
        await opened.enter_async_context(client)
        tills.append(Till(name, client, product, random.Random(fleet.dice.random())))
    return tills
