"""Fetches take from their endpoint's gate: its rate, its breaker, its places, its deadline, and what it asked for."""

from dataclasses import replace
from functools import partial
from typing import Any, cast

import anyio
import pytest

from server.inbox.claim import Lease, Wanted, claim
from server.ports import Answer, Fetched, WebhookEvent
from server.storage.database import Tx
from server.storage.writer import Job, Writing
from sync.clock import decode_instant, encode_instant
from tests.inbox.mailroom import POS_SECRET, Mailroom, sale, scripted, submit_claim
from tests.inbox.scripted import Scripted, answering
from tests.outbox.test_limits import Counting

POS = {"secret": POS_SECRET}
QUICK: dict[str, Any] = {"breaker_failures": 3, "breaker_pause": 2, "breaker_cap": 60}


async def told(room: Mailroom, count: int, **settings: Any) -> Scripted:
    """An endpoint with such limits, and so many events that are to be fetched."""
    address = await room.add("scripted", settings, {})
    for number in range(count):
        await room.tell(address, f"e{number}", f"Rossi {number}")
    return scripted(room)


async def gate(room: Mailroom) -> tuple[str, int]:
    """The breaker's state, and when the gate is ready, in milliseconds since 1970."""
    ((state, ready_ms),) = await room.fetch("SELECT state, ready_ms FROM gates")
    return state, ready_ms


async def opened(room: Mailroom, count: int, **limits: Any) -> Scripted:
    """An endpoint whose breaker just opened by fetches that failed, with events left to fetch."""
    source = await told(room, count, **{**QUICK, **limits})
    source.fetching = answering(503)
    await room.processor(per_endpoint=3).drain()
    assert (await gate(room))[0] == "open"
    return source


async def test_fetches_go_out_at_the_rate_whoever_fetches(room: Mailroom) -> None:
    """Two processes share it; nothing is tried in vain, and nothing waits longer than it must."""
    source = await told(room, 12, rate=10, burst=1)
    times: list[int] = []

    def fetch(_event: WebhookEvent) -> None:
        times.append(room.shop.clock.ms)

    source.fetching = fetch
    processors = [room.processor(), room.processor(owner="two")]
    for _ in range(12):
        for processor in processors:
            await processor.drain()
        room.shop.clock.ms += 100
    assert [at - times[0] for at in times] == [place * 100 for place in range(12)]
    assert {event.attempts for event in await room.events()} == {1}


async def test_what_says_everything_waits_for_no_gate(room: Mailroom) -> None:
    """Nobody is asked: neither a rate, nor a breaker, nor a wish to be left alone holds it up."""
    address = await room.add("pos", {"shop": "centro", "scheme": "standard", "rate": 1, "burst": 1}, POS)
    await room.execute("UPDATE endpoints SET not_before = :until", encode_instant(room.shop.clock() + 60_000))
    for number in range(5):
        await room.sell(address, sale(number), f"msg_{number}")
    await room.processor().drain()
    assert await room.states() == {"done": 5}
    assert await room.fetch("SELECT state FROM gates") == []


async def test_an_open_breaker_puts_fetches_off_and_costs_no_attempt(room: Mailroom) -> None:
    """After its pause one fetch shows that it works again, and the others follow."""
    source = await opened(room, 10)
    _, ready_ms = await gate(room)
    assert len(source.fetched) == 3
    room.shop.clock.ms = ready_ms - 1
    await room.processor().drain()
    assert len(source.fetched) == 3
    assert sum(event.attempts for event in await room.events()) == 3
    room.shop.clock.ms = ready_ms
    release, under_way = anyio.Event(), len(source.fetched) + 1

    async def slow(_event: WebhookEvent) -> Fetched | None:
        await release.wait()
        return Fetched(Answer(200), b"{}")

    source.fetching = slow
    async with anyio.create_task_group() as tasks:
        for owner in ("one", "two"):
            tasks.start_soon(room.processor(owner=owner).drain)
        while len(source.fetched) < under_way:
            await anyio.lowlevel.checkpoint()
        for owner in ("three", "four"):
            await room.processor(owner=owner).drain()
        assert len(source.fetched) == under_way
        release.set()
    await room.pass_time(60)
    await room.processor().drain()
    assert (await gate(room))[0] == "closed"
    assert await room.states() == {"done": 10}


async def test_a_probe_that_was_not_made_frees_its_place(room: Mailroom) -> None:
    """The event was given back as its process stopped, or needed no fetch: the next one is the probe at once."""
    source = await opened(room, 10)
    _, room.shop.clock.ms = await gate(room)
    wanted = [Wanted(room.shop.tenant_id, room.endpoints["scripted"], 5, fetches=True)]
    (probe,) = await submit_claim(room, wanted, Lease("one", 30_000, 5))
    assert await submit_claim(room, wanted, Lease("two", 30_000, 5)) == []
    await room.processor()._worker.ender.release(probe, room.shop.clock())
    source.fetching = lambda _event: None
    await room.processor().drain()
    assert await room.states() == {"done": 10}  # each as the one probe, and none of them asked anybody
    assert (await gate(room))[0] != "closed"


async def test_a_breaker_that_a_fetch_closes_is_told_to_all(room: Mailroom) -> None:
    """To this process's other workers at once, elsewhere as a change of the tenant's."""
    source, heard = await opened(room, 5), list[str]()
    _, room.shop.clock.ms = await gate(room)
    source.fetching = answering(200)
    processor = room.processor()
    processor.opened = partial(heard.append, "opened")
    processor.__post_init__()
    ((before,),) = await room.fetch("SELECT revision FROM tenants")
    await processor.drain()
    ((after,),) = await room.fetch("SELECT revision FROM tenants")
    assert (heard, after - before) == (["opened"], 1)


async def test_a_row_somebody_died_with_waits_for_its_breaker_and_holds_up_no_other(room: Mailroom) -> None:
    """Such rows are taken before all others, alone: but not where nobody may call."""
    source = await opened(room, 4)
    await room.execute(
        "UPDATE inbox SET state = 'leased', next_attempt_at = :now WHERE event_id = 'e3'",
        encode_instant(room.shop.clock()),
    )
    await room.sell(await room.add_pos(), sale())
    await room.processor().drain()
    assert len(await room.records("sales")) == 1
    assert len(source.fetched) == 3
    _, room.shop.clock.ms = await gate(room)
    source.fetching = answering(200)
    await room.processor().drain()
    assert source.fetched[3] == "e3"
    assert (await gate(room))[0] == "closed"


async def test_what_was_claimed_before_retry_after_was_heard_is_not_fetched(room: Mailroom) -> None:
    """Its lease is given back, it counts as no attempt, and waits as long as the others."""
    source = await told(room, 2)
    source.fetching = answering(429, retry_after="30")
    wanted = [Wanted(room.shop.tenant_id, room.endpoints["scripted"], 2, fetches=True)]
    processor = room.processor()
    for claimed in await submit_claim(room, wanted, Lease("one", 60_000, 5)):
        await processor._worker.process(claimed)
    asked, spared = sorted(await room.events(), key=lambda event: -event.attempts)
    assert (len(source.fetched), asked.attempts, spared.attempts, spared.state) == (1, 1, 0, "pending")
    assert decode_instant(spared.next_attempt_at) == room.shop.clock() + 30_001


async def test_an_endpoint_has_as_many_fetches_under_way_as_it_says(lite_room: Mailroom) -> None:
    """In each process, over any number of claims."""
    source, busy, most = await told(lite_room, 20, concurrency=2), 0, 0

    async def slow(_event: WebhookEvent) -> Fetched | None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        busy -= 1
        return None

    source.fetching = slow
    await lite_room.processor().drain()
    assert (await lite_room.states(), most) == ({"done": 20}, 2)


async def test_an_endpoint_may_have_a_shorter_deadline_of_its_own(lite_room: Mailroom) -> None:
    """For all of an attempt."""
    source = await told(lite_room, 1, deadline=0.02)

    async def never(_event: WebhookEvent) -> Fetched | None:
        await anyio.sleep_forever()
        raise AssertionError

    source.fetching = never
    with anyio.fail_after(20):
        await lite_room.processor().drain()
    event = await lite_room.event()
    assert (event.state, event.error, event.failures) == ("pending", "deadline", 1)


@pytest.mark.parametrize(("limits", "statements"), [({}, 3), ({"rate": 100}, 5), ({"rate": 100, "window_limit": 9}, 5)])
async def test_a_claim_costs_two_statements_more_with_limits_and_none_without(
    room: Mailroom, limits: dict[str, Any], statements: int
) -> None:
    """Endpoint, candidates, leases; and where there is a gate, its lock and its new state."""
    await told(room, 3, **limits)
    wanted = [Wanted(room.shop.tenant_id, room.endpoints["scripted"], 1, fetches=True)]
    await submit_claim(room, wanted, Lease("one", 30_000, 5))
    room.shop.clock.ms += 1000

    async def job(writing: Writing) -> int:
        counting = Counting(writing.tx)
        taken = await claim(wanted, Lease("one", 30_000, 5), replace(writing, tx=cast("Tx", counting)))
        assert len(taken.events) == 1
        return counting.statements

    assert await room.shop.writer.submit(Job([], job)) == statements
