"""A payload that kills its process is isolated, and nobody else is blamed for it."""

import anyio

from server.inbox.claim import Lease, Wanted
from server.ports import WebhookEvent
from tests.inbox.mailroom import Mailroom, scripted, submit_claim


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
