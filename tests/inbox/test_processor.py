"""The loop: what is told reaches the owner, places are shared, it rests and stops as it should."""

import json
from collections.abc import Sequence

import anyio
import pytest

from server.inbox.processor import ProcessorOptions
from server.ports import Cause, WebhookEvent
from server.storage.writer import Writing
from sync.outcome import Outcome
from sync.protocol import Mutation
from tests.inbox.mailroom import Mailroom, open_mailroom, sale, scripted
from tests.inbox.scripted import answering


async def test_a_sale_told_by_webhook_reaches_the_owner(room: Mailroom) -> None:
    """Field by field, with the VAT worked out, under the name of the endpoint."""
    address = await room.add_pos()
    await room.sell(address, sale())
    await room.processor().drain()
    (fields,) = await room.records("sales")
    assert (fields["shop"], fields["terminal_id"], fields["receipt_no"], fields["total"]) == ("centro", "P1", 1, "2.40")
    assert fields["vat"] == [{"rate": "10.00", "gross": "2.40", "net": "2.18", "vat": "0.22"}]
    assert fields["sold_at"] == "2025-11-24T10:00:00.000Z"
    ((author, version),) = await room.fetch("SELECT author, version FROM sales")
    assert (author, version) == (f"provider:{room.endpoints['pos']}", 1)
    event = await room.event()
    assert (event.state, event.attempts, event.failures, event.ended_at is None) == ("done", 1, 0, False)


async def test_the_cause_goes_on_into_the_outbox(room: Mailroom) -> None:
    """With the webhook's own correlation id, and the provider whose news it is."""
    causes: list[Cause] = []

    class Noting:
        async def apply(
            self, writing: Writing, tenant_id: str, author: str, mutations: Sequence[Mutation], cause: Cause
        ) -> list[Outcome]:
            causes.append(cause)
            return await room.shop.applier.apply(writing, tenant_id, author, mutations, cause)

    await room.sell(await room.add_pos(), sale())
    await room.processor(applying=Noting()).drain()
    assert causes == [Cause("corr-webhook", "pos")]


async def test_a_slow_endpoint_leaves_room_for_the_others(room: Mailroom) -> None:
    """While it hangs with all the places it may have, sales go on."""
    source = scripted(room)
    slow, pos = await room.add("scripted", {}, {}), await room.add_pos()
    release = anyio.Event()

    async def hang(_event: WebhookEvent) -> None:
        await release.wait()

    source.fetching = hang
    for number in range(10):
        await room.tell(slow, f"e{number}", f"Rossi {number}")
    processor = room.processor(per_endpoint=3, parallel=4)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(processor.run)
        while len(source.fetched) < 3:
            await anyio.sleep(0.005)
        await room.sell(pos, sale())
        processor.wake()
        with anyio.fail_after(5):
            while not await room.records("sales"):
                await anyio.sleep(0.005)
        assert len(source.fetched) == 3
        release.set()
        processor.stop()
    assert (await room.states())["done"] >= 4


async def test_an_acknowledgement_does_not_wait_for_processing(room: Mailroom) -> None:
    """All places are taken and hang; receiving goes on as if nothing were the matter."""
    source = scripted(room)
    address = await room.add("scripted", {}, {})
    release = anyio.Event()

    async def hang(_event: WebhookEvent) -> None:
        await release.wait()

    source.fetching = hang
    processor = room.processor(per_endpoint=2, parallel=2)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(processor.run)
        with anyio.fail_after(5):
            for number in range(20):
                await room.tell(address, f"e{number}", f"Rossi {number}")
                processor.wake()
        assert len(source.fetched) <= 2
        release.set()
        with anyio.fail_after(10):
            while (await room.states()).get("done") != 20:
                await anyio.sleep(0.01)
        processor.stop()


async def test_it_wakes_at_the_next_due_time_and_does_not_poll(lite_room: Mailroom) -> None:
    """It rests exactly until something is due, and for as long as it may where nothing is."""
    room = lite_room
    source = scripted(room)
    await room.tell(await room.add("scripted", {}, {}), "e1", "Rossi")
    source.fetching = answering(503)
    naps: list[float] = []
    processor = room.processor()

    async def sleep(seconds: float) -> None:
        if seconds >= 60:
            await anyio.sleep_forever()
        naps.append(seconds)
        source.fetching = lambda _event: None
        await room.pass_time(seconds)

    processor.sleep = sleep
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(processor.run)
        with anyio.fail_after(5):
            while await room.states() != {"done": 1}:
                await anyio.sleep(0.01)
        processor.stop()
    assert naps == [pytest.approx(0.999, abs=0.001)]


async def test_stopped_it_gives_back_what_does_not_end(room: Mailroom) -> None:
    """The next one takes it at once, and it counts as not tried."""
    source = scripted(room)
    await room.tell(await room.add("scripted", {}, {}), "e1", "Rossi")

    async def hang(_event: WebhookEvent) -> None:
        await anyio.sleep(30)

    source.fetching = hang
    processor = room.processor(grace_s=0.05)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(processor.run)
        while not source.fetched:
            await anyio.sleep(0.005)
        processor.stop()
    event = await room.event()
    assert (event.state, event.attempts) == ("pending", 0)
    source.fetching = lambda _event: None
    await room.processor(owner="two").drain()
    assert await room.states() == {"done": 1}


async def test_a_paused_endpoint_waits(room: Mailroom) -> None:
    """What waits, waits, also a lease that lapsed; resumed, it is processed."""
    address = await room.add_pos()
    await room.sell(address, sale(1), "msg_1")
    await room.sell(address, sale(2), "msg_2")
    await room.execute("UPDATE inbox SET state = 'leased', unended = 1 WHERE event_id = 'msg_2'")
    await room.execute("UPDATE endpoints SET paused = true")
    await room.processor().drain()
    assert await room.states() == {"leased": 1, "pending": 1}
    await room.execute("UPDATE endpoints SET paused = false")
    await room.processor().drain()
    assert await room.states() == {"done": 2}


async def test_a_deadline_must_end_before_the_lease() -> None:
    """Or somebody else takes the event over while it is fetched."""
    with pytest.raises(ValueError, match="deadline"):
        ProcessorOptions(lease_s=10, deadline_s=10)


async def test_endpoints_of_unknown_sources_are_left_alone(database_url: str) -> None:
    """A process that does not know a provider leaves its events to one that does."""
    async with open_mailroom(database_url) as room:
        await room.tell(await room.add("scripted", {}, {}), "e1", "Rossi")
        known, room.sources[:] = list(room.sources), [one for one in room.sources if one.name != "scripted"]
        await room.processor().drain()
        assert await room.states() == {"pending": 1}
        room.sources[:] = known
        await room.execute("UPDATE endpoints SET settings = :settings", json.dumps({"scheme": "gone"}))
        await room.processor().drain()
        assert ((await room.event()).state, (await room.event()).error) == ("pending", "no_such_scheme")
