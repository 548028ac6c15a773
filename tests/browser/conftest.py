"""Fixtures: the built pages, a served shop, browsers on profiles of their own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Playwright, async_playwright

from tests.browser.built import NotBuiltError, build_test_page
from tests.browser.engines import CHROMIUM, FIREFOX, Browser, Chromium, Firefox, installed
from tests.browser.shop import Shop, open_shop
from tests.browser.till import Till

Opening = Callable[[], Awaitable[Till]]


@pytest.fixture(scope="session")
def test_page() -> Path:
    """The folder of the test page, built with the app's own worker."""
    try:
        return build_test_page()
    except NotBuiltError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
async def shop(test_page: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A served shop; a test takes a merchant of it."""
    async with open_shop(tmp_path_factory.mktemp("shop"), test_page) as shop:
        yield shop


@pytest.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """The driver of Chromium and Firefox."""
    async with async_playwright() as playwright:
        yield playwright


@pytest.fixture
async def chromium(playwright: Playwright, tmp_path: Path) -> AsyncIterator[Chromium]:
    """A Chromium of this test's own."""
    if not installed(CHROMIUM):
        pytest.fail("the browser tests need Chromium: apt-get install chromium")
    browser = Chromium(playwright, tmp_path / "chromium")
    await browser.start()
    yield browser
    await browser.close()


@pytest.fixture
async def firefox(playwright: Playwright, tmp_path: Path) -> AsyncIterator[Firefox]:
    """A Firefox of this test's own."""
    if not installed(FIREFOX):
        pytest.skip("Firefox ESR is not installed here")
    browser = Firefox(playwright, tmp_path / "firefox")
    await browser.start()
    yield browser
    await browser.close()


@pytest.fixture(params=["chromium", "firefox"])
def browser(request: pytest.FixtureRequest, playwright: Playwright) -> Browser:
    """Each engine in turn."""
    found: Browser = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def till(browser: Browser, shop: Shop) -> Till:
    """A till that is set up, in each engine."""
    till = Till(browser, shop, shop.merchants.pop())
    await till.set_up()
    return till


@pytest.fixture
async def chromium_till(chromium: Chromium, shop: Shop) -> Till:
    """A till that is set up, in Chromium."""
    till = Till(chromium, shop, shop.merchants.pop())
    await till.set_up()
    return till
