"""What comes after other records: a payment after its customer, without anybody looking twice."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any, cast

import anyio
import pytest

from server.outbox.admin import cancel, let_pass
from server.outbox.claim import Claimed, Lease, Wanted, claim
from server.outbox.lanes import AWAITED, HOLDING
from server.storage.database import Tx
from server.storage.writer import Job, Writing
from sync.collection import Fields
from tests.outbox.bank import Bank, Habits, always, route
from tests.outbox.outlet import Outlet, open_outlet
from tests.outbox.test_claim import explain
from tests.outbox.test_limits import Counting
from tests.support.shop import sale_fields

CUSTOMERS = route("customers.tell", "tell", collection="customers", when=always, write_back=lambda *_: {})


def customer_of(fields: Fields) -> list[tuple[str, str]]:
    """Whom a sale is to."""
    return [] if fields["customer_id"] is None else [("customers", fields["customer_id"])]


CHARGES = route(after=customer_of)


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Outlet]:
    """A shop whose customers and sales go to one account."""
    async with open_outlet(database_url, declared=[CUSTOMERS, CHARGES]) as opened:
        await bound(opened)
        yield opened


async def bound(shop: Outlet) -> None:
    """One account for both routes."""
    endpoint = await shop.bind("customers.tell")
    await shop.lead("sales.charge", endpoint)


def desk_of(shop: Outlet) -> Bank:
    """A bank that does both."""
    return Bank(shop.clock, tell=Habits("keyed"), charge=Habits("keyed"))


def customer(shop: Outlet, record_id: str, op: str = "create", **fields: Any) -> dict[str, Any]:
    """A mutation of a customer."""
    told = {"name": "Ada", **fields} if op == "create" else fields
    return {"uid": shop.new_id(), "op": op, "collection": "customers", "record_id": record_id, "fields": told}


def sale(shop: Outlet, customer_id: str, number: int = 1) -> dict[str, Any]:
    """A sale to a customer."""
    fields = sale_fields(number, customer_id=customer_id)
    return {"uid": shop.new_id(), "op": "create", "collection": "sales", "record_id": shop.new_id(), "fields": fields}


async def met_and_sold(shop: Outlet, sales: int = 1) -> tuple[str, list[str]]:
    """A customer and sales to them, in one push; their ids."""
    who = shop.new_id()
    sold = [sale(shop, who, number) for number in range(1, sales + 1)]
    assert set(await shop.push(customer(shop, who), *sold, role="clerk")) == {"applied"}
    return who, [one["record_id"] for one in sold]


async def take(shop: Outlet) -> list[Claimed]:
    """Claim what is due, for a minute."""
    wanted = [Wanted(shop.tenant_id, shop.endpoints[0], 8)]
    return (await shop.writer.submit(Job([], partial(claim, wanted, Lease("one", 60_000))))).deliveries


def order(desk: Bank) -> list[str]:
    """Operations in the order of their effects."""
    return [one.operation for one in desk.effects]


async def test_a_payment_waits_for_its_customer_and_goes_at_once_when_it_may(shop: Outlet) -> None:
    """Also of one push; with the clock standing still, only the settle brings it back."""
    await met_and_sold(shop, sales=3)
    desk = desk_of(shop)
    await shop.relay(desk).drain()
    assert order(desk) == ["tell", "charge", "charge", "charge"]


async def test_it_waits_while_its_customer_fails_and_says_for_whom(shop: Outlet) -> None:
    """Parked: it is not claimed again and again; others go on."""
    who, (waiting,) = await met_and_sold(shop)
    desk = desk_of(shop)
    desk.trouble = ["down"]
    await shop.relay(desk).drain()
    (free,) = await shop.sell()
    await shop.relay(desk).drain()
    assert [desk.done("charge", one) for one in (waiting, free)] == [0, 1]
    (row,) = await shop.rows(record_id=waiting)
    assert (row.state, row.attempts, row.waits_for) == ("pending", 0, f"customers/{who}")
    assert row.next_attempt_at > "2025-11-24T16:09"
    shop.clock.ms += 2_000
    await shop.relay(desk).drain()
    assert desk.done("charge", waiting) == 1
    assert [one.waits_for for one in await shop.rows(record_id=waiting)] == [None]


@pytest.mark.parametrize(("on_dead", "charged"), [("block", 0), ("skip", 1)])
async def test_a_dead_customer_holds_payments_by_its_routes_policy(
    database_url: str, on_dead: str, charged: int
) -> None:
    """Under `block` it waits until a person lets it pass, and shows why."""
    declared = [replace(CUSTOMERS, on_dead=cast("Any", on_dead)), CHARGES]
    async with open_outlet(database_url, declared=declared) as shop:
        await bound(shop)
        who, (waiting,) = await met_and_sold(shop)
        desk = desk_of(shop)
        desk.trouble = ["refused"]
        await shop.relay(desk).drain()
        assert desk.done("charge", waiting) == charged
        if on_dead == "block":
            (row,) = await shop.rows(record_id=waiting)
            assert row.waits_for == f"customers/{who}"
            (dead,) = await shop.rows(states=["dead"])
            await let_pass(shop.writer, shop.tenant_id, dead.delivery_id)
            await shop.relay(desk).drain()
            assert desk.done("charge", waiting) == 1


async def test_a_cancelled_one_lets_go(shop: Outlet) -> None:
    """Nobody waits for what will not be sent."""
    who, (waiting,) = await met_and_sold(shop)
    desk = desk_of(shop)
    (told,) = await shop.rows(record_id=who)
    await cancel(shop.writer, shop.tenant_id, told.delivery_id)
    await shop.relay(desk).drain()
    assert order(desk) == ["charge"]
    assert desk.done("charge", waiting) == 1


async def test_what_comes_later_is_not_waited_for(shop: Outlet) -> None:
    """Else two records that are changed in turn could wait for each other."""
    who, (waiting,) = await met_and_sold(shop)
    desk = desk_of(shop)
    desk.trouble = ["down"]
    await shop.relay(desk).drain()
    await shop.push(customer(shop, who, "update", note="lies"), role="clerk")
    shop.clock.ms += 2_000
    relay = shop.relay(desk, per_endpoint=1, parallel=1)
    await relay._deliverer.deliver((await take(shop))[0])
    assert order(desk) == ["tell"]
    due = {one.record_id for one in await take(shop)}
    assert due == {who, waiting}


async def test_a_superseded_one_is_waited_for_in_its_newer_one(database_url: str) -> None:
    """Its content is not there yet, so its dependants have nothing to go on."""
    async with open_outlet(database_url, declared=[replace(CUSTOMERS, supersedes=True), CHARGES]) as shop:
        await bound(shop)
        who, (waiting,) = await met_and_sold(shop)
        await shop.push(customer(shop, who, "update", note="newer"), role="clerk")
        desk = desk_of(shop)
        desk.trouble = ["down"]
        await shop.relay(desk).drain()
        assert [row.state for row in await shop.rows(record_id=who)] == ["superseded", "pending"]
        assert desk.done("charge", waiting) == 0
        shop.clock.ms += 2_000
        await shop.relay(desk).drain()
        assert order(desk) == ["tell", "charge"]


async def test_what_was_delivered_before_is_not_waited_for(shop: Outlet) -> None:
    """Nor a record that was never sent at all."""
    who = shop.new_id()
    await shop.push(customer(shop, who), role="clerk")
    desk = desk_of(shop)
    await shop.relay(desk).drain()
    await shop.push(sale(shop, who), role="clerk")
    ((after,),) = await shop.fetch("SELECT after FROM outbox WHERE collection = 'sales'")
    assert after is None
    await shop.relay(desk).drain()
    assert order(desk) == ["tell", "charge"]


async def test_a_claim_asks_about_others_once_for_all_and_by_index(shop: Outlet) -> None:
    """One statement more where rows come after others, none where they do not; none reads the table through."""
    who, _ = await met_and_sold(shop, sales=5)

    async def job(writing: Writing) -> int:
        counting = Counting(writing.tx)
        wanted = [Wanted(shop.tenant_id, shop.endpoints[0], 8)]
        taken = await claim(wanted, Lease("one", 30_000), replace(writing, tx=cast("Tx", counting)))
        assert [one.record_id for one in taken.deliveries] == [who]
        return counting.statements

    assert await shop.writer.submit(Job([], job)) == 5 + 3  # those awaited; parked; and for whom
    wanted = json.dumps([{"id": shop.endpoints[0], "collection": "customers", "record_id": who, "sequence": 1}])
    named = {"tenant_id": shop.tenant_id, "endpoint_id": shop.endpoints[0], "wanted": wanted}
    for statement in (AWAITED, HOLDING):
        plan = await explain(shop, statement, named)
        assert any("ix_outbox_lane" in line for line in plan), plan


async def test_whom_rows_wait_for_is_found_record_by_record(shop: Outlet) -> None:
    """However much else of the account holds, none of it is read."""
    named = {"tenant_id": shop.tenant_id, "endpoint_id": shop.new_id(), "wanted": "[]"}
    plan = await explain(shop, AWAITED, named)
    first = next(place for place, line in enumerate(plan) if re.search("json_each|json_to_recordset", line))
    held = next(line for line in plan[first:] if re.search("SEARCH o |Index Cond", line))
    assert re.search(r"record_id ?= ?(\?|w\.record_id)", held), plan


@pytest.mark.postgres
async def test_a_settle_finds_what_is_just_being_parked(postgres_url: str) -> None:
    """On PostgreSQL the two would miss each other, and the payment wait for ten minutes."""
    declared = [CUSTOMERS, CHARGES]
    async with (
        open_outlet(postgres_url, declared=declared) as shop,
        open_outlet(postgres_url, seed=2, declared=declared) as other,
    ):
        await bound(shop)
        await met_and_sold(shop)
        wanted = [Wanted(shop.tenant_id, shop.endpoints[0], 1)]

        desk = desk_of(shop)
        (told,) = await take(shop)  # the payment is parked now
        brought = anyio.Event()

        async def park(writing: Writing) -> None:
            await claim(wanted, Lease("two", 60_000), writing)
            settled.start_soon(settle)
            await anyio.sleep(0.2)  # time enough to come to the row that is held here

        async def settle() -> None:
            await shop.relay(desk)._deliverer.deliver(told)
            brought.set()

        parked = "UPDATE outbox SET next_attempt_at = created_at, waits_for = NULL WHERE state = 'pending'"
        await shop.change_rows(parked)
        async with anyio.create_task_group() as settled:
            await other.writer.submit(Job([], park))
            await brought.wait()
        ((due,),) = await shop.fetch("SELECT next_attempt_at FROM outbox WHERE collection = 'sales'")
        assert due < "2025-11-24T16:01"
