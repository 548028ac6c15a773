"""A till in a browser: the test page, spoken to from here, with a list of every sale it promised to keep."""

from typing import Any

from tests.browser.engines import Browser, until
from tests.browser.shop import Merchant, Shop

_CALL = "async ([name, given]) => (await window.till[name](...given)) ?? null"
_READY = "async () => document.documentElement.dataset.ready !== undefined"


class Till:
    """One merchant's till. `promised` are the record ids of sales whose promise was kept: they are on disk there."""

    def __init__(self, browser: Browser, shop: Shop, merchant: Merchant) -> None:
        self.browser, self.shop, self.merchant = browser, shop, merchant
        self.promised: list[str] = []
        self.product: str | None = None
        self.query = ""

    async def call(self, name: str, *given: Any, tab: int = 0) -> Any:
        """Ask the test page for something."""
        return await self.browser.run(_CALL, [name, list(given)], tab)

    async def open(self, tab: int = 0) -> None:
        """Load the page and wait until it can be used; the server need not be there."""
        await self.browser.open(f"{self.shop.url}/{self.query}", tab)
        await until(lambda: self.browser.run(_READY, None, tab), "the page to be ready")

    async def set_up(self) -> None:
        """The first start: sign in by the one-time link, make a product, have the shell kept by the worker."""
        await self.open()
        await self.call("setUp", self.merchant.link)
        self.product = await self.call("product")
        await self.browser.run("async () => void (await navigator.serviceWorker.ready)")
        await until(self._in_control, "the worker to be in control")

    async def sell(self, count: int = 1, tab: int = 0) -> None:
        """Sell, one after the other."""
        for _ in range(count):
            self.promised.append((await self.call("sell", self.product, tab=tab))["recordId"])

    async def sell_many(self, count: int) -> None:
        """Sell in large transactions, for a long queue."""
        self.promised += await self.call("sellMany", count, self.product)

    async def pending(self, tab: int = 0) -> int:
        """How many mutations have no verdict yet."""
        return int((await self.call("state", tab=tab))["pending"])

    async def sent(self, tab: int = 0) -> None:
        """Wait until nothing is pending any more."""

        async def nothing_pending() -> bool:
            return await self.pending(tab) == 0

        await until(nothing_pending, "the queue to be empty")

    async def balanced(self, tab: int = 0, unpromised: int = 0) -> None:
        """Nothing lost, nothing doubled: what was promised, the server's database and this store are one.

        `unpromised`: so many sales may be there beside them, whose promise was under way when something died.
        """
        await self.sent(tab)
        await self.call("drain", tab=tab)
        books, seen = self.shop.books(self.merchant, self.product), await self.call("seen", self.product, tab=tab)
        promised = set(self.promised)
        assert len(promised) == len(self.promised)
        assert promised <= set(books.sales), "lost at the server"
        assert len(books.sales) - len(promised) in range(unpromised + 1), "doubled at the server"
        assert set(seen["ids"]) == set(books.sales)
        assert (seen["unsent"], books.rejected) == (0, 0)
        assert books.stock == 20_000 - len(books.sales)
        assert float(seen["stock"]) == float(books.stock)

    async def _in_control(self) -> Any:
        return await self.browser.run("async () => navigator.serviceWorker.controller !== null")
