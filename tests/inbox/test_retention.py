"""What ended well goes when it is old enough; what waits for a person, or for its end, stays."""

import json

import pytest

from server.engine.tidy import TOLD_DAYS, Tidier
from server.ports import Draft, Fetched, Reading, WebhookEvent
from tests.inbox.mailroom import Mailroom, scripted

DAY_S = 86_400


async def _tidy(room: Mailroom, retention_days: int) -> int:
    tidier = Tidier(
        room.shop.database, room.shop.writer, room.shop.records, room.shop.clock, retention_days * DAY_S * 1000
    )
    return (await tidier.tidy(room.shop.tenant_id))["inbox"]


async def told_of_every_kind(room: Mailroom) -> str:
    """An event that ended in each way, and one that did not; the address they came to."""
    source, address = scripted(room), await room.add("scripted", {}, {})

    def read(event: WebhookEvent, _fetched: Fetched | None) -> Reading:
        name = json.loads(event.body)["name"]
        if name == "ignored":
            return Reading(ignored="no business of ours")
        mark = {"done": 2, "stale": 1}.get(name)
        return Reading(
            [Draft("customers", "c1", name, {"name": "" if name == "quarantined" else name}, watermark=mark)]
        )

    source.reading = read
    for name in ("done", "stale", "ignored", "quarantined", "pending"):
        if name != "pending":
            await room.tell(address, name, name)
            await room.processor().drain()
    await room.tell(address, "pending", "pending")
    return address


@pytest.mark.parametrize(("retention_days", "kept_days"), [(90, 90), (1, TOLD_DAYS)])
async def test_ended_events_go_after_the_retention_and_thirty_days_at_least(
    room: Mailroom, retention_days: int, kept_days: int
) -> None:
    """A provider may send one again for weeks; until then it is known."""
    await told_of_every_kind(room)
    await room.pass_time(kept_days * DAY_S)
    assert await _tidy(room, retention_days) == 0
    await room.pass_time(1)
    assert await _tidy(room, retention_days) == 3
    assert await room.states() == {"pending": 1, "quarantined": 1}


async def test_one_that_comes_again_after_that_applies_nothing_twice(room: Mailroom) -> None:
    """It is taken in anew, and is no news."""
    address = await told_of_every_kind(room)
    await room.execute("UPDATE inbox SET state = 'ignored', ended_at = received_at WHERE state = 'pending'")
    await room.pass_time(100 * DAY_S)
    assert await _tidy(room, 90) == 4
    assert (await room.tell(address, "done", "done")).outcome == "stored"
    await room.processor().drain()
    (customer,) = await room.records("customers")
    assert customer["name"] == "done"
