"""What is known of contact with an account: a call that was answered, a call that was not, and what came by itself."""

from collections.abc import Sequence
from typing import Any

from sync.clock import encode_instant
from tests.inbox.mailroom import Mailroom, sale, scripted
from tests.inbox.post import Company, polling
from tests.inbox.scripted import answering


async def contacts(room: Mailroom, provider: str) -> Sequence[Any]:
    """When it was last reached and when not, by which class and word, and when it was last heard."""
    (row,) = await room.fetch(
        "SELECT succeeded_at, failed_at, error_class, error, heard_at FROM contacts WHERE endpoint_id = :endpoint_id",
        room.endpoints[provider],
    )
    return list(row)


async def test_a_webhook_proves_nothing_of_our_calls(room: Mailroom) -> None:
    """It was heard; nobody was reached, for nobody was asked."""
    await room.sell(await room.add_pos(), sale())
    await room.processor().drain()
    assert await room.states() == {"done": 1}
    assert await contacts(room, "pos") == [None, None, None, None, encode_instant(room.shop.clock())]


async def test_what_is_heard_is_noted_once_a_minute(room: Mailroom) -> None:
    """A row that every webhook updates would hold them up."""
    address, receiver = await room.add_pos(), room.receiver
    seen = []
    for number in range(3):
        body, headers = room.signed(sale(number), f"msg_{number}")
        await receiver.receive("pos", address, headers, body, "corr")
        seen.append((await contacts(room, "pos"))[4])
        await room.pass_time(40)
    assert [at == seen[0] for at in seen] == [True, True, False]


async def test_a_fetch_is_noted_as_it_went(room: Mailroom) -> None:
    """Answered, refused for the moment, answered again; a failure does not erase the success before it."""
    source = scripted(room)
    address, processor = await room.add("scripted", {}, {}), room.processor()
    begun = encode_instant(room.shop.clock())
    source.fetching = answering(200)
    await room.tell(address, "e1", "Rossi")
    await processor.drain()
    assert await contacts(room, "scripted") == [begun, None, None, None, begun]
    await room.pass_time(10)
    source.fetching, failed = answering(503), encode_instant(room.shop.clock())
    await room.tell(address, "e2", "Verdi")
    await processor.drain()
    assert (await contacts(room, "scripted"))[:4] == [begun, failed, "transient", "server_error"]
    await room.pass_time(60)
    source.fetching = answering(200)
    await processor.drain()
    assert (await contacts(room, "scripted"))[:2] == [encode_instant(room.shop.clock()), failed]


async def test_a_poll_is_noted_as_it_went(post: Mailroom, company: Company) -> None:
    """By its class and word where it failed."""
    begun, polls = encode_instant(post.shop.clock()), polling(post)
    await polls.poll_due()
    assert await contacts(post, "sdi") == [begun, None, None, None, None]
    await post.pass_time(61)
    await company.intermediary.behave("status", status=503)
    await polls.poll_due()
    failed = encode_instant(post.shop.clock())
    assert (await contacts(post, "sdi"))[:4] == [begun, failed, "transient", "server_error"]
