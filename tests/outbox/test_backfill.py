"""A binding that begins with what was there before: in batches, by a job that survives, and each record once."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import anyio
import pytest

from server.outbox.backfill import OPEN, Backfilling
from server.outbox.binding import Binding, bind, list_bindings
from server.outbox.listing import OutboxError
from server.ports import Route
from server.storage.database import DatabaseError
from server.storage.writer import Job
from sync.clock import encode_instant
from sync.collection import Fields
from tests.outbox.bank import Bank, Habits, by_hand, route
from tests.outbox.conftest import Logged
from tests.outbox.outlet import Outlet, open_outlet
from tests.support.shop import TIMESTAMP, sale_fields

BATCH = 10
MIRROR = route("sales.mirror", "change", create="make", when=by_hand)


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Outlet]:
    """A shop with an account that nothing is sent to yet."""
    async with open_outlet(database_url, declared=[MIRROR, route()]) as opened:
        await opened.bind("sales.charge")
        yield opened


def worker(shop: Outlet) -> Backfilling:
    """A process's worker."""
    return Backfilling(shop.database, shop.writer, shop.registry, shop.routes, batch=BATCH)


async def owed(shop: Outlet, **terms: Any) -> str:
    """Bind the mirror with what was there before."""
    routes: Mapping[str, Route] = {one.name: one for one in shop.routes}
    await bind(shop.writer, routes, (shop.tenant_id, shop.endpoints[0]), "sales.mirror", **terms)
    return shop.endpoints[0]


def desk_of(shop: Outlet) -> Bank:
    """A mirror."""
    return Bank(shop.clock, make=Habits("keyed"), change=Habits("keyed"), charge=Habits("keyed"))


async def finished(shop: Outlet, desk: Bank) -> None:
    """Work and deliver until nothing is left."""
    relay = shop.relay(desk)
    for _ in range(100):
        is_busy = await worker(shop).once()
        await relay.drain()
        if not is_busy:
            return
    pytest.fail("it never ends")


async def test_what_was_there_is_delivered_once_in_batches(shop: Outlet) -> None:
    """As it stands now, whole; never more waits at the account than two batches."""
    sales = await shop.sell(2 * BATCH + 3)
    await shop.relay(desk_of(shop)).drain()
    endpoint = await owed(shop, start="backfill")
    desk = desk_of(shop)
    assert await worker(shop).once()
    assert len(await shop.rows(states=["pending"])) == BATCH
    await finished(shop, desk)
    assert sorted(one.record_id for one in desk.effects) == sorted(sales)
    assert {one.operation for one in desk.effects} == {"make"}
    listed = {one.route: one for one in await list_bindings(shop.database, shop.tenant_id)}
    assert (listed["sales.mirror"].endpoint_id, listed["sales.mirror"].backfilled) == (endpoint, len(sales))
    assert listed["sales.mirror"].backfill_ended_at is not None
    assert listed["sales.charge"] == Binding("sales.charge", endpoint, None, None, 0)


async def test_from_now_on_sends_nothing_of_before(shop: Outlet) -> None:
    """The default of a route that does not say otherwise."""
    await shop.sell()
    await owed(shop)
    assert not await worker(shop).once()
    desk = desk_of(shop)
    await shop.relay(desk).drain()
    assert [one.operation for one in desk.effects] == ["charge"]


async def test_what_changed_since_the_binding_is_not_sent_again_from_before(shop: Outlet) -> None:
    """Its change carries the whole record, and is newer; what is sold meanwhile goes as it always does."""
    changed, still = await shop.sell(2)
    await owed(shop, start="backfill")
    await shop.update(changed, note="prima")
    (new,) = await shop.sell()
    desk = desk_of(shop)
    await finished(shop, desk)
    told = [(one.operation, one.record_id) for one in desk.effects if one.operation != "charge"]
    assert sorted(told) == sorted([("make", changed), ("make", new), ("make", still)])


async def test_a_record_that_changed_before_its_turn_is_created_all_the_same(shop: Outlet) -> None:
    """The other side has nothing to change yet: its first delivery is the create, those after it are changes."""
    changed, edited_twice = await shop.sell(2)
    await owed(shop, start="backfill")
    await shop.update(changed, note="prima")
    await shop.push(
        *(
            {"uid": shop.new_id(), "op": "update", "collection": "sales", "record_id": edited_twice,
             "fields": {"note": note}}
            for note in ("una", "due")
        )
    )  # fmt: skip
    desk = desk_of(shop)
    await finished(shop, desk)
    await shop.update(changed, note="dopo")
    await finished(shop, desk)
    told = [(one.operation, one.record_id) for one in desk.effects if one.operation != "charge"]
    assert [operation for operation, record_id in told if record_id == changed] == ["make", "change"]
    assert [operation for operation, record_id in told if record_id == edited_twice] == ["make", "change"]


async def test_once_a_backfill_has_ended_a_change_is_a_change(shop: Outlet) -> None:
    """A record whose delivery was tidied away long ago is not created a second time."""
    (old,) = await shop.sell()
    await owed(shop, start="backfill")
    await finished(shop, desk_of(shop))
    await shop.change_rows("DELETE FROM attempts")
    await shop.change_rows("DELETE FROM outbox")
    await shop.update(old, note="dopo")
    assert [row.operation for row in await shop.rows()] == ["change"]


async def test_a_crash_between_two_batches_repeats_nothing(shop: Outlet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch and how far it came are one transaction; the next process goes on from there."""
    sales = await shop.sell(BATCH + 5)
    await shop.relay(desk_of(shop)).drain()
    await owed(shop, start="backfill")
    submit, jobs = shop.writer.submit, 0

    async def failing(job: Job[Any]) -> Any:
        nonlocal jobs
        jobs += 1
        if jobs == 2:
            raise DatabaseError("away", transient=True)
        return await submit(job)

    with monkeypatch.context() as patched:
        patched.setattr(shop.writer, "submit", failing)
        with pytest.raises(DatabaseError):
            await worker(shop).once()
    desk = desk_of(shop)
    await finished(shop, desk)
    assert sorted(call.record_id for _, call in desk.calls) == sorted(sales)


async def test_a_backfill_that_goes_on_after_a_rewind_is_doubted(database_url: str) -> None:
    """What it makes now it may have made, and sent, in the history that is lost; under the same key."""
    async with open_outlet(database_url, declared=[MIRROR]) as shop:
        (sale,) = await shop.sell()
        shop.endpoints.append(await shop.bind("sales.mirror"))
        await owed(shop, start="backfill")
        desk = Bank(shop.clock, make=Habits("lookup"), change=Habits("keyed"))
        await finished(shop, desk)
        await shop.change_rows("DELETE FROM attempts")
        await shop.change_rows("DELETE FROM outbox")
        await shop.change_rows("UPDATE backfills SET done_through = NULL, ended_at = NULL")
        shop.clock.ms += 1000
        await shop.begin_epoch()
        await finished(shop, desk)
        assert (desk.done("make", sale), len(desk.looks)) == (1, 1)


async def test_a_backfill_that_is_begun_again_after_a_rewind_is_doubted(shop: Outlet) -> None:
    """The lost history bound the route and sent everything; only what was made later cannot have been sent there."""
    sales = await shop.sell(2)
    desk = Bank(shop.clock, make=Habits("lookup"), change=Habits("keyed"), charge=Habits("keyed"))
    await shop.relay(desk).drain()
    await owed(shop, start="backfill")
    await finished(shop, desk)
    assert desk.looks == []
    for table in ("attempts", "outbox", "backfills"):
        await shop.change_rows(f"DELETE FROM {table}")  # noqa: S608  # our own words
    await shop.change_rows("DELETE FROM bindings WHERE route = :route", "sales.mirror")
    shop.clock.ms += 1000
    await shop.begin_epoch()
    shop.clock.ms += 600_000
    made_at = encode_instant(shop.clock())
    new = shop.new_id()
    fields = sale_fields(9)
    await shop.push({"uid": shop.new_id(), "op": "create", "collection": "sales", "record_id": new,
                     "fields": fields, "timestamp": made_at})  # fmt: skip
    await owed(shop, start="backfill")
    await finished(shop, desk)
    assert {one: desk.done("make", one) for one in (*sales, new)} == dict.fromkeys((*sales, new), 1)
    assert {call.record_id for _, call in desk.looks} == set(sales)


async def test_what_would_be_too_late_is_left_out(database_url: str) -> None:
    """Old charges do not die one by one in front of a person."""
    declared = [route("sales.mirror", "make", not_after_s=3600)]
    async with open_outlet(database_url, declared=declared) as shop:
        await shop.sell()  # at ten by its till, and it is four in the afternoon
        await shop.bind("sales.mirror")
        await owed(shop, start="backfill")
        assert not await worker(shop).once()
        assert await shop.rows() == []
        assert TIMESTAMP < "2025-11-24T15:00"


async def test_a_backfill_whose_binding_or_route_is_gone_ends(shop: Outlet) -> None:
    """Nobody waits for it for ever."""
    await shop.sell()
    await owed(shop, start="backfill")
    await shop.change_rows("DELETE FROM bindings WHERE route = :route", "sales.mirror")
    assert not await worker(shop).once()
    assert list(await shop.fetch("SELECT made FROM backfills WHERE ended_at IS NOT NULL")) != []


def stumbles(_before: Fields | None, _after: Fields) -> bool:
    """A route whose rule does not bear a record of long ago."""
    raise KeyError("note")


async def test_a_backfill_that_cannot_go_on_holds_up_no_other(database_url: str, logged: Logged) -> None:
    """It is told by name, and tried again; the worker lives on."""
    copied = route("sales.copied", "change", create="make", when=by_hand)
    async with open_outlet(database_url, declared=[MIRROR, copied, route()]) as shop:
        await shop.bind("sales.charge")
        await shop.sell()
        await owed(shop, start="backfill")
        shop.clock.ms += 1
        at = (shop.tenant_id, shop.endpoints[0])
        await bind(shop.writer, {copied.name: copied}, at, copied.name, start="backfill")
        rested = anyio.Event()

        async def sleep(_seconds: float) -> None:
            rested.set()
            await anyio.sleep_forever()

        routes = [replace(MIRROR, when=stumbles), copied]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Backfilling(shop.database, shop.writer, shop.registry, routes, sleep).run)
            await rested.wait()
            tasks.cancel_scope.cancel()
        assert [list(row) for row in await shop.fetch("SELECT route, made FROM backfills ORDER BY route")] == [
            ["sales.copied", 1],
            ["sales.mirror", 0],
        ]
        (told,) = [entry for entry in logged if entry["event"] == "backfill_stuck"]
        assert (told["route"], told["alarm"]) == ("sales.mirror", True)


async def test_any_number_of_stuck_backfills_keeps_out_none(shop: Outlet) -> None:
    """Those begun later are found, too."""
    for place in range(101):
        await shop.change_rows(
            """INSERT INTO backfills (tenant_id, route, endpoint_id, begun_at, made)
               VALUES (:tenant_id, :route, :endpoint_id, '2025-01-01T00:00:00.000Z', 0)""",
            *(shop.tenant_id, f"sales.{place}", shop.endpoints[0]),
        )
    await owed(shop, start="backfill")
    assert "sales.mirror" in {row[1] for row in await shop.fetch(OPEN.sql("sqlite"))}


@pytest.mark.parametrize(("name", "code"), [("sales.nowhere", "unknown_route"), ("sales.mirror", "unknown_endpoint")])
async def test_what_cannot_be_bound_is_refused(shop: Outlet, name: str, code: str) -> None:
    """With a word for why."""
    routes = {one.name: one for one in shop.routes}
    with pytest.raises(OutboxError) as refused:
        await bind(shop.writer, routes, (shop.tenant_id, shop.new_id()), name)
    assert refused.value.code == code


def test_open_backfills_are_looked_for_across_tenants() -> None:
    """One small query for all of them."""
    assert "across tenants" in OPEN.sql("sqlite")
