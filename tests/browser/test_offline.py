"""Without a network: the app starts from a cold browser, sells, and what it sold comes home once."""

from tests.browser.till import Till


async def test_a_cold_start_without_a_server_sells_and_what_was_sold_comes_home(till: Till) -> None:
    """The server is dead, the browser is started anew: everything is there, and later at the server."""
    await till.sell(3)
    await till.sent()
    till.shop.server.kill()
    await till.browser.close()
    await till.browser.start()
    await till.open()
    assert len((await till.call("seen", till.product))["ids"]) == 3
    await till.sell(5)
    assert await till.pending() == 5
    await till.shop.server.start()
    await till.balanced()
