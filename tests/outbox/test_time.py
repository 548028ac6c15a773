"""When it is tried again: Retry-After, backoff, the end of a schedule; with a clock that is moved by hand."""

from email.utils import formatdate
from functools import partial

import pytest

from server.outbox.claim import Lease, Wanted, claim
from server.ports import Answer, Call
from server.storage.writer import Job
from sync.clock import decode_instant
from tests.outbox.outlet import Outlet, Scripted


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_never_undercut_by_any_delivery(outlet: Outlet, form: str) -> None:
    """One 429 keeps all of an endpoint's deliveries back, until the last millisecond; another endpoint goes on."""
    slow, quick = await outlet.bind(), await outlet.bind()
    await outlet.sell(20)
    begun_ms = outlet.clock.ms
    due_ms = begun_ms + 120_000
    provider = Scripted()

    def throttling(call: Call) -> Answer:
        if call.account.endpoint_id == quick or outlet.clock.ms >= due_ms:
            return provider.take(call)
        return Answer(429, retry_after="120" if form == "seconds" else formatdate(due_ms / 1000, usegmt=True))

    provider.answer = throttling
    relay = outlet.relay(provider, per_endpoint=1)
    for wait_ms in (0, 1_000, 60_000, 59_000):
        outlet.clock.ms += wait_ms
        await relay.drain()
    asked = [call for call in provider.calls if call.account.endpoint_id == slow]
    assert (len(asked), len(provider.calls)) == (1, 21)
    outlet.clock.ms += 1
    await outlet.relay(provider).drain()
    assert await outlet.states() == {"delivered": 40}


async def test_retry_after_holds_for_a_relay_started_later(outlet: Outlet) -> None:
    """It is kept in the database, not in the process that heard it."""
    await outlet.bind()
    await outlet.sell(3)
    provider = Scripted(lambda _call: Answer(503, retry_after="60"))
    await outlet.relay(provider, per_endpoint=1).drain()
    outlet.clock.ms += 60_000
    await outlet.relay(provider, owner="two").drain()
    assert len(provider.calls) == 1
    wanted = [Wanted(outlet.tenant_id, outlet.endpoints[0], 3)]
    taken = await outlet.writer.submit(Job([], partial(claim, wanted, Lease("two", 60_000))))
    assert taken == ([], 0)  # a relay that looked before it was stored is held off by the claim itself
    assert max(decode_instant(row.next_attempt_at) for row in await outlet.rows()) == outlet.clock.ms + 1
    outlet.clock.ms += 1
    await outlet.relay(provider, per_endpoint=1, owner="three").drain()
    assert len(provider.calls) == 2


async def test_what_was_claimed_before_retry_after_was_heard_is_not_sent(outlet: Outlet) -> None:
    """Its lease is given back, it counts as no attempt, and waits as long as the others."""
    endpoint = await outlet.bind()
    await outlet.sell(2)
    provider = Scripted(lambda _call: Answer(429, retry_after="30"))
    relay = outlet.relay(provider)
    wanted = [Wanted(outlet.tenant_id, endpoint, 2)]
    taken = await outlet.writer.submit(Job([], partial(claim, wanted, Lease("one", 60_000))))
    for claimed in taken.deliveries:
        await relay._deliverer.deliver(claimed)
    asked, spared = sorted(await outlet.rows(), key=lambda row: -row.attempts)
    assert (len(provider.calls), asked.attempts, spared.attempts, spared.state) == (1, 1, 0, "pending")
    assert decode_instant(spared.next_attempt_at) == outlet.clock.ms + 30_001
    assert len(await outlet.fetch("SELECT attempt FROM attempts")) == 1


async def test_retry_after_heard_during_a_look_up_is_heard_before_the_send(outlet: Outlet) -> None:
    """The look-up found nothing, and another call of this process was throttled meanwhile: nothing is sent."""
    endpoint = await outlet.bind()
    await outlet.sell()
    provider = Scripted(lambda _call: Answer(503), promise="lookup")
    relay = outlet.relay(provider)
    await relay.drain()
    outlet.clock.ms += 60_000
    until_ms = outlet.clock.ms + 30_001

    def throttled_meanwhile(_call: Call) -> None:
        relay.left_alone.heard(endpoint, until_ms)

    provider.known = throttled_meanwhile
    await relay.drain()
    (row,) = await outlet.rows()
    assert (len(provider.calls), row.attempts, row.state) == (1, 1, "pending")
    assert decode_instant(row.next_attempt_at) == until_ms


async def test_a_shorter_wish_that_comes_later_does_not_undo_a_longer_one(outlet: Outlet) -> None:
    """Two calls under way at once are both told to stay away; the one for less long is read last."""
    endpoint = await outlet.bind()
    await outlet.sell(2)
    waits, begun_ms = ["120", "30"], outlet.clock.ms
    relay = outlet.relay(Scripted(lambda _call: Answer(429, retry_after=waits.pop(0))))
    await relay.drain()
    assert waits == []
    assert relay.left_alone.until_ms(endpoint) == begun_ms + 120_001


async def test_a_schedule_ends_after_its_days(outlet: Outlet) -> None:
    """It is tried again and again for as long as the schedule lasts, then it is for a person."""
    await outlet.bind()
    await outlet.sell()
    provider = Scripted(lambda _call: Answer(503))
    for _hour in range(24):
        await outlet.relay(provider).drain()
        assert await outlet.states() == {"pending": 1}
        outlet.clock.ms += 3_600_000
    await outlet.relay(provider).drain()
    assert await outlet.states() == {"dead": 1}
    assert len(provider.calls) == 25


async def test_backoff_grows_and_is_capped(outlet: Outlet) -> None:
    """With the dice at their most, pauses double up to the cap."""
    await outlet.bind()
    await outlet.sell()
    pauses = []
    for _ in range(8):
        await outlet.relay(Scripted(lambda _call: Answer(500))).drain()
        (row,) = await outlet.rows()
        due_ms = await _due_ms(outlet)
        pauses.append(round((due_ms - outlet.clock.ms) / 1000))
        outlet.clock.ms = due_ms
        assert row.state == "pending"
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


async def _due_ms(outlet: Outlet) -> int:
    (row,) = await outlet.rows()
    return decode_instant(row.next_attempt_at)
