"""Settling: the fence, the write-back in the same transaction, and a lease that is taken over or given back."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import pytest

from server.inbox.observe import Observer
from server.outbox.admin import redrive
from server.outbox.claim import Claimed, Lease, Wanted, claim
from server.outbox.decide import Chance, Result, Terms, decide
from server.outbox.listing import Filter
from server.outbox.relay import Relay
from server.outbox.settle import LeaseLostError, Settler
from server.ports import Answer, Answered
from server.resilience.classify import SUCCESS
from server.storage.database import DatabaseError
from server.storage.writer import Job, Writing
from tests.outbox.outlet import SCHEDULES, Outlet, Scripted


async def take_one(outlet: Outlet, owner: str = "one") -> Claimed:
    """Claim the one delivery there is, for a minute."""
    wanted = [Wanted(outlet.tenant_id, outlet.endpoints[0], 1)]
    taken = await outlet.writer.submit(Job([], partial(claim, wanted, Lease(owner, 60_000))))
    (claimed,) = taken.deliveries
    return claimed


async def settle(outlet: Outlet, claimed: Claimed, reference: str) -> None:
    """Settle as delivered."""
    result = Result(SUCCESS, 200, reference, "request-1")
    chance = Chance(SCHEDULES, lambda: 0.5)
    settlement = decide(claimed, Terms("keyed", "skip"), result, outlet.clock.ms, chance)
    routes = {route.name: route for route in outlet.routes}
    await Settler(outlet.writer, routes, outlet.applier, lambda: 0.5).settle(claimed, settlement, result)


async def test_a_worker_that_comes_late_changes_nothing(outlet: Outlet) -> None:
    """Its settle names an old fence: row, attempt and record stay as the one who took over left them."""
    await outlet.bind()
    (sale,) = await outlet.sell()
    late = await take_one(outlet)
    outlet.clock.ms += 60_000
    taker = await take_one(outlet, owner="two")
    await settle(outlet, taker, "by-the-taker")
    before = [await outlet.rows(), await outlet.fetch("SELECT * FROM attempts ORDER BY attempt")]
    version = (await outlet.sale(sale)).version
    with pytest.raises(LeaseLostError):
        await settle(outlet, late, "too-late")
    assert [await outlet.rows(), await outlet.fetch("SELECT * FROM attempts ORDER BY attempt")] == before
    record = await outlet.sale(sale)
    assert (record.version, record.fields["forward_reference"]) == (version, "by-the-taker")


async def test_news_that_comes_again_after_a_redrive_is_told_again(outlet: Outlet) -> None:
    """In doubt, sent again by a person, dead, sent again, in doubt: the record says what is so now."""
    await outlet.bind()
    (sale,) = await outlet.sell()
    provider, said = Scripted(promise="once"), []
    for status in (503, 400, 503):
        provider.answer = lambda _call, status=status: Answer(status)  # type: ignore[misc]
        await outlet.change_rows("UPDATE outbox SET ambiguous = false")
        await redrive(outlet.writer, outlet.tenant_id, Filter(limit=1))
        await outlet.change_rows("UPDATE outbox SET ambiguous = false")
        await outlet.relay(provider).drain()
        said.append((await outlet.sale(sale)).fields["forward_status"])
    assert said == ["in_doubt", "dead", "in_doubt"]


async def test_a_late_worker_is_held_off_also_before_the_taker_is_done(outlet: Outlet) -> None:
    """The fence moved with the new lease, not with its settle."""
    await outlet.bind()
    (sale,) = await outlet.sell()
    late = await take_one(outlet)
    outlet.clock.ms += 60_000
    taker = await take_one(outlet, owner="two")
    with pytest.raises(LeaseLostError):
        await settle(outlet, late, "too-late")
    assert (await outlet.sale(sale)).fields["forward_status"] is None
    await settle(outlet, taker, "by-the-taker")
    assert (await outlet.sale(sale)).fields["forward_reference"] == "by-the-taker"


async def test_a_late_settle_does_not_disturb_those_in_its_group(outlet: Outlet) -> None:
    """It raises inside a transaction that others share; they are stored all the same."""
    await outlet.bind()
    first, second = await outlet.sell(2)
    wanted = [Wanted(outlet.tenant_id, outlet.endpoints[0], 2)]
    taken = await outlet.writer.submit(Job([], partial(claim, wanted, Lease("one", 60_000))))
    mine, lost = taken.deliveries
    stale = lost._replace(fence=lost.fence - 1)
    raised: list[str] = []

    async def settling(claimed: Claimed) -> None:
        try:
            await settle(outlet, claimed, "ok")
        except LeaseLostError:
            raised.append(claimed.delivery_id)

    async with anyio.create_task_group() as group:
        group.start_soon(settling, mine)
        group.start_soon(settling, stale)
    assert raised == [lost.delivery_id]
    told = {(await outlet.sale(sale)).fields["forward_status"] for sale in (first, second)}
    assert told == {None, "delivered"}


@dataclass
class Failing:
    """An engine that fails so often before it works."""

    inner: Any
    errors: list[DatabaseError] = field(default_factory=list)

    async def apply(self, *arguments: Any) -> Any:
        if self.errors:
            raise self.errors.pop(0)
        return await self.inner.apply(*arguments)


async def test_answer_and_row_are_stored_together_or_not_at_all(outlet: Outlet) -> None:
    """When the write-back fails, the settle is rolled back with it, and both are tried again."""
    await outlet.bind()
    (sale,) = await outlet.sell()
    claimed = await take_one(outlet)
    # Twice: the writer tries a job that failed once more by itself.
    failing = Failing(outlet.applier, [DatabaseError("away", transient=True), DatabaseError("away", transient=True)])
    settler = Settler(outlet.writer, {route.name: route for route in outlet.routes}, failing, lambda: 0.5)
    result = Result(SUCCESS, 200, "ref")
    settlement = decide(claimed, Terms("keyed", "skip"), result, outlet.clock.ms, Chance(SCHEDULES, lambda: 0.5))
    with pytest.raises(DatabaseError):
        await settler.settle(claimed, settlement, result)
    assert await outlet.states() == {"leased": 1}
    await settler.settle(claimed, settlement, result)
    assert await outlet.states() == {"delivered": 1}
    assert (await outlet.sale(sale)).fields["forward_status"] == "delivered"


async def test_a_database_that_is_away_for_a_moment_costs_no_second_call(outlet: Outlet) -> None:
    """The settle is tried again while the lease holds."""
    await outlet.bind()
    (sale,) = await outlet.sell()
    provider = Scripted()
    relay = outlet.relay(provider)
    away = [DatabaseError("away", transient=True) for _ in range(4)]
    object.__setattr__(relay._deliverer.settler, "applying", Failing(outlet.applier, away))
    object.__setattr__(relay._deliverer, "sleep", lambda _seconds: anyio.lowlevel.checkpoint())
    await relay.drain()
    assert len(provider.calls) == 1
    assert (await outlet.sale(sale)).fields["forward_status"] == "delivered"


async def test_a_dead_worker_is_followed_by_another(outlet: Outlet) -> None:
    """After the lease, not before; the same key and the same payload go out again."""
    await outlet.bind()
    (sale,) = await outlet.sell()
    dead = await take_one(outlet)
    provider = Scripted()
    outlet.clock.ms += 59_999
    await outlet.relay(provider, owner="two").drain()
    assert provider.calls == []
    outlet.clock.ms += 1
    await outlet.relay(provider, owner="two").drain()
    (call,) = provider.calls
    assert (call.idempotency_key, call.payload) == (dead.idempotency_key, dead.payload)
    assert (call.record_id, call.attempt) == (sale, 2)


async def test_what_a_dead_worker_may_have_done_once_is_in_doubt(outlet: Outlet) -> None:
    """An operation of at most one effect is not called by whoever takes over."""
    await outlet.bind()
    await outlet.sell()
    await take_one(outlet)
    outlet.clock.ms += 60_000
    provider = Scripted(promise="once")
    await outlet.relay(provider, owner="two").drain()
    assert (provider.calls, await outlet.states()) == ([], {"in_doubt": 1})


def observed(outlet: Outlet, provider: Scripted, observer: Observer) -> Relay:
    """A relay whose answers are observed, with a short lease; it does not rest between two tries to settle."""

    async def sleep(seconds: float) -> None:
        outlet.clock.ms += int(seconds * 1000)
        await anyio.lowlevel.checkpoint()

    relay = outlet.relay(provider, lease_s=5, deadline_s=1)
    relay.observing, relay.sleep = observer, sleep
    relay.__post_init__()
    return relay


@pytest.mark.parametrize("reference", ["r" * 180, "r" * 101, "conto 7", "é"])
async def test_an_answer_that_names_no_object_is_settled_like_any_other(outlet: Outlet, reference: str) -> None:
    """Too long for an object's id, or with blanks: it is kept with the delivery, and nothing is called by it."""
    await outlet.bind(scheme="standard")
    (sale,) = await outlet.sell()
    provider = Scripted(lambda _call: Answer(200, reference=reference))
    for _ in range(3):
        with anyio.move_on_after(3):
            await observed(outlet, provider, Observer(lambda: None)).drain()
        outlet.clock.ms += 5_000
    assert (len(provider.calls), await outlet.states()) == (1, {"delivered": 1})
    assert (await outlet.sale(sale)).fields["forward_reference"] == reference
    assert await outlet.fetch("SELECT key FROM identities") == []


class Unnotable(Observer):
    """An observer that breaks."""

    async def answered(self, writing: Writing, answered: Answered) -> None:
        await super().answered(writing, answered)
        raise LookupError(answered.reference)


async def test_an_answer_that_cannot_be_noted_is_settled_all_the_same(outlet: Outlet) -> None:
    """Whatever breaks there, the provider is called once."""
    await outlet.bind(scheme="standard")
    await outlet.sell()
    provider = Scripted()
    for _ in range(3):
        with anyio.move_on_after(3):
            await observed(outlet, provider, Unnotable(lambda: None)).drain()
        outlet.clock.ms += 5_000
    assert (len(provider.calls), await outlet.states()) == (1, {"delivered": 1})
