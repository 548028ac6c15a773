"""The README's pictures, taken of the app as it is: `python -m tests.browser screenshots`.

A phone and a till's landscape screen, light and dark, with the demonstration's products, sales of a morning, and some
that wait for a network that is gone.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

from playwright.async_api import ViewportSize, async_playwright
from rich.console import Console

from tests.browser.built import build_app
from tests.browser.cassa import Cassa
from tests.browser.engines import Chromium, until
from tests.browser.shop import open_shop

FOLDER = Path(__file__).parents[2] / "claude" / "pictures"
_PHONE: ViewportSize = {"width": 390, "height": 844}
_TILL: ViewportSize = {"width": 1180, "height": 720}
_MORNING: Sequence[Sequence[str]] = (
    ("Cappuccino", "Cornetto"),
    ("Caffè", "Caffè"),
    ("Panino al prosciutto", "Acqua"),
    ("Tramezzino", "Birra media", "Caffè"),
)
_GOES_ON = ("Cappuccino", "Cornetto", "Spremuta d.arancia")


class Picture(NamedTuple):
    """What is shown, and how."""

    name: str
    screen: str
    size: ViewportSize
    scheme: Literal["light", "dark"] = "light"


PICTURES = (
    Picture("vendita-cassa", "vendita", _TILL),
    Picture("vendita-telefono", "vendita", _PHONE),
    Picture("oggi-cassa", "oggi", _TILL, "dark"),
    Picture("stato-telefono", "stato", _PHONE),
    Picture("operazioni-cassa", "operazioni", _TILL),
)


async def take(console: Console) -> None:
    """Make all of them anew."""
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="rientro-pictures-") as kept:
        folder = Path(kept)
        async with open_shop(folder, build_app(), 1, stocked=True) as shop, async_playwright() as playwright:
            browser = Chromium(playwright, folder / "profile")
            await browser.start()
            cassa = Cassa(browser, shop, shop.merchants.pop())
            await cassa.page.set_viewport_size(_TILL)
            await cassa.set_up()
            await _morning(cassa)
            for picture in PICTURES:
                await _take(cassa, picture)
                console.print(f"claude/pictures/{picture.name}.png")
            await browser.close()


async def _morning(cassa: Cassa) -> None:
    """Sales, the last of them without a network; and one begun."""
    for names in _MORNING:
        await cassa.put(*names)
        await cassa.pay("Carta" if len(names) > 2 else "Contanti")

    async def all_sent() -> bool:
        return len(cassa.shop.books(cassa.merchant).sales) == len(_MORNING)

    await until(all_sent, "the morning to be sent")
    await cassa.put(*_GOES_ON)


async def _take(cassa: Cassa, picture: Picture) -> None:
    await cassa.page.emulate_media(color_scheme=picture.scheme, reduced_motion="reduce")
    await cassa.page.set_viewport_size(picture.size)
    await cassa.show(picture.screen)
    await cassa.page.locator("[role=status] >> text=Apro").wait_for(state="detached")
    await cassa.page.screenshot(path=FOLDER / f"{picture.name}.png", scale="css")
