"""`python -m tests.browser --seeds 1000`: bad days of tills in real browsers; nothing may be lost, nothing doubled.

--from 300       begin with that seed            --engine firefox   another engine (default: chromium)
screenshots      make the README's pictures anew, in claude/pictures
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from playwright.async_api import Playwright, async_playwright
from rich.console import Console
from rich.progress import track

from tests.browser.built import build_test_page
from tests.browser.engines import Browser, Chromium, Firefox
from tests.browser.journey import Journey
from tests.browser.shop import Shop, open_shop
from tests.browser.till import Till

ENGINES = {"chromium": Chromium, "firefox": Firefox}
console = Console()


async def journeys(seeds: range, engine: str) -> list[int]:
    """Live through each; the seeds of those that failed."""
    failed = list[int]()
    with TemporaryDirectory(prefix="rientro-browser-") as kept:
        folder = Path(kept)
        async with open_shop(folder, build_test_page(), len(seeds)) as shop, async_playwright() as playwright:
            for seed in track(seeds, f"{engine}: bad days", console=console):
                if not await _journey(shop, playwright, engine, seed):
                    failed.append(seed)
    console.print(f"{engine}: {len(seeds) - len(failed)} of {len(seeds)} days ended with nothing lost and none doubled")
    return failed


async def _journey(shop: Shop, playwright: Playwright, engine: str, seed: int) -> bool:
    with TemporaryDirectory(prefix="profile-", ignore_cleanup_errors=True) as profile:
        browser: Browser = ENGINES[engine](playwright, Path(profile))
        journey = Journey(Till(browser, shop, shop.merchants.pop()), seed)
        try:
            await browser.start()
            await journey.run()
        except Exception as error:  # noqa: BLE001  told with its seed, and the next day begins
            console.print(f"[red]seed {seed}[/]: {', '.join(journey.told)}: {type(error).__name__}: {str(error)[:500]}")
            return False
        finally:
            browser.kill()
            await browser.close()
            if not shop.server.runs:
                await shop.server.restart()
            await shop.lucky()
    return True


def main() -> None:
    """Run by the command line's arguments."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser", description=__doc__)
    parser.add_argument("what", nargs="?", default="journeys", choices=["journeys", "screenshots"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--engine", choices=sorted(ENGINES), default="chromium")
    asked = parser.parse_args()
    if asked.what == "screenshots":
        from tests.browser.pictures import take  # noqa: PLC0415  it needs the app

        anyio.run(take, console)
    else:
        sys.exit(bool(anyio.run(journeys, range(asked.first, asked.first + asked.seeds), asked.engine)))


if __name__ == "__main__":
    main()
