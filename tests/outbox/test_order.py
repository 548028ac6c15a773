"""Order per record, and what may overtake whom; with a provider that does as it is told."""

import json
from collections import Counter
from typing import Any

import anyio
import pytest

from server.outbox.admin import let_pass
from server.outbox.listing import Filter, list_deliveries
from server.ports import Answer, Call
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.outbox.bank import Bank, Habits, route
from tests.outbox.outlet import Outlet, Scripted, open_outlet


async def test_order_is_kept_per_record_while_others_go_on(outlet: Outlet) -> None:
    """A void waits for its sale, a bad provider's other sales do not."""
    await outlet.bind()
    stuck, free = await outlet.sell(2)
    await outlet.void(stuck)
    provider = Scripted()
    provider.answer = lambda call: Answer(503) if call.record_id == stuck else provider.take(call)
    await outlet.relay(provider).drain()
    assert [call.record_id for call in provider.calls] == [stuck, free]
    provider.answer = provider.take
    outlet.clock.ms += 1000
    await outlet.relay(provider).drain()
    events = [json.loads(call.payload)["type"] for call in provider.of(stuck)]
    assert events == ["sales.created", "sales.created", "sales.voided"]
    assert await outlet.states() == {"delivered": 3}


async def test_a_parked_void_is_brought_back_by_its_sale(outlet: Outlet) -> None:
    """However long a lane is, each settle makes the next one due at once."""
    await outlet.bind()
    (sale,) = await outlet.sell()
    await outlet.void(sale)
    provider = Scripted(lambda _call: Answer(503))
    await outlet.relay(provider).drain()
    await outlet.relay(provider).drain()
    assert len(provider.calls) == 1
    provider.answer = provider.take
    outlet.clock.ms += 1000
    await outlet.relay(provider).drain()
    assert [call.record_id for call in provider.calls] == [sale, sale, sale]


@pytest.mark.parametrize(
    ("on_dead", "states"),
    [
        ("block", {"dead": 1, "pending": 1}),
        ("skip", {"dead": 1, "delivered": 1}),
        ("supersede", {"delivered": 1, "superseded": 1}),
    ],
)
async def test_a_dead_one_does_to_later_ones_what_its_route_declares(
    database_url: str, on_dead: str, states: dict[str, int]
) -> None:
    """Block, skip, or give way to the newer one."""
    async with open_outlet(database_url, on_dead=on_dead) as outlet:
        await outlet.bind()
        (sale,) = await outlet.sell()
        await outlet.void(sale)
        provider = Scripted()
        provider.answer = lambda call: Answer(400) if "created" in call.payload else provider.take(call)
        await outlet.relay(provider).drain()
        assert await outlet.states() == states


async def test_a_dead_one_gives_way_to_one_that_comes_later(database_url: str) -> None:
    """Under `supersede`, also when the newer one did not exist yet."""
    async with open_outlet(database_url, on_dead="supersede", when=lambda _before, _after: True) as outlet:
        await outlet.bind()
        (sale,) = await outlet.sell()
        await outlet.relay(Scripted(lambda _call: Answer(400))).drain()
        assert await outlet.states() == {"dead": 1}
        await outlet.void(sale)
        await outlet.relay(Scripted()).drain()
        assert await outlet.states() == {"delivered": 1, "superseded": 1}


async def test_a_blocked_record_goes_on_when_a_person_lets_it_pass(database_url: str) -> None:
    """The dead one stays dead, the next one goes out."""
    async with open_outlet(database_url, on_dead="block") as outlet:
        await outlet.bind()
        (sale,) = await outlet.sell()
        await outlet.void(sale)
        provider = Scripted()
        provider.answer = lambda call: Answer(400) if "created" in call.payload else provider.take(call)
        await outlet.relay(provider).drain()
        (dead,) = await list_deliveries(outlet.database, outlet.tenant_id, Filter(states=["dead"]))
        await let_pass(outlet.writer, outlet.tenant_id, dead.delivery_id)
        await outlet.relay(provider).drain()
        assert await outlet.states() == {"dead": 1, "delivered": 1}


async def test_a_paused_endpoint_waits(outlet: Outlet) -> None:
    """What waits, waits; resumed, it goes out."""
    endpoint = await outlet.bind()
    await outlet.sell()
    provider = Scripted()
    for paused, calls in ((True, 0), (False, 1)):
        await _pause(outlet, endpoint, paused=paused)
        await outlet.relay(provider).drain()
        assert len(provider.calls) == calls


async def _pause(outlet: Outlet, endpoint: str, *, paused: bool) -> None:
    statement = Statement(
        "UPDATE endpoints SET paused = :paused WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"
    )

    async def job(writing: Writing) -> None:
        await writing.tx.execute(statement, (paused, outlet.tenant_id, endpoint))
        writing.tenant(outlet.tenant_id).revision += 1

    await outlet.writer.submit(Job([outlet.tenant_id], job))


async def test_a_slow_endpoint_leaves_room_for_others(outlet: Outlet) -> None:
    """It gets only some of the places; the other's sales are all out while it still thinks."""
    slow, quick = await outlet.bind(), await outlet.bind()
    await outlet.sell(10)
    go_on = anyio.Event()
    quick_ones = 0
    provider = Scripted()

    async def answer(call: Call) -> Answer:
        nonlocal quick_ones
        if call.account.endpoint_id == quick:
            quick_ones += 1
            if quick_ones == 10:
                go_on.set()
        else:
            await go_on.wait()
        return Answer(200)

    provider.answer = answer
    with anyio.fail_after(10):
        await outlet.relay(provider, parallel=4, per_endpoint=2).drain()
    assert Counter(call.account.endpoint_id for call in provider.calls) == {slow: 10, quick: 10}


async def test_two_relays_never_lose_a_parked_one(database_url: str) -> None:
    """With the clock standing still only a settle brings a parked delivery back: none is forgotten, none overtakes."""
    changes: dict[str, Any] = {"when": lambda _before, _after: True}
    async with open_outlet(database_url, **changes) as one, open_outlet(database_url, seed=2, **changes) as two:
        await one.bind()
        sales = await one.sell(6)
        for place in range(9):
            for sale in sales:
                await one.update(sale, note=f"{place}")
        provider = Scripted()
        relays = [outlet.relay(provider, owner=owner) for outlet, owner in ((one, "one"), (two, "two"))]
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for relay in relays:
                    group.start_soon(relay.run)
                while await one.states() != {"delivered": 60}:
                    await anyio.sleep(0.02)
                for relay in relays:
                    relay.stop()
        for sale in sales:
            versions = [json.loads(call.payload)["data"]["version"] for call in provider.of(sale)]
            assert versions == list(range(1, 11))


async def test_what_stands_behind_a_head_that_gave_way_is_due_at_once(database_url: str) -> None:
    """A newer state takes the head's place; what another route sends of the record does not wait ten minutes for it."""
    mirror = route("sales.mirror", "mirror", when=lambda _before, after: after["note"] != "b", supersedes=True)
    other = route("sales.other", "other", when=lambda _before, after: after["note"] == "b")
    async with open_outlet(database_url, declared=[mirror, other]) as shop:
        endpoint = await shop.bind("sales.mirror", rate=1, burst=1)
        await shop.lead("sales.other", endpoint)
        await shop.sell()  # takes the one call there is
        bank = Bank(shop.clock, mirror=Habits("keyed"), other=Habits("keyed"))
        (sale,) = await shop.sell()
        await shop.update(sale, note="b")
        parked = "UPDATE outbox SET next_attempt_at = '2025-12-24T09:00:00.000Z' WHERE route = 'sales.other'"
        await shop.change_rows(parked)  # as a claim parks what is behind its head
        await shop.update(sale, note="c")
        shop.clock.ms += 10_000
        for _ in range(4):
            await shop.relay(bank).drain()
            shop.clock.ms += 1000
        assert [(one.operation) for one in bank.effects if one.record_id == sale] == ["other", "mirror"]
