"""A paused account takes in what it is told, and does nothing with it until it is resumed."""

from server.credentials.pausing import pause, resume
from tests.inbox.mailroom import Mailroom, scripted
from tests.inbox.scripted import answering


async def test_what_is_told_meanwhile_is_kept_and_read_later(room: Mailroom) -> None:
    """The sender is answered as ever: nothing is lost by a pause."""
    address = await room.add("scripted", {}, {})
    place = (room.shop.writer, room.shop.tenant_id, room.endpoints["scripted"])
    await pause(*place)
    assert (await room.tell(address, "e1", "Rossi")).outcome == "stored"
    await room.processor().drain()
    assert await room.states() == {"pending": 1}
    await resume(*place)
    await room.processor().drain()
    assert await room.states() == {"done": 1}


async def test_an_event_that_failed_before_has_its_schedule_again(room: Mailroom) -> None:
    """Five days of pause are no five days of failing."""
    address = await room.add("scripted", {}, {})
    place = (room.shop.writer, room.shop.tenant_id, room.endpoints["scripted"])
    scripted(room).fetching = answering(503)
    await room.tell(address, "e1", "Rossi")
    await room.processor().drain()
    await pause(*place)
    await room.pass_time(5 * 86_400)
    await resume(*place)
    await room.processor().drain()
    event = await room.event()
    assert (event.state, len(scripted(room).fetched)) == ("pending", 2)
