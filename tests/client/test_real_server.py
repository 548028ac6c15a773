"""The client and the real server, over a real socket: what the small server promises elsewhere, this one keeps."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx
import pytest

from server.app import create_app, open_core
from server.auth.admin import NewDevice
from server.settings import Settings
from sync.client import Options, SyncClient
from sync.client.errors import ForeignQueueError, SignedOutError
from tests.client.samples import COLLECTIONS, product, sale
from tests.support.serving import served


@dataclass
class Shop:
    """A server's data and two devices; `url` while it runs."""

    folder: Path
    owner: NewDevice
    till: NewDevice
    url: str = ""
    clients: list[SyncClient] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the server."""
        async with served(create_app(settings_in(self.folder))) as self.url:
            yield

    def client(self, name: str, device: NewDevice, http: httpx.AsyncClient | None = None) -> SyncClient:
        """A client of a device, with the database of that name."""
        options = Options(collections=COLLECTIONS, page=7, batch=10, interval_s=60, backoff_base_s=0.01)
        client = SyncClient(self.folder / f"{name}.db", self.url, device.token, options, http=http)
        self.clients.append(client)
        return client


class LossyTransport(httpx.AsyncHTTPTransport):
    """A network that loses every second answer, after the server gave it."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        self._count += 1
        if self._count % 2:
            await response.aread()
            await response.aclose()
            raise httpx.ReadError("the line went dead")
        return response


def settings_in(folder: Path) -> Settings:
    """The server's settings for data in a folder."""
    return Settings(data=folder / "data", allow_loopback=True)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop whose server is not running yet."""
    async with open_core(settings_in(tmp_path)) as core:
        tenant_id = await core.admin.add_tenant("Bar Sport")
        owner = await core.admin.add_device(tenant_id, "Ufficio", "owner", "centro")
        till = await core.admin.add_device(tenant_id, "Cassa 1", "terminal", "centro")
    shop = Shop(tmp_path, owner, till)
    yield shop
    for client in shop.clients:
        await client.aclose()


@pytest.fixture
async def open_shop(shop: Shop) -> AsyncIterator[Shop]:
    """A shop whose server runs."""
    async with shop.running():
        yield shop


async def test_offline_sales_come_home_and_take_from_stock(open_shop: Shop) -> None:
    """The whole way: products down, sales up, stock down again, through a network that loses every second answer."""
    async with httpx.AsyncClient(transport=LossyTransport()) as http:
        office, till = open_shop.client("office", open_shop.owner), open_shop.client("till", open_shop.till, http)
        coffee = office.create("products", product(), increments={"stock": "100"})
        await office.drain()
        await till.drain()
        for _ in range(25):
            lines = [{**sale()["lines"][0], "product_id": coffee.record_id, "quantity": "2.000"}]
            till.sell(sale(lines=lines))
        await till.drain()
        await office.drain()
        assert office.records("products")[coffee.record_id].fields["stock"] == "50.000"
        assert till.records("sales") == office.records("sales")
        assert sorted(one.fields["receipt_no"] for one in office.records("sales").values()) == list(range(1, 26))
        assert {entry.state for entry in till.entries()} == {"settled"}


async def test_what_is_not_allowed_is_kept_for_a_person(open_shop: Shop) -> None:
    """A till may not write products; its sales go on."""
    till = open_shop.client("till", open_shop.till)
    refused = till.create("products", product())
    sold = till.sell(sale())
    await till.drain()
    assert [(entry.uid, entry.verdict and entry.verdict["code"]) for entry in till.rejected()] == [
        (refused.uid, "forbidden")
    ]
    assert set(till.records("sales")) == {sold.record_id}


async def test_a_copied_till_goes_on_under_an_id_of_its_own(open_shop: Shop) -> None:
    """The server tells of the fork, and takes all of both."""
    till = open_shop.client("till", open_shop.till)
    till.sell(sale())
    await till.drain()
    till.store._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(open_shop.folder / "till.db", open_shop.folder / "copy.db")
    copied = open_shop.client("copy", open_shop.till)
    till.sell(sale(note="original"))
    copied.sell(sale(note="copy"))
    for client in (till, copied, till):
        await client.drain()
    assert till.records("sales") == copied.records("sales")
    assert len(till.records("sales")) == 3


async def test_a_server_put_back_to_an_old_backup_gets_everything_again(shop: Shop) -> None:
    """Its database was copied back: the client notices by itself, and every sale is there once more, once."""
    backup = shop.folder / "backup"
    async with shop.running():
        till = shop.client("till", shop.till)
        till.sell(sale())
        await till.drain()
    shutil.copytree(shop.folder / "data", backup)
    async with shop.running():
        later = shop.client("till", shop.till)
        for _ in range(12):
            later.sell(sale())
        await later.drain()
    shutil.rmtree(shop.folder / "data")
    shutil.copytree(backup, shop.folder / "data")
    async with shop.running():
        back, office = shop.client("till", shop.till), shop.client("office", shop.owner)
        await back.drain()
        await office.drain()
        assert sorted(one.fields["receipt_no"] for one in office.records("sales").values()) == list(range(1, 14))
        assert back.records("sales") == office.records("sales")


async def test_a_forged_cursor_costs_a_rebuild(open_shop: Shop) -> None:
    """Nothing that is shown or queued is lost by it."""
    till = open_shop.client("till", open_shop.till)
    for _ in range(10):
        till.sell(sale())
    await till.drain()
    with till.store._database.transaction() as meta:
        meta.cursor = "forged"
    till.sell(sale())
    assert len(till.records("sales")) == 11
    await till.drain()
    assert len(till.records("sales")) == 11
    assert {record.unsent for record in till.records("sales").values()} == {0}


async def test_a_poke_brings_news_at_once(open_shop: Shop) -> None:
    """The office sees a sale long before its interval has passed."""
    office, till = open_shop.client("office", open_shop.owner), open_shop.client("till", open_shop.till)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(office.run)
            tasks.start_soon(office.live)
            while office.status.state != "idle" or office.store.meta().head is None:
                await anyio.sleep(0.01)
            sold = till.sell(sale())
            await till.drain()
            while sold.record_id not in office.records("sales"):
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    assert office.records("sales")[sold.record_id].version == 1


async def test_a_wrong_token_and_a_strange_device_hold_the_queue(open_shop: Shop) -> None:
    """Nothing is lost, and the right token goes on."""
    till = open_shop.client("till", open_shop.till)
    till.sell(sale())
    await till.drain()
    till.sell(sale())
    till.sign_in(open_shop.till.token[:-4] + "AAAA")
    with pytest.raises(SignedOutError):
        await till.drain()
    till.sign_in(open_shop.owner.token)
    with pytest.raises(ForeignQueueError):
        await till.drain()
    till.sign_in(open_shop.till.token)
    await till.drain()
    assert till.status.pending == 0


async def test_who_only_pushes_needs_no_cursor(open_shop: Shop) -> None:
    """A device that asks for no collection sends all the same, and shows its own."""
    client = SyncClient(open_shop.folder / "box.db", open_shop.url, open_shop.till.token, Options())
    open_shop.clients.append(client)
    sold = client.sell(sale())
    await client.drain()
    await client.drain()
    assert client.status.pending == 0
    assert set(client.records("sales")) == {sold.record_id}
