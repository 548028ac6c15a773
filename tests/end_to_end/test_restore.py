"""A server that goes back to a backup, in real processes and on both databases: what the tills know comes home again.

The provider is real too, and strict: a key it knows must come with the body it came with before.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

from server.app import open_core
from server.auth.admin import NewDevice
from server.settings import Settings
from sync.client import Options, SyncClient
from tests.client.samples import COLLECTIONS, product, sale
from tests.demo.machines import Installation
from tests.support.processes import ServerProcess
from tests.support.receiver import SECRET, Receiver, receiver_process

TILLS = ("cassa-1", "cassa-2")
STOCK = 1000


@dataclass
class Shop:
    """A running server with two tills and an office; its sales go on to a provider."""

    folder: Path
    installation: Installation
    server: ServerProcess
    provider: Receiver
    devices: dict[str, NewDevice]
    goods: str = ""

    def client(self, device: str, file: str | None = None) -> SyncClient:
        """The client of a device, on its own local database or on another."""
        options = Options(collections=COLLECTIONS, batch=5, page=7, interval_s=60, backoff_base_s=0.01)
        path = self.folder / f"{file or device}.db"
        return SyncClient(path, self.server.url, self.devices[device].token, options)

    async def sell(self, device: str, count: int, file: str | None = None) -> None:
        """Sell one of the goods so many times, and send it all."""
        async with self.client(device, file) as client:
            for _ in range(count):
                lines = [{**sale()["lines"][0], "product_id": self.goods}]
                client.sell(sale(lines=lines, terminal_id=file or device))
            await client.drain()

    async def forwarded(self, count: int) -> None:
        """Wait until so many sales are known to have reached the provider."""
        async with self.client("office") as office:
            with anyio.fail_after(60):
                while _told(office) != count:
                    await anyio.sleep(0.1)
                    await office.drain()


def _told(office: SyncClient) -> int:
    return sum(one.fields["forward_status"] == "delivered" for one in office.records("sales").values())


def _settings(installation: Installation) -> Settings:
    url = installation.database_url
    database_url = None if url is None else SecretStr(url)
    return Settings(data=installation.folder / "data", database_url=database_url, allow_loopback=True)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def shop(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: object) -> AsyncIterator[Shop]:
    """A server of its own, on the embedded database and on PostgreSQL."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    installation = Installation(tmp_path, url)
    async with AsyncExitStack() as opened:
        provider = await opened.enter_async_context(receiver_process(tmp_path))
        async with open_core(_settings(installation)) as core:
            tenant_id = await core.admin.add_tenant("Bar Sport")
            devices = {
                name: await core.admin.add_device(tenant_id, name, role, "centro")
                for name, role in ((TILLS[0], "terminal"), (TILLS[1], "terminal"), ("office", "owner"))
            }
            account = {"url": provider.url, "secret": SECRET, "timeout": "2"}
            await core.endpoints.add(tenant_id, "http", "Contabilità", account)
        server = await opened.enter_async_context(installation.serving())
        shop = Shop(tmp_path, installation, server, provider, devices)
        async with shop.client("office") as office:
            shop.goods = office.create("products", product(), increments={"stock": str(STOCK)}).record_id
            await office.drain()
        yield shop


async def test_a_restored_server_gets_everything_again_and_the_provider_nothing_twice(shop: Shop) -> None:
    """Sales before the backup, after it, and made while the server was away: each once, here and outside."""
    file = shop.folder / "backup"
    for till in TILLS:
        await shop.sell(till, 4)
    await shop.forwarded(8)
    made = await shop.installation.command("backup", str(file))
    assert made["clients_covered"] == 3
    for till in TILLS:
        await shop.sell(till, 7)
    await shop.forwarded(22)
    async with shop.client(TILLS[0]) as client:
        before = client.store.meta().epoch
        assert client.store.meta().safe_mutation_id == 4
    await shop.server.stop()
    restored = await shop.installation.command("restore", str(file), "--yes")
    assert restored["tenants"] == 1
    await shop.server.start()
    for till in TILLS:
        await shop.sell(till, 2)
    await shop.forwarded(26)
    await _check(shop, 26, before)


async def _check(shop: Shop, count: int, before: str | None) -> None:
    """The same at the tills, the office and the provider; nothing is left to send, and nothing was refused."""
    async with shop.client("office") as office:
        await office.drain()
        sales = {record_id: one.fields for record_id, one in office.records("sales").items()}
        stock = office.records("products")[shop.goods].fields["stock"]
    assert Counter(one["terminal_id"] for one in sales.values()) == dict.fromkeys(TILLS, count // 2)
    assert Decimal(stock) == STOCK - count
    for till in TILLS:
        async with shop.client(till) as client:
            await client.drain()
            assert {record_id: one.fields for record_id, one in client.records("sales").items()} == sales
            assert {entry.state for entry in client.entries()} == {"settled"}
            assert client.store.meta().epoch != before
    assert sorted(_sold(shop.provider)) == sorted(sales)
    assert {entry["did"] for entry in shop.provider.arrivals()} == {"kept", "again"}


def _sold(provider: Receiver) -> Sequence[str]:
    return [entry["sent"]["data"]["record_id"] for entry in provider.kept()]
