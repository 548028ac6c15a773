"""What a person sees of the inbox, and the way back for what is stuck."""

from dataclasses import replace

import pytest

from server.inbox.admin import Event, Filter, InboxError, count_replayable, list_events, replay, replay_one, show_event
from server.inbox.listing import matching
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import UnknownTenantError
from sync.clock import decode_instant, encode_instant
from tests.inbox.mailroom import Mailroom, sale, scripted
from tests.inbox.scripted import Scripted, answering


async def broken(room: Mailroom, count: int) -> Scripted:
    """A handler that was broken while so many events came; they are dead."""
    source = scripted(room)
    source.fetching = answering(404)
    address = await room.add("scripted", {}, {})
    for number in range(count):
        await room.tell(address, f"e{number}", f"Rossi {number}")
    await room.processor().drain()
    assert await room.states() == {"dead": count}
    source.fetching = lambda _event: None
    return source


async def test_dead_letters_are_replayed_in_bulk_at_a_rate(room: Mailroom) -> None:
    """However many there are, the other side is asked so often a second and no more."""
    source = await broken(room, 10)
    tenant_id = room.shop.tenant_id
    assert await replay(room.shop.writer, tenant_id, Filter(endpoint_id=room.endpoints["scripted"]), per_second=2) == 10
    source.fetched.clear()
    for second in range(1, 6):
        await room.processor().drain()
        assert len(source.fetched) <= 2 * second
        await room.pass_time(1)
    await room.processor().drain()
    assert await room.states() == {"done": 10}
    assert len(await room.records("customers")) == 10


async def test_many_are_replayed_in_small_jobs_and_the_rate_goes_on_across_them(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, evenly, each once; a count beforehand says how many, and changes nothing."""
    monkeypatch.setattr("server.inbox.admin.BATCH", 3)
    await broken(room, 8)
    database, writer, tenant_id = room.shop.database, room.shop.writer, room.shop.tenant_id
    assert await count_replayable(database, tenant_id, Filter(limit=7)) == 7
    assert await room.states() == {"dead": 8}
    told: list[int] = []
    assert await replay(writer, tenant_id, Filter(limit=7), per_second=4, told=told.append) == 7
    assert told == [3, 3, 1]
    events = await room.events()
    begin = room.shop.clock()
    due = [decode_instant(event.next_attempt_at) - begin for event in events if event.state == "pending"]
    assert due == [0, 250, 500, 750, 1000, 1250, 1500]
    assert [event.state for event in events] == [*["pending"] * 7, "dead"]


async def test_a_replay_is_narrowed_by_provider_and_time(room: Mailroom) -> None:
    """Only what one provider told, and only since then."""
    await broken(room, 2)
    await room.pass_time(3600)
    since = encode_instant(room.shop.clock())
    await room.tell(f"{room.shop.tenant_id}.{room.endpoints['scripted']}".replace("-", ""), "late", "Verdi")
    scripted(room).fetching = answering(404)
    await room.processor().drain()
    await room.sell(await room.add_pos(), sale(total="9.99"))
    await room.processor().drain()
    database, tenant_id = room.shop.database, room.shop.tenant_id
    counts = [
        await count_replayable(database, tenant_id, wanted)
        for wanted in (Filter(), Filter(provider="scripted"), Filter(provider="scripted", since=since))
    ]
    assert counts == [4, 3, 1]


async def test_one_is_replayed_by_its_id(room: Mailroom) -> None:
    """And nothing happens to the others; what is being processed is left alone."""
    await broken(room, 2)
    one, two = await room.events()
    await replay_one(room.shop.writer, room.shop.tenant_id, one.receipt_id)
    await room.processor().drain()
    assert await room.states() == {"dead": 1, "done": 1}
    await room.execute("UPDATE inbox SET state = 'leased' WHERE receipt_id = :id", two.receipt_id)
    with pytest.raises(InboxError) as raised:
        await replay_one(room.shop.writer, room.shop.tenant_id, two.receipt_id)
    assert raised.value.code == "under_way"
    with pytest.raises(InboxError) as raised:
        await replay_one(room.shop.writer, room.shop.tenant_id, room.shop.new_id())
    assert raised.value.code == "unknown_event"


async def test_one_that_is_taken_at_that_very_moment_is_left_to_its_processor(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim comes between the look and the replay: what it does is done under its fence, and once."""
    source, address = scripted(room), await room.add("scripted", {}, {})
    await room.tell(address, "e1", "Rossi")

    async def matching_then_claimed(tx: Tx, tenant_id: str, wanted: Filter) -> list[Event]:
        found = await matching(tx, tenant_id, wanted)
        claimed = "UPDATE inbox SET state = 'leased', fence = fence + 1 WHERE tenant_id = :tenant_id"
        await tx.execute(Statement(claimed), (tenant_id,))
        return found

    monkeypatch.setattr("server.inbox.admin.matching", matching_then_claimed)
    (event,) = await room.events()
    with pytest.raises(InboxError) as raised:
        await replay_one(room.shop.writer, room.shop.tenant_id, event.receipt_id)
    assert raised.value.code == "under_way"
    assert (await room.states(), source.fetched) == ({"leased": 1}, [])


async def test_a_finished_one_is_replayed_only_when_asked_for_and_applies_once(room: Mailroom) -> None:
    """A replay too many does no harm."""
    await room.sell(await room.add_pos(), sale())
    await room.processor().drain()
    writer, tenant_id = room.shop.writer, room.shop.tenant_id
    assert await replay(writer, tenant_id, Filter()) == 0
    assert await replay(writer, tenant_id, Filter(states=["done"])) == 1
    await room.processor().drain()
    assert await room.states() == {"done": 1}
    ((version,),) = await room.fetch("SELECT version FROM sales")
    assert version == 1


async def test_a_contradicting_body_can_be_let_in_by_a_person(room: Mailroom) -> None:
    """As a mutation of its own: then the collection's rules decide, and say why."""
    source = scripted(room)
    address = await room.add("scripted", {}, {})
    await room.tell(address, "e1", "Rossi")
    await room.tell(address, "e1", "Verdi")
    await room.processor().drain()
    assert await room.states() == {"done": 1, "quarantined": 1}
    assert await replay(room.shop.writer, room.shop.tenant_id, Filter()) == 1
    await room.processor().drain()
    assert await room.states() == {"done": 2}
    assert sorted(fields["name"] for fields in await room.records("customers")) == ["Rossi", "Verdi"]
    assert len(source.fetched) == 2


async def test_events_are_listed_by_what_they_have_in_common(room: Mailroom) -> None:
    """In pages, oldest first."""
    await broken(room, 5)
    await room.sell(await room.add_pos(), sale())
    database, tenant_id = room.shop.database, room.shop.tenant_id
    assert len(await list_events(database, tenant_id, Filter(states=["dead"]))) == 5
    assert len(await list_events(database, tenant_id, Filter(provider="pos"))) == 1
    assert len(await list_events(database, tenant_id, Filter(event_type="customer.told"))) == 5
    assert await list_events(database, tenant_id, Filter(states=[])) == []
    page = Filter(limit=4)
    first = await list_events(database, tenant_id, page)
    rest = await list_events(database, tenant_id, replace(page, after=first[-1].receipt_id))
    assert [len(first), len(rest)] == [4, 2]
    with pytest.raises(InboxError):
        await show_event(database, tenant_id, room.shop.new_id())


async def test_a_tenant_that_is_gone_is_said_to_be(room: Mailroom) -> None:
    """Rather than nothing being found."""
    with pytest.raises(UnknownTenantError):
        await replay(room.shop.writer, room.shop.new_id(), Filter())
