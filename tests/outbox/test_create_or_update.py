"""An update whose create never came to anything is a create; and what may be superseded."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from server.outbox.admin import cancel, let_pass, redrive
from server.outbox.listing import Filter
from tests.outbox.bank import Bank, Habits, by_hand, route
from tests.outbox.outlet import Outlet, open_outlet, tidied

PAIR = route("sales.mirror", "change", create="make", when=by_hand, on_dead="skip")


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Outlet]:
    """A shop whose sales are mirrored: made once, and changed."""
    async with open_outlet(database_url, declared=[PAIR]) as opened:
        await opened.bind("sales.mirror")
        yield opened


def desk_of(shop: Outlet, make: Habits = Habits("keyed")) -> Bank:  # noqa: B008  # frozen
    """A mirror."""
    return Bank(shop.clock, make=make, change=Habits("keyed"))


def order(desk: Bank) -> list[str]:
    """Operations in the order of their effects."""
    return [one.operation for one in desk.effects]


async def test_a_record_is_made_once_and_then_changed(shop: Outlet) -> None:
    """What is new goes to the one operation, what is not to the other."""
    (sale,) = await shop.sell()
    await shop.update(sale, note="uno")
    desk = desk_of(shop)
    await shop.relay(desk).drain()
    await shop.update(sale, note="due")
    await shop.relay(desk).drain()
    assert order(desk) == ["make", "change", "change"]


async def test_an_update_after_a_dead_create_makes_the_record(shop: Outlet) -> None:
    """The first one does, whole and under a key of its own; the next ones change it."""
    (sale,) = await shop.sell()
    desk = desk_of(shop)
    desk.trouble = ["refused"]
    await shop.relay(desk).drain()
    await shop.update(sale, note="uno")
    await shop.update(sale, note="due")
    await shop.relay(desk).drain()
    assert order(desk) == ["make", "change"]
    made, changed = desk.effects
    assert ('"type":"sales.created"' in made.payload, '"note":"uno"' in made.payload) == (True, True)
    assert ('"type":"sales.updated"' in changed.payload, '"note":"due"' in changed.payload) == (True, True)
    keys = {call.idempotency_key for _, call in desk.calls}
    assert len(keys) == 3
    assert [row.operation for row in await shop.rows()] == ["make", "make", "change"]


async def test_a_dead_create_that_was_made_up_for_cannot_be_redriven(shop: Outlet) -> None:
    """Its key is another than that of the update that made the record: both together would make two."""
    (sale,) = await shop.sell()
    desk = desk_of(shop)
    desk.trouble = ["refused", "refused"]
    await shop.relay(desk).drain()
    await shop.update(sale, note="uno")
    await shop.relay(desk).drain()
    assert await shop.states() == {"dead": 1, "superseded": 1}
    assert await redrive(shop.writer, shop.tenant_id, Filter()) == 1
    await shop.relay(desk).drain()
    assert (order(desk), await shop.states()) == (["make"], {"delivered": 1, "superseded": 1})


async def test_it_stays_a_create_under_the_same_key_when_its_answer_is_lost(shop: Outlet) -> None:
    """What it became is stored, so a later attempt is the same one."""
    (sale,) = await shop.sell()
    desk = desk_of(shop)
    desk.trouble = ["refused", "lost"]
    await shop.relay(desk).drain()
    await shop.update(sale, note="uno")
    await shop.relay(desk).drain()
    shop.clock.ms += 2_000
    await shop.relay(desk).drain()
    assert order(desk) == ["make"]
    assert len({(name, call.idempotency_key, call.payload) for name, call in desk.calls[1:]}) == 1


async def test_a_cancelled_create_is_made_up_for(shop: Outlet) -> None:
    """A person took it back; what the record becomes later is sent whole."""
    (sale,) = await shop.sell()
    (row,) = await shop.rows()
    await cancel(shop.writer, shop.tenant_id, row.delivery_id)
    await shop.update(sale, note="uno")
    desk = desk_of(shop)
    await shop.relay(desk).drain()
    assert order(desk) == ["make"]


async def test_an_update_behind_a_dead_create_that_was_let_pass_makes_the_record(database_url: str) -> None:
    """It was accepted when the create still had a chance."""
    async with open_outlet(database_url, declared=[replace(PAIR, on_dead="block")]) as shop:
        await shop.bind("sales.mirror")
        (sale,) = await shop.sell()
        await shop.update(sale, note="uno")
        desk = desk_of(shop)
        desk.trouble = ["refused"]
        await shop.relay(desk).drain()
        (dead,) = await shop.rows(states=["dead"])
        await let_pass(shop.writer, shop.tenant_id, dead.delivery_id)
        await shop.relay(desk).drain()
        assert order(desk) == ["make"]


async def test_an_update_whose_create_was_tidied_away_stays_one(shop: Outlet) -> None:
    """What is left is an update that was refused: that nothing known took effect does not mean that nothing did."""
    (sale,) = await shop.sell()
    desk = desk_of(shop)
    await shop.relay(desk).drain()
    await tidied(shop)
    assert await shop.rows() == []
    desk.trouble = ["refused"]
    for note in ("uno", "due"):
        await shop.update(sale, note=note)
        await shop.relay(desk).drain()
    assert order(desk) == ["make", "change"]


async def test_a_create_that_may_have_taken_effect_is_not_made_up_for(shop: Outlet) -> None:
    """A second record outside would be worse than an update that finds none."""
    (sale,) = await shop.sell()
    desk = desk_of(shop, Habits("once"))
    desk.trouble = ["lost"]
    await shop.relay(desk).drain()
    await shop.update(sale, note="uno")
    await shop.relay(desk).drain()
    assert order(desk) == ["make", "change"]


async def test_only_full_states_that_nobody_tried_are_superseded(database_url: str) -> None:
    """A create is none of an update's, and what may have been sent before a restore has been tried."""
    async with open_outlet(database_url, declared=[replace(PAIR, supersedes=True)]) as shop:
        await shop.bind("sales.mirror")
        (sale,) = await shop.sell()
        for note in ("uno", "due", "tre"):
            await shop.update(sale, note=note)
        states: list[Any] = [row.state for row in await shop.rows()]
        assert states == ["pending", "superseded", "superseded", "pending"]
        shop.clock.ms += 1000
        await shop.begin_epoch()
        await shop.update(sale, note="quattro")
        await shop.update(sale, note="cinque")
        assert [row.state for row in await shop.rows()] == [*states[:3], "pending", "pending", "pending"]
