"""A call that was declared to last long keeps its lease, and ends where it cannot."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import anyio
import pytest

from server.outbox.claim import Lease, Wanted, claim
from server.storage.database import DatabaseError
from server.storage.writer import Job
from sync.clock import decode_instant
from tests.outbox.bank import Bank, Effect, Habits, route
from tests.outbox.conftest import Logged
from tests.outbox.outlet import Outlet, open_outlet

LEASE_MS = 600
SHORT: dict[str, Any] = {"lease_s": LEASE_MS / 1000, "deadline_s": 0.05}


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Outlet]:
    """A shop with a sale to charge."""
    async with open_outlet(database_url, declared=[route()]) as opened:
        await opened.bind("sales.charge")
        await opened.sell()
        yield opened


def slow(shop: Outlet, deadline_s: float | None = 60) -> Bank:
    """A bank that may take a minute for a charge."""
    return Bank(shop.clock, charge=Habits("once", deadline_s=deadline_s))


async def leased_until_ms(shop: Outlet) -> int:
    """The end of the one lease there is."""
    ((until,),) = await shop.fetch("SELECT leased_until FROM outbox")
    return decode_instant(until)


async def test_a_long_call_keeps_its_lease(shop: Outlet) -> None:
    """It lasts longer than two leases; another relay finds nothing to take over, and one effect is had."""
    desk = slow(shop)
    other = shop.relay(desk, owner="two", **SHORT)

    async def two_leases() -> None:
        for _ in range(7):
            shop.clock.ms += LEASE_MS // 3
            while await leased_until_ms(shop) <= shop.clock.ms + 2 * LEASE_MS // 3:
                await anyio.sleep(0.005)
            await other._round(group)

    desk.during = two_leases
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            await shop.relay(desk, **SHORT).drain()
    assert await shop.states() == {"delivered": 1}
    assert (len(desk.calls), len(desk.effects)) == (1, 1)


async def test_a_call_whose_lease_was_taken_over_is_cut_off(shop: Outlet, logged: Logged) -> None:
    """Its owner was thought dead: what it brings counts for nothing, so it ends as soon as that is known."""
    desk = slow(shop)

    async def taken_over() -> None:
        await shop.change_rows("UPDATE outbox SET fence = fence + 1, lease_owner = 'two'")
        await anyio.sleep_forever()

    desk.during = taken_over
    with anyio.fail_after(20):
        relay = shop.relay(desk, **SHORT)
        async with anyio.create_task_group() as group:
            await relay._round(group)
    assert desk.effects == []
    assert {"call_cut_off", "lease_lost"} <= {entry["event"] for entry in logged}
    assert await shop.states() == {"leased": 1}


async def test_a_call_whose_lease_cannot_be_renewed_ends_before_it(
    shop: Outlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is away for longer than the lease: at its end somebody else may send."""
    desk = slow(shop)
    submit = shop.writer.submit

    async def away(_job: object) -> None:
        shop.clock.ms += LEASE_MS // 3
        raise DatabaseError("away", transient=True)

    async def database_away() -> None:
        monkeypatch.setattr(shop.writer, "submit", away)
        try:
            await anyio.sleep_forever()
        finally:
            monkeypatch.setattr(shop.writer, "submit", submit)

    desk.during = database_away
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            await shop.relay(desk, **SHORT)._round(group)
    assert desk.effects == []
    assert await shop.states() == {"in_doubt": 1}


async def test_what_a_renewed_call_did_is_looked_for_no_sooner_than_the_lag_after_its_end(shop: Outlet) -> None:
    """Its relay died under it, long after the length of a lease: the effect is as young as the call may have been."""
    desk = Bank(shop.clock, charge=Habits("lookup", lag_s=120, deadline_s=900))
    wanted = [Wanted(shop.tenant_id, shop.endpoints[0], limit=1)]
    taken = await shop.writer.submit(Job([], partial(claim, wanted, Lease("dead", 600_000))))
    shop.clock.ms += 599_000
    (call,) = taken.deliveries
    desk.effects.append(Effect("charge", call.record_id, call.idempotency_key, shop.clock(), "", "late", None))
    shop.clock.ms += 2_000
    for ms in (0, 419_000, 1_000):
        assert desk.looks == []
        shop.clock.ms += ms
        await shop.relay(desk).drain()
        assert desk.calls == []
    assert (len(desk.effects), len(desk.looks), await shop.states()) == (1, 1, {"delivered": 1})


async def test_an_ordinary_call_ends_at_the_relays_deadline(shop: Outlet) -> None:
    """Well before its lease; nothing is renewed for it."""
    desk = slow(shop, deadline_s=None)
    desk.during = anyio.sleep_forever
    with anyio.fail_after(20):
        await shop.relay(desk, **SHORT).drain()
    (row,) = await shop.rows()
    assert (row.state, row.error) == ("in_doubt", "deadline")
