"""The app itself, used as a person would: by what its labels say."""

import re

from playwright.async_api import Page

from tests.browser.engines import Chromium, until
from tests.browser.shop import Merchant, Shop

SCREENS = ("vendita", "oggi", "fatture", "rubrica", "controllo", "stato", "operazioni")
_PASSWORD = "una frase lunga e sicura"


class Cassa:
    """One merchant's app, in a Chromium."""

    def __init__(self, browser: Chromium, shop: Shop, merchant: Merchant) -> None:
        self.browser, self.shop, self.merchant = browser, shop, merchant

    @property
    def page(self) -> Page:
        return self.browser.pages[0]

    async def set_up(self) -> None:
        """From a one-time link to the tiles."""
        await self.page.goto(f"{self.shop.url}/#setup={self.merchant.link}")
        await self.page.locator("input[name=username]").fill("anna")
        await self.page.locator("input[name=password]").fill(_PASSWORD)
        await self.page.locator("form button[type=submit]").click()
        await self.at_work()
        await until(self._kept, "the worker to keep the app")

    async def at_work(self) -> None:
        """Wait for the products."""
        await self.page.locator(".tile[data-category]").first.wait_for()

    async def show(self, screen: str) -> None:
        """Go to a screen and wait until it has its title."""
        await self.page.goto(f"{self.shop.url}/#/{screen}")
        await self.page.locator("main h1").first.wait_for(state="attached")

    async def put(self, *names: str) -> None:
        """Tap products."""
        for name in names:
            await self.page.get_by_role("button", name=re.compile(f"^{name}")).first.click()

    async def pay(self, method: str = "Contanti") -> None:
        """One tap takes the money."""
        await self.page.get_by_role("button", name=re.compile(f"^{method}, incassa")).click()

    async def _kept(self) -> bool:
        return bool(await self.page.evaluate("navigator.serviceWorker.controller !== null"))
