"""Polls in a history that was rewound: what came after the backup is asked for again, at once and from before it."""

import json
from typing import Any

from server.inbox.accounts import Address
from server.inbox.turn import claim_turn
from server.ports import Account
from server.providers.sdi.poller import InvoicetronicPoller
from sync.clock import encode_instant
from tests.inbox.mailroom import Mailroom
from tests.inbox.post import Company, numbers, polling
from tests.support.fatture import Fattura

HOUR_MS = 3_600_000


async def polled(room: Mailroom) -> None:
    """Poll what is due, and take in what was found."""
    await polling(room).poll_due()
    await room.processor().drain()


async def restored(room: Mailroom, hours_ago: int) -> None:
    """As after a restore: what came since is gone, and history has another epoch. The cursor is not to be trusted."""
    since = encode_instant(room.shop.clock() - hours_ago * HOUR_MS)
    await room.execute("DELETE FROM inbox WHERE received_at > :since", since)
    await room.execute("DELETE FROM invoices WHERE stamp > :since", since)
    await room.execute("DELETE FROM identities")
    await room.execute("DELETE FROM mutations")
    await room.execute("UPDATE polls SET finished_at = :since", since)
    await room.execute("UPDATE tenants SET epoch = 'another'")
    room.shop.writer._furthest.clear()


async def test_in_a_new_epoch_the_cursor_goes_back_to_before_the_backup_at_once(
    post: Mailroom, company: Company
) -> None:
    """The next poll is not due for long; what it finds again it fetches again, and nothing it has."""
    before = await company.add(Fattura(number="before"), age_s=9 * 3600)
    await polled(post)
    await post.pass_time(5 * 3600)
    after = await company.add(Fattura(number="after"), age_s=-5 * 3600)
    await polled(post)
    assert await numbers(post) == ["after", "before"]
    await restored(post, hours_ago=3)
    await polled(post)
    assert await numbers(post) == ["after", "before"]
    assert (await company.fetches(before), await company.fetches(after)) == (1, 2)
    ((epoch, finished),) = await post.fetch("SELECT epoch, finished_at FROM polls")
    assert (epoch, finished) == ("another", encode_instant(post.shop.clock()))
    lists = await company.lists()
    await polled(post)
    assert await company.lists() == lists


async def test_a_crash_after_the_turn_began_does_not_lose_the_way_back(post: Mailroom, company: Company) -> None:
    """The cursor is stored as it went back, before anything is asked; until a poll ended nobody counts as caught up."""
    await company.add(Fattura(number="seen"), age_s=60)
    await polled(post)
    ((cursor,),) = await post.fetch("SELECT cursor FROM polls")
    await restored(post, hours_ago=3)
    ((tenant_id, endpoint_id),) = await post.fetch("SELECT tenant_id, endpoint_id FROM polls")
    nobody: Any = None  # a way back is a matter of arithmetic
    poller, account = InvoicetronicPoller(nobody), Account(tenant_id, endpoint_id, {}, {})
    turn = await claim_turn(
        post.shop.writer, Address(tenant_id, endpoint_id), lambda at, ms: poller.rewind(account, at, ms)
    )
    assert turn is not None
    assert turn.rewound
    ((stored, finished),) = await post.fetch("SELECT cursor, finished_at FROM polls")
    assert (stored, finished) == (turn.cursor, None)
    assert json.loads(stored)["seen"] < json.loads(cursor)["seen"]
    await post.pass_time(121)
    again = await claim_turn(post.shop.writer, Address(tenant_id, endpoint_id), lambda _at, _ms: "never asked")
    assert again is not None
    assert (again.cursor, again.rewound) == (stored, False)


async def test_what_becomes_visible_late_is_found_by_the_overlap(post: Mailroom, company: Company) -> None:
    """An invoice dated before the newest one that was seen, by less than the overlap."""
    await company.add(Fattura(number="seen"), age_s=60)
    await polled(post)
    await company.add(Fattura(number="late"), age_s=50 * 60)
    await company.add(Fattura(number="too late"), age_s=70 * 60)
    await post.pass_time(1000)
    await polled(post)
    assert await numbers(post) == ["late", "seen"]
