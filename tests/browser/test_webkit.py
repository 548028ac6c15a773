"""WebKitGTK: the app starts without a server, sells, and what it sold comes home once, whatever gets lost."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.browser.shop import Shop
from tests.browser.till import Till
from tests.browser.webkit import WebKit, display, mini_browser

pytestmark = pytest.mark.filterwarnings("ignore:setting remote_server_addr:DeprecationWarning")  # selenium's own


@pytest.fixture
def webkit_display() -> Iterator[str]:
    """A display for it."""
    if mini_browser() is None:
        pytest.skip("WebKitGTK's driver, its MiniBrowser or Xvfb is not installed here")
    with display() as number:
        yield number


@pytest.fixture
async def webkit_till(shop: Shop, webkit_display: str) -> AsyncIterator[Till]:
    """A till that is set up."""
    program = mini_browser()
    assert program is not None
    browser = WebKit(program, webkit_display)
    await browser.start()
    till = Till(browser, shop, shop.merchants.pop())
    await till.set_up()
    yield till
    await browser.close()


async def test_webkit_sells_without_a_server_and_all_of_it_comes_home(webkit_till: Till) -> None:
    """The server dies after a commit; the page is loaded without it; its answers get lost when it is back."""
    till = webkit_till
    await till.sell(3)
    await till.sent()
    till.shop.server.kill()
    await till.open()
    assert len((await till.call("seen", till.product))["ids"]) == 3
    await till.sell(4)
    assert await till.pending() == 4
    await till.shop.server.start()
    await till.shop.unlucky("drop", "drop")
    await till.balanced()
