"""What goes wrong between a till and its server, and inside a browser: nothing lost, nothing doubled."""

import anyio
import pytest
from playwright.async_api import Error

from tests.browser.engines import Browser, Chromium, until
from tests.browser.shop import Books
from tests.browser.till import Till

HOURS_MS = 3_600_000


async def test_answers_lost_after_their_commit_double_nothing(till: Till) -> None:
    """Two answers get lost, then the server dies between its commit and its answer."""
    await till.shop.unlucky("drop", "drop")
    await till.sell(3)
    await till.sent()
    await till.shop.unlucky("drop", "die")
    await till.sell(2)
    await until(lambda: _is_dead(till), "the server to die")
    till.shop.server.kill()
    await till.sell(2)
    await till.shop.server.start()
    await till.balanced()


async def _is_dead(till: Till) -> bool:
    return (await till.call("state"))["state"] == "backing_off" and not till.shop.server.runs


async def test_a_killed_browser_keeps_what_it_promised(browser: Browser, till: Till) -> None:
    """SIGKILL in the middle of selling, with some of it on its way: all that was promised is there, each once.

    A browser writes its cookies now and then; one that is killed may have forgotten the sign-in, and somebody signs in.
    """
    await till.shop.unlucky("drop")

    async def sell_until_killed() -> None:
        try:
            await till.sell(10_000)
        except Error:
            return

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sell_until_killed)
        while len(till.promised) < 12:
            await anyio.sleep(0.005)
        browser.kill()
    await browser.close()
    await browser.start()
    await till.open()
    await until(lambda: _has_asked(till), "the server's answer to who this is")
    if await _is_held(till):
        await till.call("signIn", "anna", till.merchant.tenant_id)
    await till.balanced(unpromised=1)


async def _has_asked(till: Till) -> bool:
    state = await till.call("state")
    return await _is_held(till) or (state["state"] == "idle" and state["pending"] == 0)


async def test_two_tabs_send_each_sale_once(till: Till) -> None:
    """Both sell at the same time, answers get lost; then the tab that sends is closed, and the other goes on."""
    await till.open(1)
    await till.shop.unlucky("drop", "drop", "drop")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(till.sell, 8, 0)
        tasks.start_soon(till.sell, 8, 1)
    await till.balanced(0)
    leads = [(await till.call("state", tab=tab))["leads"] for tab in (0, 1)]
    assert sorted(leads) == [False, True]
    await till.browser.close_tab(leads.index(True))
    await till.sell(2)
    await till.balanced(0)


async def test_a_clock_that_is_hours_off_loses_nothing(till: Till) -> None:
    """Three hours ahead from one start to the next, without a server to tell; then five behind."""
    for skew_ms in (3 * HOURS_MS, -5 * HOURS_MS):
        till.shop.server.kill()
        till.query = f"?skew={skew_ms}"
        await till.open()
        await till.sell(2)
        await till.shop.server.start()
        await till.sent()
        await till.sell(1)
        await till.balanced()


async def test_a_queue_waits_for_who_signed_out(till: Till) -> None:
    """Nothing is sent and nothing goes while nobody is signed in; signed in again, all of it comes."""
    await till.shop.unlucky(*["drop"] * 200)
    await till.sell(4)
    await till.call("signOut")
    await till.shop.lucky()
    await until(lambda: _is_held(till), "the loop to be held")
    assert await till.pending() == 4
    assert till.shop.books(till.merchant).sales.keys() <= set(till.promised)
    await till.open()
    await till.call("signIn", "anna", till.merchant.tenant_id)
    await till.balanced()


async def _is_held(till: Till) -> bool:
    return bool((await till.call("state"))["state"] == "held_signed_out")


async def test_a_full_disk_refuses_a_sale_and_keeps_the_others(chromium_till: Till, chromium: Chromium) -> None:
    """The person is told, nothing half is written, the number is not used up; with room again it goes on."""
    till = chromium_till
    await till.sell(2)
    await till.sent()
    await chromium.close()  # a browser that has looked at the disk lately does not look again
    await chromium.start()
    protocol = await chromium.protocol()
    await protocol.send("Storage.overrideQuotaForOrigin", {"origin": till.shop.url, "quotaSize": 1})
    await till.open()
    with pytest.raises(Error, match="no room left"):
        await till.call("sell", till.product)
    await protocol.send("Storage.overrideQuotaForOrigin", {"origin": till.shop.url})
    await till.sell(2)
    await till.balanced()
    numbers = till.shop.books(till.merchant).sales.values()
    assert sorted(numbers) == [1, 2, 3, 4]


async def test_a_server_put_back_to_its_backup_gets_everything_again(till: Till) -> None:
    """What the backup lacks is in the tills' journals, and is sent again by itself."""
    await till.sell(3)
    await till.sent()
    till.shop.server.kill()
    till.shop.back_up()
    await till.shop.server.start()
    await till.sell(4)
    await till.sent()
    till.shop.server.kill()
    till.shop.put_back()
    await till.shop.server.start()
    await till.sell(1)
    await till.balanced()


async def test_a_long_queue_survives_an_update_of_the_database(chromium_till: Till) -> None:
    """Ten thousand sales wait while the app is updated to a format that writes each of them anew.

    All of them are there afterwards; the first thousand are seen home, each once. To send the rest takes half a minute
    of two cores: the benchmark does it, and counts them.
    """
    till = chromium_till
    till.shop.server.kill()
    await till.sell_many(10_000)
    till.query = "?format=next"
    await till.open()
    waiting = await till.call("entries", "pending")
    assert [entry["recordId"] for entry in waiting] == till.promised
    await till.shop.server.start()
    books = await until(lambda: _a_thousand(till), "the first thousand to come home")
    assert list(books.sales.values()) == list(range(1, len(books.sales) + 1))
    assert books.sales.keys() <= set(till.promised)
    assert books.stock == 20_000 - len(books.sales)


async def _a_thousand(till: Till) -> Books | None:
    books = till.shop.books(till.merchant, till.product)
    return books if len(books.sales) >= 1000 else None
