"""What an operation promises, kept when its answers are lost: by a bank that counts effects."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.outbox.admin import redrive
from server.outbox.listing import Filter
from sync.clock import decode_instant
from tests.outbox.bank import Bank, Habits, route
from tests.outbox.outlet import Outlet, open_outlet
from tests.support.shop import TIMESTAMP, Clock

HOUR_MS = 3_600_000
DAY_S = 86_400


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Outlet]:
    """A shop whose sales are charged."""
    async with open_outlet(database_url, declared=[route()]) as opened:
        await opened.bind("sales.charge")
        yield opened


def at_ten() -> Clock:
    """A clock at the moment at which the tills of these tests sell."""
    clock = Clock()
    clock.ms = decode_instant(TIMESTAMP)
    return clock


def bank(shop: Outlet, **charge: Any) -> Bank:
    """A bank that charges with these habits."""
    return Bank(shop.clock, charge=Habits(**charge))


async def later(shop: Outlet, bank: Bank, ms: int, **options: Any) -> None:
    """Let time pass, and deliver what is due then."""
    shop.clock.ms += ms
    await shop.relay(bank, **options).drain()


@pytest.mark.parametrize(
    ("habits", "calls", "looks", "effects", "state"),
    [
        (Habits("keyed"), 2, 0, 1, "delivered"),
        (Habits("lookup"), 1, 1, 1, "delivered"),
        (Habits("once"), 1, 0, 1, "in_doubt"),
        (Habits("repeatable"), 2, 0, 2, "delivered"),
    ],
)
async def test_a_lost_answer_has_the_effect_that_was_promised(
    shop: Outlet, habits: Habits, calls: int, looks: int, effects: int, state: str
) -> None:
    """The charge was made, and nobody said so: keyed and looked up are one effect, once is left to a person."""
    desk = Bank(shop.clock, charge=habits)
    (sale,) = await shop.sell()
    desk.trouble = ["lost"]
    await later(shop, desk, 0)
    await later(shop, desk, 2_000)
    assert (len(desk.calls), len(desk.looks), desk.done("charge", sale)) == (calls, looks, effects)
    assert await shop.states() == {state: 1}
    assert (await shop.sale(sale)).fields["forward_status"] == state


async def test_a_look_up_that_finds_nothing_lets_it_be_sent(shop: Outlet) -> None:
    """A connection lost before anything happened is doubtful too, and ends in one effect."""
    desk = bank(shop, promise="lookup")
    (sale,) = await shop.sell()
    desk.trouble = ["lost"]
    await later(shop, desk, 0)
    desk.effects.clear()  # as if the call had never come to anything
    await later(shop, desk, 2_000)
    assert (len(desk.looks), desk.done("charge", sale)) == (1, 1)


async def test_a_key_is_relied_on_only_while_the_provider_honours_it(shop: Outlet) -> None:
    """After its life the same key would charge twice: what may have been done is looked up instead."""
    desk = bank(shop, promise="keyed", key_life_s=DAY_S)
    (sale,) = await shop.sell()
    desk.trouble = ["lost"]
    await later(shop, desk, 0)
    await later(shop, desk, 25 * HOUR_MS)
    assert (desk.done("charge", sale), len(desk.looks), len(desk.calls)) == (1, 1, 1)
    assert await shop.states() == {"delivered": 1}


async def test_within_its_life_the_key_is_sent_again(shop: Outlet) -> None:
    """No look-up is paid for where the key says enough."""
    desk = bank(shop, promise="keyed", key_life_s=DAY_S)
    (sale,) = await shop.sell()
    desk.trouble = ["lost"]
    await later(shop, desk, 0)
    await later(shop, desk, 22 * HOUR_MS)
    assert (desk.done("charge", sale), len(desk.looks), len(desk.calls)) == (1, 0, 2)


async def test_the_keys_life_begins_with_its_first_use(shop: Outlet) -> None:
    """Attempts in between do not renew it."""
    desk = bank(shop, promise="keyed", key_life_s=DAY_S)
    (sale,) = await shop.sell()
    desk.trouble = ["lost", "lost"]
    await later(shop, desk, 0)
    await later(shop, desk, 20 * HOUR_MS)
    await later(shop, desk, 5 * HOUR_MS)
    assert (desk.done("charge", sale), len(desk.looks), len(desk.calls)) == (1, 1, 2)


async def test_an_expired_key_without_a_look_up_is_in_doubt(shop: Outlet) -> None:
    """Nobody can know, so a person must; and a person's redrive sends it."""
    desk = bank(shop, promise="keyed", key_life_s=DAY_S, can_look=False)
    (sale,) = await shop.sell()
    desk.trouble = ["lost"]
    await later(shop, desk, 0)
    await later(shop, desk, 25 * HOUR_MS)
    (row,) = await shop.rows()
    assert (row.state, row.error, len(desk.calls)) == ("in_doubt", "key_expired", 1)
    await redrive(shop.writer, shop.tenant_id, Filter())
    await later(shop, desk, 0)
    assert await shop.states() == {"delivered": 1}
    assert desk.done("charge", sale) == 2


async def test_what_certainly_did_nothing_is_sent_however_old_its_key(shop: Outlet) -> None:
    """A refused connection leaves no doubt: no look-up, no person."""
    desk = bank(shop, promise="keyed", key_life_s=DAY_S, can_look=False)
    (sale,) = await shop.sell()
    desk.trouble = ["down"]
    await later(shop, desk, 0)
    await later(shop, desk, 23 * HOUR_MS)
    assert await shop.states() == {"delivered": 1}
    assert desk.done("charge", sale) == 1


async def test_absence_is_believed_only_later_than_the_providers_lag(shop: Outlet) -> None:
    """A look-up in time would find nothing, and charge twice: it waits, and the wait is no attempt."""
    desk = bank(shop, promise="lookup", lag_s=600)
    (sale,) = await shop.sell()
    desk.trouble = ["lost"]
    await later(shop, desk, 0)
    await later(shop, desk, 2_000)
    assert (desk.looks, len(desk.calls)) == ([], 1)
    (row,) = await shop.rows()
    assert (row.state, row.attempts) == ("pending", 1)
    await later(shop, desk, 597_000)
    assert desk.looks == []
    await later(shop, desk, 2_000)
    assert (len(desk.looks), desk.done("charge", sale), len(desk.calls)) == (1, 1, 1)
    assert await shop.states() == {"delivered": 1}


async def test_nothing_goes_out_past_its_time(database_url: str) -> None:
    """A charge that could not be made for hours is not made at all, and says why."""
    async with open_outlet(database_url, clock=at_ten(), declared=[route(not_after_s=7200)]) as shop:
        await shop.bind("sales.charge")
        desk = bank(shop, promise="keyed")
        (sale,) = await shop.sell()
        desk.trouble = ["down"]
        await later(shop, desk, 0)
        await later(shop, desk, 72 * HOUR_MS)
        (row,) = await shop.rows()
        assert (row.state, row.error, row.error_class) == ("dead", "too_late", "permanent")
        assert (len(desk.calls), desk.effects) == (1, [])
        assert (await shop.sale(sale)).fields["forward_status"] == "dead"


async def test_what_was_never_tried_dies_when_its_endpoint_comes_back_too_late(database_url: str) -> None:
    """Paused meanwhile, it is claimed afterwards, and no call is made."""
    async with open_outlet(database_url, clock=at_ten(), declared=[route(not_after_s=7200)]) as shop:
        await shop.bind("sales.charge")
        desk = bank(shop, promise="once")
        await shop.sell(2)
        shop.clock.ms += 3 * HOUR_MS
        await later(shop, desk, 0)
        assert await shop.states() == {"dead": 2}
        assert desk.calls == []


async def test_its_time_counts_from_the_change_and_not_from_its_arrival(database_url: str) -> None:
    """A till that was offline for long brings what is too late already; just before, it still goes."""
    async with open_outlet(database_url, clock=at_ten(), declared=[route(not_after_s=7200)]) as shop:
        await shop.bind("sales.charge")
        desk = bank(shop, promise="keyed")
        shop.clock.ms += 2 * HOUR_MS - 120_000
        (early,) = await shop.sell()
        await later(shop, desk, 0)
        shop.clock.ms += 2 * HOUR_MS
        (late,) = await shop.sell()
        await later(shop, desk, 0)
        assert (desk.done("charge", early), desk.done("charge", late)) == (1, 0)


@pytest.mark.parametrize(
    ("habits", "state", "error"),
    [
        (Habits("lookup"), "delivered", None),
        (Habits("keyed"), "delivered", None),
        (Habits("keyed", can_look=False), "in_doubt", "too_late"),
        (Habits("once"), "in_doubt", "server_error"),
        (Habits("repeatable"), "dead", "too_late"),
    ],
)
async def test_what_may_have_taken_effect_is_looked_up_past_its_time(
    database_url: str, habits: Habits, state: str, error: str | None
) -> None:
    """It is not sent again, but where it was done, it was done in time."""
    async with open_outlet(database_url, clock=at_ten(), declared=[route(not_after_s=7200)]) as shop:
        await shop.bind("sales.charge")
        desk = Bank(shop.clock, charge=habits)
        (sale,) = await shop.sell()
        desk.trouble = ["lost"]
        await later(shop, desk, 0)
        await later(shop, desk, 3 * HOUR_MS)
        (row,) = await shop.rows()
        assert (row.state, row.error) == (state, error)
        assert (desk.done("charge", sale), len(desk.calls)) == (1, 1)


async def test_a_look_up_past_its_time_that_finds_nothing_ends_it(database_url: str) -> None:
    """It had no effect and is to have none."""
    async with open_outlet(database_url, clock=at_ten(), declared=[route(not_after_s=7200)]) as shop:
        await shop.bind("sales.charge")
        desk = bank(shop, promise="lookup")
        await shop.sell()
        desk.trouble = ["lost"]
        await later(shop, desk, 0)
        desk.effects.clear()
        await later(shop, desk, 3 * HOUR_MS)
        (row,) = await shop.rows()
        assert (row.state, row.error, len(desk.looks), len(desk.calls)) == ("dead", "too_late", 1, 1)


async def test_one_that_fails_is_ended_as_soon_as_its_time_is_over(database_url: str) -> None:
    """Its next attempt would come later: the record need not wait for that to be told."""
    async with open_outlet(database_url, clock=at_ten(), declared=[route(not_after_s=60)]) as shop:
        await shop.bind("sales.charge")
        shop.clock.ms += 59_500
        desk = bank(shop, promise="keyed")
        await shop.sell()
        desk.trouble = ["down"]
        await later(shop, desk, 0)
        await later(shop, desk, 502)
        (row,) = await shop.rows()
        assert (row.state, row.error) == ("dead", "too_late")
