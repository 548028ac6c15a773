"""What comes late and says less never turns anything back: not by its watermark, and not out of a final state."""

import json
from collections.abc import Sequence
from itertools import permutations

import pytest

from server.ports import Draft, Fetched, Reading, WebhookEvent
from tests.inbox.mailroom import Mailroom, scripted


def told(event: WebhookEvent, _fetched: Fetched | None) -> Reading:
    """`name` is a list of drafts of the one customer: [name, watermark, final]."""
    drafts = [
        Draft("customers", "c1", f"{event.event_id} {place}", {"name": name}, watermark=mark, final=final)
        for place, (name, mark, final) in enumerate(json.loads(json.loads(event.body)["name"]))
    ]
    return Reading(drafts)


async def tell(room: Mailroom, address: str, event_id: str, *drafts: Sequence[object]) -> None:
    """Tell of the customer, and take it in."""
    await room.tell(address, event_id, json.dumps(drafts))
    await room.processor().drain()


async def names(room: Mailroom) -> list[str]:
    """What the owner's phone shows."""
    return [fields["name"] for fields in await room.records("customers")]


async def test_an_older_event_is_kept_and_shown_and_not_applied(room: Mailroom) -> None:
    """It ends as stale, and coming again it is known."""
    scripted(room).reading = told
    address = await room.add("scripted", {}, {})
    await tell(room, address, "e2", ["second", 2, False])
    await tell(room, address, "e1", ["first", 1, False])
    assert await names(room) == ["second"]
    (stale,) = await room.events(states=["stale"])
    assert (stale.event_id, stale.reason, stale.error) == ("e1", "it is older than what is here", None)
    assert (await room.tell(address, "e1", json.dumps([["first", 1, False]]))).outcome == "duplicate"
    await tell(room, address, "e3", ["third", 3, False])
    assert await names(room) == ["third"]


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_any_order_ends_with_the_newest(lite_room: Mailroom, order: Sequence[int]) -> None:
    """Four events of one thing, in whatever order they come in."""
    scripted(lite_room).reading = told
    address = await lite_room.add("scripted", {}, {})
    for number in order:
        await tell(lite_room, address, f"e{number}", [f"told {number}", number, number == 3])
    assert await names(lite_room) == ["told 3"]


async def test_a_final_state_never_goes_back(room: Mailroom) -> None:
    """Not even by what claims to be newer, or says nothing of its age; another final state may follow."""
    scripted(room).reading = told
    address = await room.add("scripted", {}, {})
    await tell(room, address, "e1", ["paid", 5, True])
    await tell(room, address, "e2", ["open", 9, False])
    await tell(room, address, "e3", ["open", None, False])
    assert await names(room) == ["paid"]
    assert await room.states() == {"done": 1, "stale": 2}
    await tell(room, address, "e4", ["refunded", 10, True])
    await tell(room, address, "e5", ["paid", 5, True])
    assert await names(room) == ["refunded"]


async def test_as_new_is_not_older(room: Mailroom) -> None:
    """Two events of one moment both count: the second may say more."""
    scripted(room).reading = told
    address = await room.add("scripted", {}, {})
    await tell(room, address, "e1", ["one", 4, False])
    await tell(room, address, "e2", ["two", 4, False])
    assert await names(room) == ["two"]


async def test_one_event_may_tell_old_and_new(room: Mailroom) -> None:
    """What is news is applied, in order; what is not is named in the reason."""
    scripted(room).reading = told
    address = await room.add("scripted", {}, {})
    await tell(room, address, "e1", ["one", 1, False], ["three", 3, False], ["two", 2, False])
    event = await room.event()
    assert (event.state, event.reason) == ("done", "1 of its records are older than what is here")
    assert await names(room) == ["three"]


async def test_what_was_not_applied_leaves_no_watermark(room: Mailroom) -> None:
    """A refused draft does not make older ones stale."""
    scripted(room).reading = told
    address = await room.add("scripted", {}, {})
    await tell(room, address, "e2", ["", 2, True])
    await tell(room, address, "e1", ["first", 1, False])
    assert await room.states() == {"done": 1, "quarantined": 1}
    assert await names(room) == ["first"]
