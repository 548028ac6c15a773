"""Receiving: what is authentic is kept, once; what is not is refused and counted; nothing else happens here."""

import json
from dataclasses import replace
from typing import Any

import anyio
import pytest

from server.inbox.listing import Filter, InboxError, list_events, list_refusals, show_event
from server.inbox.receive import UnknownWebhookError
from server.ports import WebhookRefusedError
from tests.inbox.mailroom import OTHER_SECRET, POS_SECRET, Mailroom, sale


async def test_a_webhook_is_kept_raw_before_anything_is_done_with_it(room: Mailroom) -> None:
    """Body and verdict are there byte for byte, headers without what is secret, and no record yet."""
    address = await room.add_pos()
    body, headers = room.signed(sale())
    headers |= {"authorization": "Bearer canary", "x-forwarded-for": "203.0.113.9"}
    receipt = await room.receiver.receive("pos", address, headers, body, "corr-1")
    shown = await show_event(room.shop.database, room.shop.tenant_id, receipt.receipt_id)
    assert (shown.body, shown.event.state, shown.event.event_id) == (body, "pending", "msg_1")
    assert (shown.event.verified_by, shown.event.event_type) == ("secret", "sale.created")
    assert shown.headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": headers["webhook-timestamp"],
        "webhook-signature": "***",
        "content-type": "application/json",
        "authorization": "***",
        "x-forwarded-for": "***",
    }
    assert await room.records("sales") == []
    assert room.woken == 1


async def test_a_duplicate_of_a_finished_event_changes_nothing(room: Mailroom) -> None:
    """It is acknowledged, and the row is the one from before, to the last column."""
    address = await room.add_pos()
    first = await room.sell(address, sale())
    await room.processor().drain()
    before = await room.fetch("SELECT * FROM inbox")
    again = await room.sell(address, sale())
    assert (again.outcome, again.receipt_id, again.correlation_id) == ("duplicate", first.receipt_id, "corr-webhook")
    assert [tuple(row) for row in await room.fetch("SELECT * FROM inbox")] == [tuple(row) for row in before]
    assert room.woken == 1


async def test_a_duplicate_of_an_unfinished_event_makes_it_due_at_once(room: Mailroom) -> None:
    """Whoever tells it again wants it processed: what waited long waits no longer."""
    address = await room.add_pos()
    await room.sell(address, sale())
    await room.execute("UPDATE inbox SET next_attempt_at = '2025-12-24T00:00:00.000Z', failures = 3")
    again = await room.sell(address, sale())
    assert again.outcome == "rearmed"
    await room.processor().drain()
    assert await room.states() == {"done": 1}


async def test_a_duplicate_of_a_dead_event_brings_it_back(room: Mailroom) -> None:
    """Nothing that was recorded stays behind; only what kills its process waits for a person."""
    address = await room.add_pos()
    await room.sell(address, sale())
    await room.execute("UPDATE inbox SET state = 'dead', error = 'server_error', failures = 9")
    assert (await room.sell(address, sale())).outcome == "rearmed"
    assert ((await room.event()).state, (await room.event()).failures) == ("pending", 0)
    await room.execute("UPDATE inbox SET state = 'dead', error = 'isolated'")
    assert (await room.sell(address, sale())).outcome == "duplicate"
    assert (await room.event()).state == "dead"


async def test_the_same_id_with_another_body_is_kept_and_quarantined(room: Mailroom) -> None:
    """Once, however often it comes; the first is processed as if nothing had happened."""
    address = await room.add_pos()
    await room.sell(address, sale())
    one = await room.sell(address, sale(total="9.99"))
    two = await room.sell(address, sale(total="9.99"))
    assert (one.outcome, two.outcome, two.receipt_id) == ("contradicts", "contradicts", one.receipt_id)
    await room.processor().drain()
    assert await room.states() == {"done": 1, "quarantined": 1}
    (stuck,) = await room.events(states=["quarantined"])
    assert (stuck.error, stuck.contradicts) == ("contradicts", True)
    assert (
        json.loads((await show_event(room.shop.database, room.shop.tenant_id, stuck.receipt_id)).body)["data"]["total"]
        == "9.99"
    )
    assert [fields["total"] for fields in await room.records("sales")] == ["2.40"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"secret": OTHER_SECRET}, "bad_signature"),
        ({"off_s": -301}, "stale"),
        ({"off_s": 301}, "future"),
        ({"off_s": -(10**9)}, "stale"),
    ],
)
async def test_what_is_not_the_vendors_is_refused_counted_and_not_kept(
    room: Mailroom, change: dict[str, Any], reason: str
) -> None:
    """Whether forged, from the past or from the future."""
    address = await room.add_pos()
    for _ in range(3):
        with pytest.raises(WebhookRefusedError) as raised:
            await room.sell(address, sale(), **change)
        assert raised.value.reason == reason
    assert await room.events() == []
    (refusal,) = await list_refusals(room.shop.database, room.shop.tenant_id)
    assert (refusal.endpoint_id, refusal.day) == (room.endpoints["pos"], "2025-11-24")
    assert (refusal.reason, refusal.times) == (reason, 3)
    assert await list_refusals(room.shop.database, room.shop.tenant_id, room.endpoints["pos"]) == [refusal]
    assert await list_refusals(room.shop.database, room.shop.tenant_id, room.shop.new_id()) == []


@pytest.mark.parametrize("off_s", [-300, 300])
async def test_five_minutes_of_difference_are_allowed_either_way(lite_room: Mailroom, off_s: int) -> None:
    """Clocks differ."""
    assert (await lite_room.sell(await lite_room.add_pos(), sale(), off_s=off_s)).outcome == "stored"


@pytest.mark.parametrize(
    "spoil",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v2,abcd"},
        {"webhook-signature": "v1,%%% v1,"},
        {"webhook-timestamp": "1e99"},
        {"webhook-timestamp": "9" * 11},
        {"webhook-id": ""},
        {"webhook-id": "msg_2"},
    ],
)
async def test_a_spoilt_signature_is_refused_whatever_its_form(lite_room: Mailroom, spoil: dict[str, str]) -> None:
    """Nothing an attacker writes into the headers is an error of ours."""
    address = await lite_room.add_pos()
    body, headers = lite_room.signed(sale())
    with pytest.raises(WebhookRefusedError):
        await lite_room.receiver.receive("pos", address, headers | spoil, body, "corr")
    with pytest.raises(WebhookRefusedError):
        await lite_room.receiver.receive("pos", address, headers, body + b" ", "corr")
    with pytest.raises(WebhookRefusedError):
        await lite_room.receiver.receive("pos", address, headers, b"\xff\xfe", "corr")
    assert await lite_room.events() == []


async def test_two_secrets_are_live_during_a_rotation_and_one_after(room: Mailroom) -> None:
    """Which one fitted is kept, so that one sees when the old one is no longer used."""
    address = await room.add_pos(secret=OTHER_SECRET, previous_secret=POS_SECRET)
    await room.sell(address, sale(1), "msg_1")
    await room.sell(address, sale(2), "msg_2", secret=OTHER_SECRET)
    body, headers = room.signed(sale(3), "msg_3")
    both = room.signed(sale(3), "msg_3", secret=OTHER_SECRET)[1]["webhook-signature"]
    headers["webhook-signature"] += f" {both}"
    await room.receiver.receive("pos", address, headers, body, "corr")
    assert [event.verified_by for event in await room.events()] == ["previous_secret", "secret", "secret"]
    await room.execute("UPDATE endpoints SET sealed = :sealed", json.dumps({"secret": OTHER_SECRET}))
    with pytest.raises(WebhookRefusedError):
        await room.sell(address, sale(4), "msg_4")


async def test_nobody_listens_at_an_address_that_is_none(room: Mailroom) -> None:
    """Unknown, malformed, another provider's: all the same, and nothing is counted."""
    address = await room.add_pos()
    tenant, _, endpoint = address.partition(".")
    body, headers = room.signed(sale())
    wrong = [("pos", "x"), ("pos", f"{endpoint}.{tenant}"), ("pos", f"{tenant}.{tenant}"), ("http", address)]
    for provider, elsewhere in [*wrong, ("scripted", address), ("pos", f"{address}0"), ("pos", address.upper() + "Z")]:
        with pytest.raises(UnknownWebhookError):
            await room.receiver.receive(provider, elsewhere, headers, body, "corr")
    assert await list_refusals(room.shop.database, room.shop.tenant_id) == []


async def test_an_event_id_no_database_would_take_is_kept_by_its_hash(room: Mailroom) -> None:
    """Long or odd, it still tells one event from another."""
    address = await room.add("scripted", {}, {})
    for event_id in ("x" * 201, "\x00", "è", "x" * 201):
        await room.tell(address, event_id, "Rossi")
    ids = [event.event_id for event in await room.events()]
    assert len(ids) == 3
    assert all(event_id.startswith("sha256:") for event_id in ids)


async def test_many_at_once_are_each_kept_once(room: Mailroom) -> None:
    """A vendor that sends everything twice and all at the same time."""
    address = await room.add_pos()
    outcomes: list[str] = []

    async def send(number: int) -> None:
        outcomes.append((await room.sell(address, sale(number), f"msg_{number}")).outcome)

    async with anyio.create_task_group() as tasks:
        for number in [*range(40), *range(40)]:
            tasks.start_soon(send, number)
    assert (outcomes.count("stored"), outcomes.count("rearmed")) == (40, 40)
    await room.processor().drain()
    assert await room.states() == {"done": 40}
    assert len(await room.records("sales")) == 40


async def test_another_tenants_events_are_not_seen(room: Mailroom) -> None:
    """A list, a look and a count know one tenant."""
    receipt = await room.sell(await room.add_pos(), sale())
    stranger = replace(Filter(), ids=[receipt.receipt_id])
    other = await room.shop.admin.add_tenant("Altro")
    assert await list_events(room.shop.database, other, stranger) == []
    with pytest.raises(InboxError):
        await show_event(room.shop.database, other, receipt.receipt_id)
