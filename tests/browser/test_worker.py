"""The service worker: what it keeps, how it is replaced, the queue it sends alone, the notifications it shows."""

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Error

from tests.browser.engines import Browser, Chromium, until
from tests.browser.till import Till

_KEPT = """async () => {
  const names = await caches.keys();
  const shell = await caches.open(names.find((name) => name.startsWith("shell-")));
  return { names, urls: (await shell.keys()).map((request) => new URL(request.url).pathname) };
}"""
_TAP = """(path) => registration.getNotifications().then(([notification]) =>
  dispatchEvent(new NotificationEvent("notificationclick", { notification })))"""


@pytest.fixture
async def changing(till: Till) -> AsyncIterator[Till]:
    """A till whose server may get another build; the old one is put back."""
    script = till.shop.pages / "sw.js"
    before = script.read_text()
    yield till
    await _release(till, before)


async def _release(till: Till, text: str) -> None:
    """Serve another worker's script, as an update does: with a server that is started anew."""
    script = till.shop.pages / "sw.js"
    script.write_text(text)
    script.with_name("sw.js.gz").write_bytes(gzip.compress(text.encode()))
    await till.shop.server.restart()


async def _update(till: Till) -> str:
    return str(await till.call("updates"))


async def test_an_update_waits_for_a_person_and_a_clean_form(changing: Till) -> None:
    """A build that does not come whole changes nothing; a whole one waits, and takes over only when nothing is lost."""
    till = changing
    text = (till.shop.pages / "sw.js").read_text()
    kept = await till.browser.run(_KEPT)
    assert "/index.html" in kept["urls"]
    assert not [path for path in kept["urls"] if path.startswith("/v1") or path == "/sw.js"]
    await _release(till, text.replace("`/index.html`", "`/missing.js`,`/index.html`", 1))
    await till.call("askForUpdate")
    await until(lambda: till.browser.run(_NOT_INSTALLING), "the broken build to be given up")
    assert await _update(till) == "none"
    assert await till.browser.run(_KEPT) == kept
    await _release(till, text + "\n// another")
    await till.call("askForUpdate")
    await until(lambda: _waits(till), "the update to wait")
    await till.browser.run("async () => { window.till.page.isClean = false; window.unsaved = true; }")
    assert await till.call("applyUpdate") is False
    await till.sell(2)
    assert await till.browser.run("async () => window.unsaved === true")
    await till.browser.run("async () => { window.till.page.isClean = true; }")
    assert await till.call("applyUpdate") is True
    await _reloaded(till)
    assert await _update(till) == "none"
    await till.balanced()


_NOT_INSTALLING = "async () => (await navigator.serviceWorker.getRegistration()).installing === null"
_RELOADED = """async () => {
  const { installing, waiting, active } = (await navigator.serviceWorker.getRegistration()) ?? {};
  const workers = [installing, waiting, active].map((worker) => worker?.state ?? "none").join(", ");
  const { ready } = document.documentElement.dataset;
  const isNew = window.unsaved === undefined && ready !== undefined;
  const state = window.till?.updates();
  return { isNew, state, said: `${workers}; ${state}; unsaved ${window.unsaved}; ready ${ready}` };
}"""


async def _reloaded(till: Till) -> None:
    said = "nothing"

    async def is_new() -> bool:
        nonlocal said
        try:
            page = await till.browser.run(_RELOADED)
        except Error:  # in the middle of it
            return False
        said = page["said"]
        if page["state"] == "waiting":  # the worker before was busy for long: a person would tap again
            await till.call("applyUpdate")
        return bool(page["isNew"])

    try:
        await until(is_new, "the page to be loaded anew")
    except TimeoutError as error:
        raise AssertionError(f"the page was not loaded anew: {said}") from error


async def _waits(till: Till) -> bool:
    return await _update(till) == "waiting"


async def test_the_worker_sends_the_queue_when_no_tab_is_open(chromium_till: Till, chromium: Chromium) -> None:
    """Background Sync, as Chromium has it: the sales of a closed app are at the server before it is opened again."""
    till = chromium_till
    await chromium.allow(till.shop.url, "background-sync")
    await till.shop.unlucky(*["drop"] * 500)
    await till.sell(3)
    await until(lambda: till.browser.run(_ASKED), "Background Sync to be asked for")
    await chromium.open(f"{till.shop.url}/health/live")  # of this origin, and no page of the app
    await till.shop.lucky()
    await chromium.sync(till.shop.url, "send-queue")
    books = await until(lambda: _all_sold(till), "the worker to send the queue")
    assert set(books.sales) == set(till.promised)
    await till.open()
    await till.balanced()


_ASKED = "async () => (await (await navigator.serviceWorker.ready).sync.getTags()).includes('send-queue')"


async def _all_sold(till: Till) -> Any:
    books = till.shop.books(till.merchant, till.product)
    return books if len(books.sales) == len(till.promised) else None


INVOICE = {
    "web_push": 8030,
    "notification": {
        "title": "Nuova fattura: Rossi Srl, 1.234,50 €",
        "body": "Tocca per leggerla.",
        "navigate": "https://elsewhere.example/invoices/018f",
        "lang": "it",
        "dir": "ltr",
        "tag": "invoice-1",
        "silent": False,
        "data": {"kind": "invoice", "ids": ["018f"], "count": 1},
    },
    "app_badge": 1,
    "mutable": True,
}


async def test_every_push_shows_a_notification_and_a_tap_opens_its_page(
    chromium_till: Till, chromium: Chromium
) -> None:
    """Delivered by Chromium's protocol, which no push service is behind: what is unreadable is told in plain words."""
    till = chromium_till
    await chromium.allow(till.shop.url, "notifications")
    await chromium.push(till.shop.url, json.dumps(INVOICE))
    (notice,) = await until(lambda: till.call("notices"), "the notification")
    assert (notice["title"], notice["tag"]) == ("Nuova fattura: Rossi Srl, 1.234,50 €", "invoice-1")
    assert notice["data"]["navigate"] == "/invoices/018f"
    await chromium.in_worker(_TAP)
    await until(lambda: till.browser.run("async () => window.till.page.opened.includes('/invoices/018f')"), "the tap")
    for text in ("", "{", '{"web_push": 8030}', '{"notification": {"title": 5}}'):
        await chromium.push(till.shop.url, text)
        notices = await until(lambda: till.call("notices"), f"the notification of {text!r}")
        assert [one["title"] for one in notices] == ["rientro"]
        await chromium.in_worker("() => registration.getNotifications().then((all) => all.map((one) => one.close()))")


def test_the_worker_is_small(test_page: Any) -> None:
    """What every update downloads: 12 KB at most, compressed."""
    assert (test_page / "sw.js.gz").stat().st_size <= 12 * 1024


async def test_without_a_worker_the_library_works_all_the_same(browser: Browser, till: Till) -> None:
    """A private window, or an address without HTTPS."""
    await browser.run("async () => (await navigator.serviceWorker.getRegistration()).unregister()")
    await till.sell(2)
    await till.balanced()
