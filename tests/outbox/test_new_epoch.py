"""A new epoch: what an endpoint waits for, and what is thought of its deliveries before any is sent."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import anyio
import pytest

from server.inbox.accounts import Address
from server.inbox.turn import Turn, TurnEnd, claim_turn, finish_turn
from server.outbox.admin import cancel, redrive
from server.outbox.claim import Lease, claim
from server.outbox.due import due_endpoints
from server.outbox.listing import Filter, OutboxError
from server.ports import Account
from server.resilience.classify import SUCCESS, Classified
from server.resilience.contacts import Contacts
from server.resilience.entry import Look
from server.storage.writer import Job
from sync.protocol import Mutation
from tests.outbox.bank import Bank, Effect, Habits, by_hand, route
from tests.outbox.conftest import Logged
from tests.outbox.outlet import Outlet, open_outlet

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Outlet]:
    """A shop whose sales are charged, at an account that was there before."""
    async with open_outlet(database_url, declared=[route()]) as opened:
        await opened.bind("sales.charge")
        opened.clock.ms += 1000
        yield opened


async def sent_unnoticed(shop: Outlet, bank: Bank, operation: str = "charge") -> list[str]:
    """Every waiting row took effect in a history that nobody here knows of; their records."""
    keys = await shop.fetch("SELECT record_id, idempotency_key FROM outbox WHERE state = 'pending'")
    for record_id, key in keys:
        bank.effects.append(Effect(operation, record_id, key, shop.clock(), "", "unnoticed", None))
    return [record_id for record_id, _ in keys]


@pytest.mark.parametrize(
    ("habits", "calls", "looks", "state"),
    [
        (Habits("keyed"), 1, 0, "delivered"),
        (Habits("lookup"), 0, 1, "delivered"),
        (Habits("once"), 0, 0, "in_doubt"),
    ],
)
async def test_what_was_never_tried_here_may_have_been_sent_there(
    shop: Outlet, habits: Habits, calls: int, looks: int, state: str
) -> None:
    """The rewind is found by a running server: the rows say nothing of what happened after them."""
    desk = Bank(shop.clock, charge=habits)
    (sale,) = await shop.sell()
    await sent_unnoticed(shop, desk)
    shop.clock.ms += 1000
    await shop.begin_epoch()
    await shop.relay(desk).drain()
    assert (len(desk.calls), len(desk.looks), desk.done("charge", sale)) == (calls, looks, 1)
    assert await shop.states() == {state: 1}


async def test_nobody_cancels_what_may_have_been_sent_there(shop: Outlet) -> None:
    """Also before the endpoint enters the epoch, which it does not while it is paused or waits for its polls."""
    await shop.sell()
    shop.clock.ms += 1000
    await shop.begin_epoch()
    (row,) = await shop.rows()
    with pytest.raises(OutboxError, match="may have it"):
        await cancel(shop.writer, shop.tenant_id, row.delivery_id)
    assert await shop.states() == {"pending": 1}


async def test_a_key_that_may_be_old_is_looked_up_after_a_rewind(shop: Outlet) -> None:
    """It may have been used first when the row was made, whatever its attempts say; the lag counts from the rewind."""
    desk = Bank(shop.clock, charge=Habits("keyed", key_life_s=86_400, lag_s=600))
    (sale,) = await shop.sell()
    await sent_unnoticed(shop, desk)
    shop.clock.ms += 2 * DAY_MS
    await shop.begin_epoch()
    await shop.relay(desk).drain()
    assert (desk.calls, desk.looks) == ([], [])
    shop.clock.ms += 601_000
    await shop.relay(desk).drain()
    assert (len(desk.calls), len(desk.looks), desk.done("charge", sale)) == (0, 1, 1)
    assert await shop.states() == {"delivered": 1}


async def test_what_was_dead_is_doubted_when_a_person_redrives_it(shop: Outlet) -> None:
    """Somebody may have done so in the lost history, with success."""
    desk = Bank(shop.clock, charge=Habits("lookup"))
    desk.trouble = ["refused"]
    (sale,) = await shop.sell()
    await shop.relay(desk).drain()
    await shop.sell()
    shop.clock.ms += 1000
    await shop.begin_epoch()
    await shop.relay(desk).drain()
    keys = await shop.fetch("SELECT idempotency_key FROM outbox WHERE state = 'dead'")
    desk.effects.append(Effect("charge", sale, keys[0][0], shop.clock(), "", "unnoticed", None))
    await redrive(shop.writer, shop.tenant_id, Filter())
    await shop.relay(desk).drain()
    assert desk.done("charge", sale) == 1
    assert await shop.states() == {"delivered": 2}


async def test_what_a_person_sends_on_its_way_again_is_not_doubted_for_the_same_rewind(shop: Outlet) -> None:
    """A doubt that was answered is over."""
    desk = Bank(shop.clock, charge=Habits("once"))
    (sale,) = await shop.sell()
    shop.clock.ms += 1000
    await shop.begin_epoch()
    await shop.relay(desk).drain()
    assert await shop.states() == {"in_doubt": 1}
    await redrive(shop.writer, shop.tenant_id, Filter())
    await shop.relay(desk).drain()
    assert (await shop.states(), desk.done("charge", sale)) == ({"delivered": 1}, 1)


async def polled(shop: Outlet, *, failing: bool = False) -> None:
    """A poll of the endpoint that came to its end."""
    address = Address(shop.tenant_id, shop.endpoints[0])
    claimed = await claim_turn(shop.writer, address, lambda cursor, _since: cursor)
    assert claimed is not None
    account, poller = Account(*address, {}, {}), _Never()
    turn = Turn(address, account, "http", poller, claimed.fence, claimed.failures, "corr", claimed.is_first)
    due_ms = shop.clock() + 3_600_000
    classified = Classified("transient", "server_error") if failing else SUCCESS
    await finish_turn(shop.writer, turn, TurnEnd(classified, int(failing), due_ms), Contacts(), dice=0)


class _Never:
    """A poller whose answers are of no matter here."""

    def every_s(self, _account: Account) -> int:
        raise NotImplementedError

    async def poll(self, _account: Account, _cursor: str | None, _now_ms: int) -> Any:
        raise NotImplementedError

    def rewind(self, _account: Account, cursor: str, _since_ms: int) -> str:
        return cursor


async def test_an_endpoint_with_polls_waits_until_they_have_caught_up(shop: Outlet) -> None:
    """A poll that fails does not count, nor one of the epoch before; one that ends wakes the relay at once."""
    await polled(shop)
    await shop.sell()
    shop.clock.ms += 2 * 3_600_000
    await shop.begin_epoch()
    desk = Bank(shop.clock, charge=Habits("lookup"))
    relay = shop.relay(desk, polled=True, patience_s=86_400)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(relay.run)
            await polled(shop, failing=True)
            await shop.sell()
            await shop.relay(desk, polled=True, patience_s=86_400).drain()
            assert desk.looks == []
            shop.clock.ms += 3_600_000
            await polled(shop)
            while await shop.states() != {"delivered": 2}:
                await anyio.sleep(0.01)
            relay.stop()
    assert len(desk.looks) == 2


async def test_it_waits_for_its_polls_also_where_the_epoch_begins_between_the_look_and_the_claim(shop: Outlet) -> None:
    """What the relay saw says nothing of the epoch; what it brings along of its patience goes for every one."""
    await shop.sell()
    look = Look(shop.clock(), MINUTE_MS)
    due = await shop.database.read(partial(due_endpoints, look=look, patience=lambda _provider, _settings: MINUTE_MS))
    wanted, _ = shop.relay(Bank(shop.clock, charge=Habits("keyed")))._plan(due, shop.clock())
    await shop.begin_epoch()
    for ms, count in ((0, 0), (MINUTE_MS, 1)):
        shop.clock.ms += ms
        taken = await shop.writer.submit(Job([], partial(claim, wanted, Lease("one", MINUTE_MS))))
        assert len(taken.deliveries) == count


async def test_it_waits_no_longer_than_its_patience(shop: Outlet, logged: Logged) -> None:
    """A provider that cannot be polled must not stop the tills for good: it goes on, and calls a person."""
    await shop.sell()
    shop.clock.ms += 1000
    await shop.begin_epoch()
    desk = Bank(shop.clock, charge=Habits("keyed"))
    for ms, calls in ((0, 0), (5 * MINUTE_MS - 1, 0), (1, 1)):
        shop.clock.ms += ms
        await shop.relay(desk, polled=True, patience_s=300).drain()
        assert len(desk.calls) == calls
    (told,) = [entry for entry in logged if entry["event"] == "epoch_entered_unpolled"]
    assert (told["alarm"], told["endpoint_id"]) == (True, shop.endpoints[0])
    await shop.sell()
    await shop.relay(desk, polled=True, patience_s=300).drain()
    assert len(desk.calls) == 2


async def test_an_endpoint_that_is_made_later_waits_for_nothing(database_url: str) -> None:
    """Nothing of its can have been lost."""
    async with open_outlet(database_url, declared=[route()]) as shop:
        await shop.begin_epoch()
        shop.clock.ms += 1000
        await shop.bind("sales.charge")
        await shop.sell()
        desk = Bank(shop.clock, charge=Habits("keyed"))
        await shop.relay(desk, polled=True).drain()
        assert len(desk.calls) == 1


async def test_old_news_that_a_provider_repeats_is_doubted(database_url: str) -> None:
    """It says nothing of when it was told first; after three days nobody repeats it any more."""
    async with open_outlet(database_url, declared=[route(when=by_hand)]) as shop:
        await shop.bind("sales.charge")
        (sale,) = await shop.sell()
        desk = Bank(shop.clock, charge=Habits("once"))
        await shop.relay(desk).drain()
        shop.clock.ms += 1000
        await shop.begin_epoch()
        for ms in (DAY_MS, 2 * DAY_MS + MINUTE_MS):
            shop.clock.ms += ms
            await shop.apply(_news(shop, sale, str(ms)), "provider:pos", provider="pos")
        rows = [bool(row[0]) for row in await shop.fetch("SELECT ambiguous FROM outbox ORDER BY sequence")]
        assert rows == [False, True, False]


def _news(shop: Outlet, sale: str, note: str) -> Mutation:
    return Mutation(
        mutation_id=0, uid=shop.new_id(), op="update", collection="sales", record_id=sale,
        timestamp="2025-11-30T10:00:00.000Z", base_version=9, fields={"note": note},
    )  # fmt: skip
