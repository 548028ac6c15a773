"""Failures between claim and end: what may pass is tried again, what cannot is dead, nothing is applied by halves."""

from typing import Any

import anyio
import pytest

from server.outbound import OutboundError
from server.ports import WebhookEvent
from server.resilience.errors import AnsweredError, PermanentError, TransientError, UnknownError
from server.storage.database import DatabaseError
from tests.inbox.mailroom import Mailroom, sale, scripted
from tests.inbox.scripted import Failing, answering, raising


async def test_a_failure_after_applying_takes_records_and_end_back_together(room: Mailroom) -> None:
    """Then it is tried again later, and applies once."""
    await room.sell(await room.add_pos(), sale())
    failing = Failing(room.shop.applier, RuntimeError("planted"), 2)
    await room.processor(applying=failing).drain()
    event = await room.event()
    assert (event.state, event.error, event.failures) == ("pending", "not_applied", 1)
    assert await room.records("sales") == []
    assert await room.fetch("SELECT * FROM mutations") == []
    assert await room.fetch("SELECT * FROM identities") == []
    await room.pass_time(60)
    await room.processor(applying=failing).drain()
    assert await room.states() == {"done": 1}
    assert len(await room.records("sales")) == 1


async def test_a_database_that_fails_for_a_moment_is_tried_again_at_once(room: Mailroom) -> None:
    """Within the lease, without a second fetch."""
    source = scripted(room)
    await room.tell(await room.add("scripted", {}, {}), "e1", "Rossi")
    failing = Failing(room.shop.applier, DatabaseError("planted", transient=True), 2)
    await room.processor(applying=failing).drain()
    assert await room.states() == {"done": 1}
    assert source.fetched == ["e1"]


async def test_whose_lease_was_taken_over_ends_nothing(room: Mailroom) -> None:
    """The late one's records are rolled back with its end; the other's stand."""
    source = scripted(room)
    address = await room.add("scripted", {}, {})
    await room.tell(address, "e1", "Rossi")

    async def overtaken(_event: WebhookEvent) -> None:
        await room.execute("UPDATE inbox SET fence = fence + 1")

    source.fetching = overtaken
    await room.processor(lease_s=2, deadline_s=1).drain()
    assert (await room.event()).state == "leased"
    assert await room.records("customers") == []
    source.fetching = lambda _event: None
    await room.pass_time(3)
    await room.processor().drain()
    assert await room.states() == {"done": 1}
    assert [fields["name"] for fields in await room.records("customers")] == ["Rossi"]


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (answering(503), "server_error"),
        (answering(429), "throttled"),
        (OutboundError("connect"), "connect_failed"),
        (TransientError("maintenance"), "maintenance"),
        (answering(418), "unexpected_status"),
        (ValueError("a defect of ours"), "unexpected_error"),
        (UnknownError("odd"), "odd"),
    ],
)
async def test_what_may_pass_waits_and_is_tried_again(lite_room: Mailroom, trouble: Any, code: str) -> None:
    """Later each time, and done in the end."""
    room = lite_room
    source = scripted(room)
    await room.tell(await room.add("scripted", {}, {}), "e1", "Rossi")
    source.fetching = raising(trouble) if isinstance(trouble, Exception) else trouble
    await room.processor().drain()
    first = await room.event()
    assert (first.state, first.error, first.failures) == ("pending", code, 1)
    await room.processor().drain()
    assert len(source.fetched) == 1
    await room.pass_time(10)
    await room.processor().drain()
    assert len(source.fetched) == 2
    source.fetching = lambda _event: None
    await room.pass_time(60)
    await room.processor().drain()
    event = await room.event()
    assert (event.state, event.failures, event.error, event.attempts) == ("done", 0, None, 3)


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (answering(404), "not_found"),
        (answering(401), "unauthorized"),
        (answering(302), "redirected"),
        (PermanentError("answer_too_large"), "answer_too_large"),
        (OutboundError("private_address"), "private_address"),
        (answering(402), "refused"),
        (AnsweredError("no_credit"), "no_credit"),
    ],
)
async def test_what_cannot_pass_is_dead_at_once(lite_room: Mailroom, trouble: Any, code: str) -> None:
    """For a person, who mends what is wrong and replays it."""
    room = lite_room
    source = scripted(room)
    await room.tell(await room.add("scripted", {}, {}), "e1", "Rossi")
    source.fetching = raising(trouble) if isinstance(trouble, Exception) else trouble
    await room.processor().drain()
    event = await room.event()
    assert (event.state, event.error) == ("dead", code)


async def test_what_fails_for_days_is_given_up(lite_room: Mailroom) -> None:
    """By the clock, not by a count."""
    room = lite_room
    source = scripted(room)
    await room.tell(await room.add("scripted", {}, {}), "e1", "Rossi")
    source.fetching = answering(503)
    for _ in range(5):
        await room.processor().drain()
        await room.pass_time(20_000)
    await room.processor().drain()
    assert await room.states() == {"dead": 1}


async def test_nothing_is_fetched_earlier_than_the_other_side_asked(room: Mailroom) -> None:
    """`Retry-After` holds for all events of the endpoint, in any process, and for no other endpoint."""
    source = scripted(room)
    address = await room.add("scripted", {}, {})
    pos = await room.add_pos()
    await room.tell(address, "e1", "Rossi")
    source.fetching = answering(429, retry_after="120")
    processor = room.processor(per_endpoint=1)
    await processor.drain()
    source.fetching = lambda _event: None
    await room.tell(address, "e2", "Verdi")
    await room.sell(pos, sale())
    await room.pass_time(119)
    for one in (processor, room.processor(owner="two")):
        await one.drain()
    assert source.fetched == ["e1"]
    assert await room.states() == {"done": 1, "pending": 2}
    await room.pass_time(2)
    await room.processor(owner="three").drain()
    assert sorted(source.fetched) == ["e1", "e1", "e2"]
    assert await room.states() == {"done": 3}


async def test_a_slow_fetch_is_cut_off_at_its_deadline(lite_room: Mailroom) -> None:
    """Before the lease ends, so that nobody else takes it over meanwhile."""
    room = lite_room
    source = scripted(room)
    await room.tell(await room.add("scripted", {}, {}), "e1", "Rossi")

    async def hang(_event: WebhookEvent) -> None:
        await anyio.sleep(30)

    source.fetching = hang
    await room.processor(deadline_s=0.05).drain()
    event = await room.event()
    assert (event.state, event.error) == ("pending", "deadline")
