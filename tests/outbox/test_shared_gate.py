"""One gate for many real processes on PostgreSQL: one probe a window, one rate for all, at a real receiver."""

from collections import Counter
from typing import Any

import pytest

from tests.outbox.outlet import Scripted, open_outlet
from tests.outbox.test_gate import opened, ready_ms
from tests.outbox.test_killed import RealClock, Runner, _running, runner  # noqa: F401  # fixtures
from tests.support.receiver import Receiver

pytestmark = pytest.mark.postgres

PROCESSES = 4
RATE = 40


@pytest.fixture
async def receiver(_running: Receiver) -> Receiver:  # noqa: F811
    """A real receiving process that behaves."""
    await _running.script()
    _running.forget()
    return _running


async def test_of_four_processes_of_a_hundred_callers_one_probe_passes_a_window(
    runner: Runner,  # noqa: F811
    postgres_url: str,
) -> None:
    """In each of three half-open windows; the last one works, and then they pass again."""
    async with open_outlet(postgres_url) as outlet:
        endpoint = await opened(outlet, Scripted())
        for status in (503, 503, 200):
            outlet.clock.ms = await ready_ms(outlet, endpoint)
            life = {
                "url": postgres_url,
                "callers": 100,
                "now_ms": outlet.clock.ms,
                "wanted": [outlet.tenant_id, endpoint],
                "status": status,
            }
            assert sum(await runner.run(*[life] * PROCESSES)) == 1
        ((state,),) = await outlet.fetch("SELECT state FROM gates")
        assert state == "closed"


async def test_after_an_outage_four_relays_together_keep_the_rate(
    runner: Runner,  # noqa: F811
    receiver: Receiver,
    postgres_url: str,
) -> None:
    """By the receiver's own clock no second has a tenth more than that, though all of it waited."""
    async with open_outlet(postgres_url, seed=77, clock=RealClock()) as shop:
        limits: dict[str, Any] = {"rate": RATE, "breaker_failures": 3, "breaker_pause": 0.4, "breaker_cap": 1}
        await shop.bind(url=receiver.url, timeout=1, secret=receiver.secret, **limits)
        await shop.sell(100)
        await receiver.script({"do": "status", "status": 503, "times": 6})
        assert await runner.run(*[{"url": postgres_url, "seed": seed} for seed in range(PROCESSES)]) == [0] * PROCESSES
        assert await shop.states() == {"delivered": 100}
    arrived = [entry["at"] for entry in receiver.arrivals()]
    worst = max(sum(at <= other < at + 1 for other in arrived) for at in arrived)
    assert worst <= RATE * 1.1
    assert set(Counter(entry["key"] for entry in receiver.kept()).values()) == {1}
    assert len(receiver.kept()) == 100
