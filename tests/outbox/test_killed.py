"""Real relay processes, killed between any two steps, against a real receiver: nothing lost, no effect twice."""

import itertools
import json
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.outbox.outlet import Outlet, open_outlet
from tests.support.processes import dying_with_parent
from tests.support.receiver import Receiver, receiver_process
from tests.support.shop import Clock

KILLED = -signal.SIGKILL
SEEDS = itertools.count(1)  # one receiver sees them all: ids must differ
STEPS = ("claimed", "sent", "settling", "settled")


class RealClock(Clock):
    """The time."""

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000


class Runner:
    """The process that starts relays."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    async def run(self, *lives: dict[str, Any]) -> list[int]:
        """Live them all at once; their exit statuses."""
        return await anyio.to_thread.run_sync(self._ask, json.dumps(lives))

    def _ask(self, line: str) -> list[int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        statuses: list[int] = json.loads(self._process.stdout.readline())
        return statuses


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Loaded once, forked for each life."""
    log = tmp_path_factory.mktemp("runner") / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.outbox.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=Path(__file__).parents[2],
            preexec_fn=dying_with_parent(signal.SIGKILL),  # noqa: PLW1509  one system call
        ) as process,
    ):
        yield Runner(process)
        process.kill()


@pytest.fixture(scope="module")
async def _running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Receiver]:
    async with receiver_process(tmp_path_factory.mktemp("receiver")) as running:
        yield running


@pytest.fixture
async def receiver(_running: Receiver) -> Receiver:
    """A real receiving process that behaves, and has forgotten the tests before."""
    await _running.script()
    _running.forget()
    return _running


@pytest.fixture
async def shop(database_url: str, receiver: Receiver) -> AsyncIterator[Outlet]:
    """A shop whose sales go to the receiver."""
    async with open_outlet(database_url, seed=next(SEEDS), clock=RealClock()) as opened:
        await opened.bind(url=receiver.url, timeout=1, breaker_cap=1, secret=receiver.secret)
        yield opened


async def sell_and_void(shop: Outlet, count: int) -> tuple[list[str], set[str]]:
    """Sales, every fourth of them voided."""
    sales = await shop.sell(count)
    voided = set(sales[::4])
    for sale in voided:
        await shop.void(sale)
    return sales, voided


async def check(shop: Outlet, receiver: Receiver, sales: list[str], voided: set[str]) -> None:
    """Every delivery has one effect, in order, and every sale knows its last reference; told once."""
    rows = await shop.rows()
    assert {row.state for row in rows} == {"delivered"}
    kept = receiver.kept()
    assert sorted(entry["key"] for entry in kept) == sorted(row.idempotency_key for row in rows)
    assert {entry["did"] for entry in receiver.arrivals()} <= {"kept", "again", "status", "throttle"}
    seen: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in kept:
        seen[entry["sent"]["data"]["record_id"]].append(entry)
    assert set(seen) == set(sales)
    for sale, entries in seen.items():
        expected = ["sales.created", "sales.voided"] if sale in voided else ["sales.created"]
        assert [entry["sent"]["type"] for entry in entries] == expected
        record = await shop.sale(sale)
        assert (record.fields["forward_status"], record.version) == ("delivered", 2 * len(entries))
        assert record.fields["forward_reference"] == entries[-1]["reference"]


async def test_a_relay_killed_between_any_two_steps_loses_and_doubles_nothing(
    runner: Runner, shop: Outlet, receiver: Receiver, database_url: str
) -> None:
    """One dies after each step; the last one finishes the work of all."""
    sales, voided = await sell_and_void(shop, 40)
    for step in STEPS:
        assert await runner.run({"url": database_url, "die_at": [step, 5]}) == [KILLED]
    assert await runner.run({"url": database_url}) == [0]
    await check(shop, receiver, sales, voided)
    ended = await shop.fetch("SELECT count(*) FROM attempts WHERE ended_at IS NULL")
    assert ended[0][0] > 0  # what the dead were at is still told


@pytest.mark.parametrize("seed", range(2))
async def test_relays_killed_at_random_lose_and_double_nothing(
    runner: Runner, shop: Outlet, receiver: Receiver, database_url: str, seed: int
) -> None:
    """Three at a time, die at any step, at a receiver that is unavailable or drops its answers."""
    dice = random.Random(seed)
    sales, voided = await sell_and_void(shop, 40)
    await receiver.script({"do": "chaos", "seed": seed, "times": 120})
    killed = 0
    for _ in range(3):
        lives = [
            {"url": database_url, "die_at": [dice.choice(STEPS), dice.randint(1, 12)], "seed": dice.random()}
            for _ in range(3)
        ]
        killed += (await runner.run(*lives)).count(KILLED)
    assert await runner.run({"url": database_url}) == [0]
    assert killed > 3
    await check(shop, receiver, sales, voided)


async def test_answers_lost_after_taking_effect_make_no_second_effect(
    runner: Runner, shop: Outlet, receiver: Receiver, database_url: str
) -> None:
    """Cut off, or too late: sent again under the same key, and the receiver knows it."""
    sales, voided = await sell_and_void(shop, 8)
    await receiver.script({"do": "drop", "times": 5}, {"do": "stall", "seconds": 2, "times": 2})
    assert await runner.run({"url": database_url}) == [0]
    assert [entry["did"] for entry in receiver.arrivals()].count("again") == 7
    await check(shop, receiver, sales, voided)


async def test_a_throttling_receiver_is_left_alone_as_long_as_it_asked(
    runner: Runner, shop: Outlet, receiver: Receiver, database_url: str
) -> None:
    """In seconds and by date; by its own clock nothing came early."""
    sales, voided = await sell_and_void(shop, 12)
    await receiver.script({"do": "throttle", "seconds": 1}, {"do": "throttle", "seconds": 1, "form": "date"})
    assert await runner.run({"url": database_url}) == [0]
    arrivals = receiver.arrivals()
    assert [entry["did"] for entry in arrivals].count("throttle") >= 2
    assert [entry for entry in arrivals if entry["early"]] == []
    await check(shop, receiver, sales, voided)


async def test_a_relay_of_its_own_hears_of_sales_made_elsewhere(
    runner: Runner, shop: Outlet, receiver: Receiver, database_url: str
) -> None:
    """Woken by another process's commit, long before it would look again by itself."""
    await receiver.script({"do": "status", "status": 503, "times": 6})
    (first,) = await shop.sell()
    began = time.monotonic()
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run, {"url": database_url})
        while not receiver.arrivals():
            await anyio.sleep(0.01)
        (second,) = await shop.sell()
    assert time.monotonic() - began < 30
    await check(shop, receiver, [first, second], set())
