"""What was told becomes records: once a thing, whoever tells it, and what is wrong with it stays with the event."""

import json

from server.inbox.listing import show_event
from server.ports import Answer, Draft, Fetched, Reading, UnusableEventError, WebhookEvent
from tests.inbox.mailroom import Mailroom, sale, scripted


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
    (shown,) = await room.fetch("SELECT verdict FROM mutations")  # that of the record which shows the quarantine
    assert (shown[0], await room.records("sales")) == (None, [])
    assert [one["code"] for one in await room.records("quarantined")] == ["rule_broken"]


async def test_an_event_of_another_type_is_ignored_and_seen(room: Mailroom) -> None:
    """Nothing authentic disappears without a trace."""
    body, headers = room.signed(sale(), event_type="shift.opened")
    await room.receiver.receive("pos", await room.add_pos(), headers, body, "corr")
    await room.processor().drain()
    event = await room.event()
    assert (event.state, event.event_type) == ("ignored", "shift.opened")


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
