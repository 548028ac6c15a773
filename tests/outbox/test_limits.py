"""What an endpoint's limits let through: its rate, its window, its places, its deadline; and what asking costs."""

import json
from dataclasses import replace
from typing import Any, cast

import anyio
import pytest

from server.outbox.claim import Lease, Wanted, claim
from server.ports import Answer, Call
from server.storage.database import Tx
from server.storage.writer import Job, Writing
from tests.outbox.outlet import Outlet, Scripted
from tests.outbox.test_claim import backlog
from tests.outbox.test_gate import HOUR_MS, ready_ms, take


class Counting:
    """A transaction that counts what it is asked."""

    def __init__(self, inner: Tx) -> None:
        self._inner, self.statements = inner, 0

    def __getattr__(self, name: str) -> Any:
        self.statements += name in {"fetch", "execute", "many", "copy"}
        return getattr(self._inner, name)


async def test_no_second_has_more_calls_than_the_rate_after_an_outage(outlet: Outlet) -> None:
    """Ten thousand wait, two processes claim at every moment that is told them: by the millisecond, a tenth at most."""
    endpoint = await outlet.bind(rate=40)
    await backlog(outlet, endpoint, records=10_000)
    outlet.clock.ms += HOUR_MS
    begun_ms = outlet.clock.ms
    sent: list[int] = []
    while outlet.clock.ms < begun_ms + 2_000:
        for owner in ("one", "two"):
            sent += [outlet.clock.ms] * len(await take(outlet, endpoint, 100, owner))
        outlet.clock.ms = max(outlet.clock.ms + 1, await ready_ms(outlet, endpoint))
    assert max(sum(at <= other < at + 1000 for other in sent) for at in sent) <= 44
    assert len(sent) >= 80


async def test_no_window_has_more_calls_than_its_limit(outlet: Outlet) -> None:
    """Seven in any ten seconds, and no longer a wait than that."""
    endpoint = await outlet.bind(window_limit=7, window=10)
    await backlog(outlet, endpoint, records=60)
    sent: list[int] = []
    while len(sent) < 30:
        sent += [outlet.clock.ms] * len(await take(outlet, endpoint))
        outlet.clock.ms = max(outlet.clock.ms + 1, await ready_ms(outlet, endpoint))
    assert max(sum(at <= other < at + 10_000 for other in sent) for at in sent) == 7
    assert sent[29] - sent[0] <= 4 * 10_200


async def test_a_relay_waits_exactly_as_long_as_the_rate_says(outlet: Outlet) -> None:
    """Its rests end when the next call may go out; nothing is tried in vain."""
    await outlet.bind(rate=10, burst=1)
    await outlet.sell(30)
    times: list[int] = []
    provider = Scripted()

    def noted(call: Call) -> Answer:
        times.append(outlet.clock.ms)
        return provider.take(call)

    provider.answer = noted
    relay = outlet.relay(provider)
    for _ in range(30):
        await relay.drain()
        outlet.clock.ms += 100
    assert [at - times[0] for at in times] == [place * 100 for place in range(30)]


async def test_an_endpoint_has_as_many_calls_under_way_as_it_says(outlet: Outlet) -> None:
    """From the first claim on; more than the relay's own number too."""
    few, many = await outlet.bind(concurrency=2), await outlet.bind(concurrency=12)
    await outlet.sell(40)
    under_way: dict[str, int] = {few: 0, many: 0}
    most = dict(under_way)
    provider = Scripted()

    async def slow(call: Call) -> Answer:
        endpoint = call.account.endpoint_id
        under_way[endpoint] += 1
        most[endpoint] = max(most[endpoint], under_way[endpoint])
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        under_way[endpoint] -= 1
        return provider.take(call)

    provider.answer = slow
    await outlet.relay(provider, per_endpoint=4).drain()
    assert most[few] == 2
    assert 4 < most[many] <= 12


@pytest.mark.parametrize(("limits", "statements"), [({}, 5), ({"rate": 100}, 7), ({"rate": 100, "window_limit": 9}, 7)])
async def test_a_claim_costs_two_statements_more_with_limits_and_none_without(
    outlet: Outlet, limits: dict[str, Any], statements: int
) -> None:
    """Endpoint, candidates, those behind, leases, attempts; and where there is a gate, its lock and its new state."""
    endpoint = await outlet.bind(**limits)
    await backlog(outlet, endpoint, records=10)
    await take(outlet, endpoint, 1)

    async def job(writing: Writing) -> int:
        counting = Counting(writing.tx)
        taken = await claim(
            [Wanted(outlet.tenant_id, endpoint, 1)], Lease("one", 30_000), replace(writing, tx=cast("Tx", counting))
        )
        assert len(taken.deliveries) == 1
        return counting.statements

    assert await outlet.writer.submit(Job([], job)) == statements


async def test_what_is_stored_of_a_window_stays_short(outlet: Outlet) -> None:
    """However many calls it counts."""
    endpoint = await outlet.bind(window_limit=5_000, window=60)
    await backlog(outlet, endpoint, records=300)
    for _ in range(75):
        await take(outlet, endpoint, 2)
        outlet.clock.ms += 1997
    spent = json.loads((await outlet.fetch("SELECT spent FROM gates"))[0][0])
    assert 25 < len(spent) <= 66


async def test_an_endpoint_that_never_answers_holds_up_no_other(outlet: Outlet) -> None:
    """It fills its own places, and no more."""
    stuck, well = await outlet.bind(), await outlet.bind(concurrency=3)
    await outlet.sell(40)
    all_out = anyio.Event()
    provider = Scripted()

    async def answer(call: Call) -> Answer:
        if call.account.endpoint_id == stuck:
            await anyio.sleep_forever()
        taken = provider.take(call)
        if sum(one.account.endpoint_id == well for one in provider.calls) == 40:
            all_out.set()
        return taken

    provider.answer = answer
    relay = outlet.relay(provider, parallel=12, grace_s=1)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(relay.run)
            await all_out.wait()
            group.cancel_scope.cancel()
    assert sum(one.account.endpoint_id == stuck for one in provider.calls) == 8


async def test_an_endpoint_may_have_a_shorter_deadline_of_its_own(outlet: Outlet) -> None:
    """For the whole attempt, whatever its steps take."""
    await outlet.bind(deadline=0.02)
    await outlet.sell()

    async def never(_call: Call) -> Answer:
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.fail_after(20):
        await outlet.relay(Scripted(never)).drain()
    (row,) = await outlet.rows()
    assert (row.state, row.error, row.failures) == ("pending", "deadline", 1)
