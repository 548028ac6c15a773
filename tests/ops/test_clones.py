"""Two devices from one copied local database: both go on selling, the server goes back; nothing is lost or doubled."""

import shutil
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from server.ops.backup import backup
from server.ports import Principal
from tests.client.samples import product, sale
from tests.ops.restoring import ignore, put_back, query
from tests.support.linked import Linked, linked
from tests.support.shop import Shop, open_shop

COLLECTIONS = ("sales", "products")


@dataclass
class Counter:
    """A counter with two tills that were one, and the sales made there by their ids."""

    folder: Path
    shop: Shop
    principal: Principal
    goods: str
    sold: set[str] = field(default_factory=set)

    def till(self, name: str) -> AbstractAsyncContextManager[Linked]:
        """A till with the local database of that name; for the server both are one device.

        Its dice begin anew each time, so the clock must not stand: ids are made of both.
        """
        self.shop.clock.ms += 1000
        return linked(self.shop, self.principal, COLLECTIONS, self.folder / f"{name}.db", batch=3)

    async def sell(self, name: str, count: int, *, send: bool = True) -> None:
        """Sell on a till, and send it or not."""
        async with self.till(name) as client:
            lines = [{**sale()["lines"][0], "product_id": self.goods}]
            self.sold |= {client.sell(sale(lines=lines)).record_id for _ in range(count)}
            if send:
                await client.drain()

    def copy(self) -> None:
        """Copy the closed database of one till to the other."""
        shutil.copy(self.folder / "one.db", self.folder / "two.db")

    async def check(self, *order: str) -> None:
        """Each sale once, the stock their sum, and both tills showing it."""
        async with self.till("one") as one, self.till("two") as two:
            tills = {"one": one, "two": two}
            for name in (*order, "one", "two", "one"):
                await tills[name].drain()
            for client in tills.values():
                assert set(client.records("sales")) == self.sold
                assert client.records("products")[self.goods].fields["stock"] == f"{100 - len(self.sold)}.000"
                assert {entry.state for entry in client.entries()} == {"settled"}
            assert one.store.meta().client_id != two.store.meta().client_id
        assert sorted(str(row[0]) for row in await query(self.shop, "SELECT id FROM sales")) == sorted(self.sold)


async def _counter(shop: Shop, folder: Path) -> Counter:
    """Goods, and one till so far."""
    async with linked(shop, shop.device("owner").principal, COLLECTIONS) as office:
        goods = office.create("products", product(), increments={"stock": "100"}).record_id
        await office.drain()
    return Counter(folder, shop, shop.device().principal, goods)


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
async def test_what_both_had_queued_and_what_each_sold_since_arrive_once(
    database_url: str, tmp_path: Path, order: tuple[str, str]
) -> None:
    """Whoever comes first keeps the name; the other takes one of its own."""
    async with open_shop(database_url) as shop:
        counter = await _counter(shop, tmp_path)
        await counter.sell("one", 4)
        await counter.sell("one", 3, send=False)
        counter.copy()
        await counter.sell("one", 5, send=False)
        await counter.sell("two", 6, send=False)
        await counter.check(*order)


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
async def test_a_server_that_goes_back_to_before_the_copy_hears_it_all_again(
    database_url: str, tmp_path: Path, order: tuple[str, str]
) -> None:
    """Both journals hold what was sold before the copy, under another name than their owners have now."""
    async with open_shop(database_url) as shop:
        counter = await _counter(shop, tmp_path)
        await counter.sell("one", 3)
        await backup(database_url, shop.writer, tmp_path / "backup", ignore)
        await counter.sell("one", 4)
        counter.copy()
        for name in order:
            await counter.sell(name, 5)
        tenant_id = shop.tenant_id
    await put_back(database_url, tmp_path / "backup")
    async with open_shop(database_url, seed=2) as shop:
        shop.tenant_id, counter.shop = tenant_id, shop
        shop.clock.ms += 10_000
        await counter.sell("two", 1, send=False)
        await counter.check(*reversed(order))
