"""The app's figures in a real Chromium, against the real server process on SQLite.

    script sizes     what a browser loads first, and the worker, as they are sent (gzip -9)
    cold start       a browser started anew with the server dead, until 10,000 sales are read, from its local database
    a sale           until it is on disk (durability strict) and can be shown, while 10,000 are pending
    drain            10,000 mutations sent, their verdicts and records taken in

Clocks are the page's own (`performance.now()`); a cold start counts from the navigation. Goals: `DESIGN`.
"""

import os
import platform
import re
import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright
from rich.console import Console
from rich.table import Table

from tests.browser.built import build_app, build_test_page
from tests.browser.engines import Chromium
from tests.browser.shop import open_shop
from tests.browser.till import Till

DESIGN = {"script": 60.0, "worker": 12.0, "cold": 300.0, "sale": 16.0, "drain": 5.0}
"""KiB, KiB, ms, ms (p95), s."""
_USABLE = "async () => JSON.parse(document.documentElement.dataset.usable)"


@dataclass(frozen=True)
class Measured:
    """One figure and the goal that it has."""

    what: str
    value: float
    goal: float
    unit: str
    how: str


async def pwa(console: Console, folder: Path, records: int = 10_000, starts: int = 5) -> list[Measured]:
    """Measure and print."""
    figures = sizes(build_app())
    async with _till(folder) as till:
        console.print(f"[dim]making {records:,} sales, with the server's answers lost[/]")
        figures += await _sell(till, records)
        figures += await _drain(till)
        figures += await _start(till, starts)
        browser = till.browser.context.browser if isinstance(till.browser, Chromium) else None
        version = browser.version if browser is not None else "as installed"
    _print(console, figures, f"Chromium {version}, headless")
    return figures


def sizes(built: Path) -> list[Measured]:
    """Of what is loaded before anything can be seen, and of the worker."""
    page = (built / "index.html").read_text()
    scripts = re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', page)
    first = sum((built / f"{name}.gz").stat().st_size for name in scripts) / 1024
    worker = (built / "sw.js.gz").stat().st_size / 1024
    return [
        Measured("initial script", first, DESIGN["script"], "KiB", f"{len(scripts)} files named by the page"),
        Measured("service worker", worker, DESIGN["worker"], "KiB", "sw.js"),
    ]


@asynccontextmanager
async def _till(folder: Path) -> AsyncIterator[Till]:
    async with open_shop(folder / "pwa", build_test_page(), 1) as shop, async_playwright() as playwright:
        browser = Chromium(playwright, folder / "profile")
        await browser.start()
        till = Till(browser, shop, shop.merchants.pop())
        await till.set_up()
        yield till
        await browser.close()


async def _sell(till: Till, records: int) -> list[Measured]:
    till.shop.server.kill()
    await till.sell_many(records)
    took: Sequence[float] = await till.call("sellTimed", 200)
    p50, p95 = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    return [
        Measured("a sale, p95", p95, DESIGN["sale"], "ms", f"200 sales over {records:,} pending; median {p50:.1f} ms")
    ]


async def _drain(till: Till) -> list[Measured]:
    till.query = "?idle=1"
    await till.open()
    await till.shop.server.start()
    seconds = await till.call("drainTimed") / 1000
    books = till.shop.books(till.merchant)
    return [
        Measured("drain", seconds, DESIGN["drain"], "s", f"{len(books.sales):,} sales are in the database, each once")
    ]


async def _start(till: Till, starts: int) -> list[Measured]:
    till.shop.server.kill()
    till.query = "?idle=1&measure=1"
    took: list[Any] = []
    for _ in range(starts):
        await till.browser.close()
        await till.browser.start()
        await till.open()
        took.append(await till.browser.run(_USABLE))
    ms = statistics.median(one["ms"] for one in took)
    return [
        Measured("cold start offline", ms, DESIGN["cold"], "ms", f"median of {starts}; {took[0]['size']:,} sales read")
    ]


def _print(console: Console, figures: Sequence[Measured], browser: str) -> None:
    load = os.getloadavg()[0]
    table = Table(title="The app", caption=f"{browser}; {platform.platform()}, {os.cpu_count()} cores, load {load:.1f}")
    for heading in ("", "measured", "goal", "kept", "how"):
        table.add_column(heading)
    for one in figures:
        kept = "yes" if one.value <= one.goal else "no"
        table.add_row(one.what, f"{one.value:.1f} {one.unit}", f"≤ {one.goal:g} {one.unit}", kept, one.how)
    console.print(table)
