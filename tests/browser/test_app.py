"""The app as it is released: sold by taps without a server, and open to everybody (axe) on every screen."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Playwright

from tests.browser.built import NotBuiltError, build_app
from tests.browser.cassa import SCREENS, Cassa
from tests.browser.engines import Chromium, until
from tests.browser.shop import Shop, open_shop

AXE = Path(__file__).parents[1] / "peers" / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_AUDIT = """(tags) => axe.run(document, { runOnly: { type: "tag", values: tags } }).then(({ violations }) =>
  violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" · ").slice(0, 300)}`))"""


@pytest.fixture(scope="session")
async def app_shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A served shop with products, and the app."""
    try:
        built = build_app()
    except NotBuiltError as error:
        pytest.skip(str(error))
    async with open_shop(tmp_path_factory.mktemp("app"), built, 4, stocked=True) as shop:
        yield shop


@pytest.fixture
async def cassa(chromium: Chromium, app_shop: Shop, playwright: Playwright) -> Cassa:
    """The app, set up by a one-time link."""
    cassa = Cassa(chromium, app_shop, app_shop.merchants.pop())
    await cassa.set_up()
    return cassa


async def test_a_sale_by_taps_without_a_server_comes_home(cassa: Cassa) -> None:
    """The server dies; the browser is started anew; two sales are made; the server has them when it is back."""
    cassa.shop.server.kill()
    await cassa.browser.close()
    await cassa.browser.start()
    await cassa.page.goto(cassa.shop.url)
    await cassa.at_work()
    for _ in range(2):
        await cassa.put("Caffè", "Cornetto")
        await cassa.pay()
    await cassa.shop.server.start()
    books = await until(lambda: _sold(cassa, 2), "the sales to come home")
    assert sorted(books.sales.values()) == [1, 2]


async def _sold(cassa: Cassa, count: int) -> Any:
    books = cassa.shop.books(cassa.merchant)
    return books if len(books.sales) == count else None


@pytest.mark.skipif(not AXE.is_file(), reason="needs `npm ci` in tests/peers")
async def test_every_screen_is_open_to_everybody(cassa: Cassa) -> None:
    """Axe finds nothing wrong on any screen, with a slip begun, light and dark; and it does find what is planted."""
    await cassa.put("Caffè")
    await cassa.page.evaluate(AXE.read_text())
    found = dict[str, list[str]]()
    for scheme in ("light", "dark"):
        await cassa.page.emulate_media(color_scheme=scheme)
        for screen in SCREENS:
            await cassa.show(screen)
            found[f"{screen}, {scheme}"] = await cassa.page.evaluate(_AUDIT, _RULES)
    assert found == {at: [] for at in found}
    await cassa.page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    (planted,) = await cassa.page.evaluate(_AUDIT, _RULES)
    assert planted.startswith("button-name")
