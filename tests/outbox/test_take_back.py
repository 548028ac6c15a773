"""A charge that is voided: cancelled while nobody has tried it, refunded where it took effect, and never both."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from server.outbox.admin import let_pass, redrive
from server.outbox.listing import Filter
from server.ports import Route
from sync.clock import decode_instant
from tests.outbox.bank import Bank, Effect, Habits, by_hand, route, voided
from tests.outbox.outlet import Outlet, open_outlet, tidied
from tests.support.shop import TIMESTAMP


def charges(**terms: Any) -> Route:
    """Sales are charged, and a void takes that back."""
    return route(cancels=voided, compensation="refund", money=True, **terms)


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Outlet]:
    """A shop whose sales are charged."""
    async with open_outlet(database_url, declared=[charges()]) as opened:
        await opened.bind("sales.charge")
        yield opened


def desk_of(shop: Outlet, charge: Habits = Habits("keyed")) -> Bank:  # noqa: B008  # frozen
    """A bank that charges and refunds."""
    return Bank(shop.clock, charge=charge, refund=Habits("keyed"))


def done(desk: Bank, sale: str) -> tuple[int, int]:
    """Charges and refunds of a sale."""
    return desk.done("charge", sale), desk.done("refund", sale)


async def test_a_void_cancels_what_nobody_has_tried(shop: Outlet) -> None:
    """No charge, no refund; also where both come in one push."""
    (sale,) = await shop.sell()
    await shop.void(sale)
    desk = desk_of(shop)
    await shop.relay(desk).drain()
    assert (desk.calls, await shop.states()) == ([], {"cancelled": 1})


async def test_a_void_after_the_charge_refunds_it_and_names_it(shop: Outlet) -> None:
    """The refund has a key of its own and the charge's reference."""
    (sale,) = await shop.sell()
    desk = desk_of(shop)
    await shop.relay(desk).drain()
    await shop.void(sale)
    await shop.relay(desk).drain()
    assert done(desk, sale) == (1, 1)
    charge, refund = desk.effects
    assert (refund.named, refund.key != charge.key) == (charge.reference, True)
    assert await shop.states() == {"delivered": 2}


@pytest.mark.parametrize("trouble", ["lost", "down"])
async def test_a_void_of_what_was_tried_waits_for_its_end(shop: Outlet, trouble: str) -> None:
    """Nobody can take back what is on its way: it is settled first, and refunded after."""
    (sale,) = await shop.sell()
    desk = desk_of(shop)
    desk.trouble = [trouble]
    await shop.relay(desk).drain()
    await shop.void(sale)
    await shop.relay(desk).drain()
    assert desk.done("refund", sale) == 0
    shop.clock.ms += 2_000
    await shop.relay(desk).drain()
    assert (done(desk, sale), await shop.states()) == ((1, 1), {"delivered": 2})


@pytest.mark.parametrize("on_dead", ["skip", "block"])
async def test_a_charge_that_was_refused_needs_no_refund(database_url: str, on_dead: str) -> None:
    """Known at the void or found out later: a refund of nothing would be somebody's evening."""
    async with open_outlet(database_url, declared=[charges(on_dead=on_dead)]) as shop:
        await shop.bind("sales.charge")
        early, late = await shop.sell(2)
        desk = desk_of(shop)
        desk.trouble = ["refused", "down"]
        await shop.relay(desk).drain()
        for sale in (early, late):
            await shop.void(sale)
        desk.trouble = ["refused"]
        shop.clock.ms += 2_000
        await shop.relay(desk).drain()
        assert (desk.effects, [name for name, _ in desk.calls]) == ([], ["charge"] * 3)
        states = {"skip": {"cancelled": 3}, "block": {"cancelled": 1, "dead": 1, "pending": 1}}
        assert await shop.states() == states[on_dead]
        if on_dead == "skip":
            assert await redrive(shop.writer, shop.tenant_id, Filter()) == 0


async def test_a_charge_that_is_redriven_before_its_refund_went_is_refunded(database_url: str) -> None:
    """It holds up its refund: sent again it takes effect, and the refund comes after it. Let pass, it is cancelled."""
    async with open_outlet(database_url, declared=[charges(on_dead="block")]) as shop:
        await shop.bind("sales.charge")
        sales = await shop.sell(2)
        desk = desk_of(shop)
        desk.trouble = ["down", "down"]
        await shop.relay(desk).drain()
        for sale in sales:
            await shop.void(sale)
        shop.clock.ms += 2_000
        desk.trouble = ["refused", "refused"]
        await shop.relay(desk).drain()
        again, passed = await shop.rows(states=["dead"])
        await redrive(shop.writer, shop.tenant_id, Filter(ids=[again.delivery_id]))
        await let_pass(shop.writer, shop.tenant_id, passed.delivery_id)
        await shop.relay(desk).drain()
        assert (done(desk, again.record_id), done(desk, passed.record_id)) == ((1, 1), (0, 0))
        assert await shop.states() == {"cancelled": 2, "delivered": 2}


@pytest.mark.parametrize("trouble", ["refused", "lost"])
async def test_a_charge_is_kept_while_another_of_its_sale_is_dead_or_in_doubt(database_url: str, trouble: str) -> None:
    """The retention does not make a charge that took effect one that never was."""
    async with open_outlet(database_url, declared=[charges(on_dead="skip", when=by_hand)]) as shop:
        await shop.bind("sales.charge")
        (sale,) = await shop.sell()
        desk = desk_of(shop, Habits("once"))
        await shop.relay(desk).drain()
        desk.trouble = [trouble]
        await shop.update(sale, note="more")
        await shop.relay(desk).drain()
        await tidied(shop)
        await shop.void(sale)
        await shop.relay(desk).drain()
        assert desk.done("refund", sale) == 1
        (refund,) = [one for one in desk.effects if one.operation == "refund"]
        assert refund.named == "charge-1"
        await tidied(shop)
        assert await shop.states() == ({} if trouble == "refused" else {"delivered": 2, "in_doubt": 1})


async def test_a_refund_whose_route_is_gone_is_in_doubt(database_url: str) -> None:
    """Nobody can say any more that it takes something back; what comes first in its lane is what it always was."""
    async with open_outlet(database_url, declared=[charges()]) as shop:
        await shop.bind("sales.charge")
        charged, refused = await shop.sell(2)
        desk = desk_of(shop)
        desk.trouble = ["down", "down"]
        await shop.relay(desk).drain()
        for sale in (charged, refused):
            await shop.void(sale)
        shop.routes = ()
        shop.clock.ms += 2_000
        desk.during = _refusing(desk, refused)
        await shop.relay(desk).drain()
        (dead,) = await shop.rows(states=["dead"])
        await let_pass(shop.writer, shop.tenant_id, dead.delivery_id)
        await shop.relay(desk).drain()
        assert (done(desk, charged), done(desk, refused)) == ((1, 0), (0, 0))
        assert await shop.states() == {"dead": 1, "delivered": 1, "in_doubt": 2}


def _refusing(desk: Bank, sale: str) -> Callable[[], Awaitable[None]]:
    """The bank wants nothing of this sale."""

    async def during() -> None:
        desk.trouble = ["refused"] if desk.calls[-1][1].record_id == sale else []

    return during


async def test_a_refund_is_never_too_late(database_url: str) -> None:
    """What was charged in time is given back when the provider can be reached again."""
    async with open_outlet(database_url, declared=[charges(not_after_s=600)]) as shop:
        shop.clock.ms = decode_instant(TIMESTAMP)
        await shop.bind("sales.charge")
        (sale,) = await shop.sell()
        desk = desk_of(shop)
        await shop.relay(desk).drain()
        await shop.void(sale)
        shop.clock.ms += 700_000
        await shop.relay(desk).drain()
        assert (done(desk, sale), await shop.states()) == ((1, 1), {"delivered": 2})


async def test_a_refund_that_died_is_owed_whatever_is_taken_back_later(database_url: str) -> None:
    """Only what is taken back is cancelled, and not what takes back."""
    terms: dict[str, Any] = {"cancels": lambda before, _after: before is not None, "on_dead": "skip"}
    async with open_outlet(database_url, declared=[route(compensation="refund", **terms)]) as shop:
        await shop.bind("sales.charge")
        (sale,) = await shop.sell()
        desk = desk_of(shop)
        await shop.relay(desk).drain()
        for note, trouble, states in (("uno", ["refused"], {"delivered": 1}), ("due", [], {"delivered": 2})):
            desk.trouble = trouble
            await shop.update(sale, note=note)
            await shop.relay(desk).drain()
            assert await shop.states() == {"dead": 1, **states}
        assert await redrive(shop.writer, shop.tenant_id, Filter()) == 1


async def test_a_charge_in_doubt_leaves_its_refund_in_doubt(database_url: str) -> None:
    """Whether there is something to give back, only a person can find out."""
    async with open_outlet(database_url, declared=[charges(on_dead="skip")]) as shop:
        await shop.bind("sales.charge")
        (sale,) = await shop.sell()
        desk = desk_of(shop, Habits("once"))
        desk.trouble = ["lost"]
        await shop.relay(desk).drain()
        await shop.void(sale)
        await shop.relay(desk).drain()
        assert await shop.states() == {"in_doubt": 2}
        assert desk.done("refund", sale) == 0


async def test_a_void_of_what_is_not_known_here_is_sent(database_url: str) -> None:
    """A charge may have been tidied away after its months: money is not kept for that."""
    async with open_outlet(database_url, declared=[charges()]) as shop:
        (sale,) = await shop.sell()
        await shop.bind("sales.charge")
        await shop.void(sale)
        desk = desk_of(shop)
        await shop.relay(desk).drain()
        assert done(desk, sale) == (0, 1)


async def test_a_charge_that_may_have_been_made_before_a_restore_is_not_cancelled(shop: Outlet) -> None:
    """It was never tried in this history; it is settled, looked up, and then refunded."""
    shop.clock.ms += 1000
    await shop.begin_epoch()
    (sale,) = await shop.sell()
    desk = desk_of(shop, Habits("lookup"))
    await shop.void(sale)
    await shop.relay(desk).drain()
    assert (done(desk, sale), len(desk.looks)) == ((1, 1), 1)


@pytest.mark.parametrize("died", [False, True])
async def test_a_charge_of_a_lost_history_is_refunded_though_its_endpoint_has_not_entered_the_epoch(
    database_url: str,
    died: bool,  # noqa: FBT001
) -> None:
    """The void comes before the first claim after the restore: what looks never tried, or dead, may have been sent."""
    async with open_outlet(database_url, declared=[charges(on_dead="skip")]) as shop:
        await shop.bind("sales.charge")
        shop.clock.ms += 1000
        (sale,) = await shop.sell()
        desk = desk_of(shop, Habits("lookup"))
        if died:
            desk.trouble = ["refused"]
            await shop.relay(desk).drain()
        (row,) = await shop.rows()
        ((key,),) = await shop.fetch("SELECT idempotency_key FROM outbox")
        desk.effects.append(Effect("charge", sale, key, shop.clock(), "", "unnoticed", None))
        shop.clock.ms += 1000
        await shop.begin_epoch()
        await shop.void(sale)
        await shop.relay(desk).drain()
        if died:
            assert await shop.states() == {"dead": 1, "in_doubt": 1}
        else:
            assert (row.state, done(desk, sale), await shop.states()) == ("pending", (1, 1), {"delivered": 2})


async def test_changes_that_take_nothing_back_are_deliveries_like_any_other(database_url: str) -> None:
    """And the void takes back all of them."""
    async with open_outlet(database_url, declared=[charges(when=by_hand)]) as shop:
        await shop.bind("sales.charge")
        (sale,) = await shop.sell()
        await shop.update(sale, note="again")
        await shop.void(sale)
        desk = desk_of(shop)
        await shop.relay(desk).drain()
        assert (desk.calls, await shop.states()) == ([], {"cancelled": 2})


@pytest.mark.parametrize(
    "terms",
    [{"supersedes": True}, {"on_dead": "supersede"}],
)
def test_money_is_never_superseded(terms: dict[str, Any]) -> None:
    """Each charge is one; declaring otherwise is refused at the start."""
    with pytest.raises(TypeError, match="nothing may supersede"):
        charges(**terms)


def test_what_cancels_needs_a_compensation() -> None:
    """Else a void of a charge that was made would do nothing."""
    with pytest.raises(TypeError, match="compensation"):
        route(cancels=voided)
