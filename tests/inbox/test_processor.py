"""Processing: each event's effect once, whatever fails between claim and end, and nothing left behind."""

import json
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from server.inbox.claim import Lease, Wanted, claim
from server.inbox.listing import show_event
from server.inbox.processor import ProcessorOptions
from server.outbound import OutboundError
from server.ports import Answer, Applying, Cause, Draft, Fetched, Reading, UnusableEventError, WebhookEvent
from server.resilience.errors import AnsweredError, PermanentError, TransientError, UnknownError
from server.storage.database import DatabaseError
from server.storage.writer import Job, Writing
from sync.merge import Outcome
from sync.protocol import Mutation
from tests.inbox.mailroom import Mailroom, Scripted, answering, open_mailroom, sale


def scripted(room: Mailroom) -> Scripted:
    """The scripted source of a room."""
    (source,) = [one for one in room.sources if isinstance(one, Scripted)]
    return source


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


class Failing:
    """Applies, and then breaks: so many times."""

    def __init__(self, applying: Applying, error: Exception, times: int) -> None:
        self._applying, self._error, self.times = applying, error, times

    async def apply(
        self, writing: Writing, tenant_id: str, author: str, mutations: Sequence[Mutation], cause: Cause
    ) -> list[Outcome]:
        outcomes = await self._applying.apply(writing, tenant_id, author, mutations, cause)
        if self.times:
            self.times -= 1
            raise self._error
        return outcomes


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


def raising(error: Exception) -> Any:
    """A fetch that fails so."""

    def fetch(_event: WebhookEvent) -> None:
        raise error

    return fetch


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


async def test_a_payload_that_kills_its_process_is_isolated(room: Mailroom) -> None:
    """Others in hand with it are not blamed: what somebody died with is taken alone."""
    address = await room.add("scripted", {}, {})
    for number in range(3):
        await room.tell(address, f"e{number}", f"Rossi {number}")
    poison = (await room.events())[1].receipt_id
    for _ in range(5):
        await die_with(room, poison)
    source = scripted(room)
    taken_together: list[set[str]] = []
    in_hand: set[str] = set()

    async def watch(event: WebhookEvent) -> None:
        in_hand.add(event.event_id)
        taken_together.append(set(in_hand))
        await anyio.sleep(0.01)
        in_hand.discard(event.event_id)

    source.fetching = watch
    await room.processor().drain()
    assert await room.states() == {"dead": 1, "done": 2}
    (stuck,) = await room.events(states=["dead"])
    assert (stuck.receipt_id, stuck.error, stuck.attempts) == (poison, "isolated", 5)
    assert [len(one) for one in taken_together[:2]] == [1, 1]


async def die_with(room: Mailroom, poison: str) -> None:
    """A process takes what is due, and dies of the poison: first with the others in hand, then with it alone."""
    lease = Lease("dying", 1000, most_unended=5)
    now = await room.fetch("SELECT count(*) FROM inbox WHERE state = 'leased'")
    if now[0][0] == 0:
        wanted = [Wanted(room.shop.tenant_id, room.endpoints["scripted"], 10)]
        assert len(await submit_claim(room, wanted, lease)) == 3
    else:
        await room.execute(
            "UPDATE inbox SET unended = unended + 1, attempts = attempts + 1 WHERE receipt_id = :p", poison
        )
    await room.pass_time(2)


async def submit_claim(room: Mailroom, wanted: list[Wanted], lease: Lease) -> list[Any]:
    """Claim as a processor does."""

    async def job(writing: Writing) -> list[Any]:
        return await claim(wanted, lease, writing)

    return await room.shop.writer.submit(Job([], job))


async def test_a_refused_draft_is_quarantined_and_the_others_of_its_event_stand(room: Mailroom) -> None:
    """By the wire's rules or by the collection's: nothing wrong gets in, nothing right is lost."""
    source = scripted(room)

    def read(event: WebhookEvent, _fetched: Fetched | None) -> Reading:
        return Reading(
            [
                Draft("customers", "a", "", {"name": "Rossi"}),
                Draft("customers", "b", "", {"name": ""}),
                Draft("sales", "c", "", {"shop": "centro"}),
                Draft("customers", "d", "", {"name": "Verdi", "surprise": 1}),
                Draft("nothing", "e", "", {}),
            ],
            [UnusableEventError("no_total", "Body 7 states no total.")],
        )

    source.reading = read
    await room.tell(await room.add("scripted", {}, {}), "e1", "x")
    await room.processor().drain()
    event = await room.event()
    assert (event.state, event.error) == ("quarantined", "no_total")
    assert event.reason is not None
    assert "Body 7 states no total." in event.reason
    assert "fields.name" in event.reason
    assert [fields["name"] for fields in await room.records("customers")] == ["Rossi"]
    assert await room.records("sales") == []


async def test_what_breaks_a_collections_rule_is_quarantined_with_its_reason(room: Mailroom) -> None:
    """Mended and replayed it is taken in: the refusal is not remembered against it."""
    await room.sell(await room.add_pos(), sale(total="9.99"))
    await room.processor().drain()
    event = await room.event()
    assert (event.state, event.error) == ("quarantined", "rule_broken")
    assert event.reason == "the sums by VAT rate do not make the total"
    assert await room.fetch("SELECT * FROM mutations") == []


async def test_an_event_of_another_type_is_ignored_and_seen(room: Mailroom) -> None:
    """Nothing authentic disappears without a trace."""
    body, headers = room.signed(sale(), event_type="shift.opened")
    await room.receiver.receive("pos", await room.add_pos(), headers, body, "corr")
    await room.processor().drain()
    event = await room.event()
    assert (event.state, event.event_type) == ("ignored", "shift.opened")


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


async def test_the_same_thing_told_by_two_events_is_one_record(room: Mailroom) -> None:
    """A vendor that tells of a sale under a new event id makes no second sale."""
    address = await room.add_pos()
    await room.sell(address, sale(), "msg_1")
    await room.sell(address, sale(), "msg_2")
    await room.processor().drain()
    assert await room.states() == {"done": 2}
    assert len(await room.records("sales")) == 1
    await room.sell(address, sale(total="1.20", vat=[{"rate": "10", "gross": "1.20", "net": "1.09", "vat": "0.11"}]),
                    "msg_3")  # fmt: skip
    await room.processor().drain()
    (stuck,) = await room.events(states=["quarantined"])
    assert (stuck.event_id, stuck.error) == ("msg_3", "immutable")
    assert [fields["total"] for fields in await room.records("sales")] == ["2.40"]


async def test_two_accounts_of_a_vendor_may_use_the_same_ids(room: Mailroom) -> None:
    """Ids are an account's own."""
    one, two = await room.add_pos(), await room.add_pos()
    await room.sell(one, sale())
    await room.sell(two, sale())
    await room.processor().drain()
    assert len(await room.records("sales")) == 2


async def test_an_update_changes_the_record_it_is_about(room: Mailroom) -> None:
    """What is said at creation only stays as it was."""
    source = scripted(room)
    address = await room.add("scripted", {}, {})

    def read(event: WebhookEvent, _fetched: Fetched | None) -> Reading:
        told = json.loads(event.body)["name"]
        return Reading([Draft("customers", "c1", told, {"name": told}, once={"note": f"first told as {told}"})])

    source.reading = read
    for number, name in enumerate(("Rossi", "Rossi & C.", "Rossi")):
        await room.tell(address, f"e{number}", name)
        await room.processor().drain()
    (fields,) = await room.records("customers")
    assert (fields["name"], fields["note"]) == ("Rossi & C.", "first told as Rossi")


async def test_a_weak_key_finds_a_record_unless_both_sides_know_better(room: Mailroom) -> None:
    """The same file with and without an SDI id is one invoice; with two SDI ids it is two."""
    source = scripted(room)
    address = await room.add("scripted", {}, {})
    told = [
        ("sha:1", None),
        ("sdi:1", "sha:1"),
        ("sdi:1", "sha:1"),
        ("sdi:2", "sha:1"),
        ("sha:1", None),
        ("sdi:3", None),
    ]

    def read(event: WebhookEvent, _fetched: Fetched | None) -> Reading:
        key, weak = told[int(event.event_id)]
        return Reading([Draft("customers", key, event.event_id, {"name": f"told {event.event_id}"}, weak_key=weak)])

    source.reading = read
    for number in range(len(told)):
        await room.tell(address, str(number), "x")
        await room.processor().drain()
    assert await room.states() == {"done": len(told)}
    assert sorted(fields["name"] for fields in await room.records("customers")) == ["told 3", "told 4", "told 5"]


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


async def test_what_was_fetched_is_kept_with_the_event(room: Mailroom) -> None:
    """Raw, with what was said beside it: also where nothing could be made of it."""
    source = scripted(room)
    source.fetching = lambda _event: Fetched(Answer(200), b"\x00raw", {"file_name": "a.xml"})

    def read(event: WebhookEvent, _fetched: Fetched | None) -> Reading:
        raise UnusableEventError("malformed", "It is no XML.")

    source.reading = read
    receipt = await room.tell(await room.add("scripted", {}, {}), "e1", "x")
    await room.processor().drain()
    shown = await show_event(room.shop.database, room.shop.tenant_id, receipt.receipt_id)
    assert (shown.event.state, shown.event.error, shown.event.reason) == ("quarantined", "malformed", "It is no XML.")
    assert (shown.fetched, shown.facts, shown.records) == (b"\x00raw", {"file_name": "a.xml"}, [])
