"""Real processor processes, killed at random moments: each event's effect is there exactly once."""

import random
from collections.abc import Iterator

import anyio
import pytest

from tests.inbox.mailroom import Mailroom, open_mailroom, sale
from tests.inbox.worker import Nursery, nursery
from tests.support.shop import product_fields

EVENTS, LIVES, SEEDS, RISK = 24, 10, 5, 0.05


def told(number: int, product: str) -> dict[str, object]:
    """A sale that takes two from stock."""
    line = {"description": "caffè", "quantity": "2", "unit_price": "1.20", "total": "2.40", "vat_rate": "10"}
    return sale(number, lines=[{**line, "product_id": product}])


async def tell_all(room: Mailroom, address: str, product: str, dice: random.Random) -> None:
    """Each event once or twice, in any order, while processors come and go."""
    order = [*range(EVENTS), *(number for number in range(EVENTS) if dice.random() < 0.5)]
    dice.shuffle(order)
    for number in order:
        await room.sell(address, told(number, product), f"msg_{number}")
        await anyio.sleep(dice.random() * 0.01)


async def live_dangerously(processors: Nursery, url: str, dice: random.Random) -> None:
    """One life after another, sometimes two at once: ended by themselves around a write, or by us at any moment."""
    for _ in range(LIVES):
        processors.start(url, RISK, dice.randrange(10**6))
        await anyio.sleep(0.02 + dice.random() * 0.1)
        if len(processors.alive) > 1 or dice.random() < 0.7:
            processors.kill()


@pytest.fixture(scope="module")
def processors() -> Iterator[Nursery]:
    """What starts them."""
    with nursery() as opened:
        yield opened


async def check(processors: Nursery, url: str, seed: int) -> None:
    """One run of one seed on a fresh database."""
    dice = random.Random(seed)
    async with open_mailroom(url, seed=seed) as room:
        product, address = room.shop.new_id(), await room.add_pos()
        stocked = room.owner.mutation("products", product, fields=product_fields(), increments={"stock": "100"})
        await room.owner.send(stocked)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell_all, room, address, product, dice)
            tasks.start_soon(live_dangerously, processors, url, dice)
        processors.start(url)
        with anyio.fail_after(30):
            while await room.states() != {"done": EVENTS}:
                await anyio.sleep(0.02)
        while processors.alive:
            processors.kill()
        assert len(await room.records("sales")) == EVENTS
        assert {row[0] for row in await room.fetch("SELECT version FROM sales")} == {1}
        ((stock,),) = await room.fetch("SELECT CAST(stock AS TEXT) FROM products")
        assert str(stock) in {f"{100 - 2 * EVENTS}.000", f"{(100 - 2 * EVENTS) * 1000}"}


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_killed_at_random_each_effect_is_there_once_on_sqlite(
    processors: Nursery, sqlite_url: str, seed: int
) -> None:
    """Every sale, and what it took from stock."""
    await check(processors, sqlite_url, seed)


@pytest.mark.parametrize("seed", range(SEEDS, SEEDS + 3))
async def test_killed_at_random_each_effect_is_there_once_on_postgres(
    processors: Nursery, postgres_url: str, seed: int
) -> None:
    """The same, with processes that really overlap."""
    await check(processors, postgres_url, seed)
