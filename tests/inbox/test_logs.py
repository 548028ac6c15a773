"""What is logged: one line a receipt and one an attempt, under one correlation id, and nothing that is anybody's."""

import json
from io import StringIO

import pytest

from server.inbox.receive import UnknownWebhookError
from server.ports import Fetched, Reading, UnusableEventError, WebhookEvent, WebhookRefusedError
from server.resilience.errors import PermanentError
from tests.inbox.mailroom import OTHER_SECRET, POS_SECRET, Mailroom, sale, scripted
from tests.inbox.scripted import Failing, raising

CANARY = "Canarino-Giallo-4711"


def lines(logs: StringIO) -> list[dict[str, object]]:
    """What was logged, a line an object."""
    return [json.loads(line) for line in logs.getvalue().splitlines()]


async def test_one_correlation_id_from_the_webhook_to_its_end(lite_room: Mailroom, logs: StringIO) -> None:
    """The first delivery's, whoever repeats it under another."""
    address = await lite_room.add("scripted", {}, {})
    receipt = await lite_room.tell(address, "e1", "Rossi", "corr-first-0001")
    await lite_room.tell(address, "e1", "Rossi", "corr-second-002")
    await lite_room.processor().drain()
    told = [(line["event"], line["correlation_id"], line.get("first_correlation_id")) for line in lines(logs)]
    assert told == [
        ("webhook_received", "corr-first-0001", "corr-first-0001"),
        ("webhook_received", "corr-second-002", "corr-first-0001"),
        ("event_processed", "corr-first-0001", None),
    ]
    assert {line["receipt_id"] for line in lines(logs)} == {receipt.receipt_id}
    assert {line["endpoint_id"] for line in lines(logs)} == {lite_room.endpoints["scripted"]}


async def test_no_secret_no_body_and_no_name_on_any_way_an_event_can_take(lite_room: Mailroom, logs: StringIO) -> None:
    """Stored, repeated, contradicting, forged, unknown, broken, refused, dead, quarantined, failed by a defect."""
    room, source = lite_room, scripted(lite_room)
    pos, other = await room.add_pos(), await room.add("scripted", {}, {})
    named = sale(note=CANARY, lines=[{**sale()["lines"][0], "description": CANARY}])
    for number, told in enumerate(
        (named, named, named | {"total": "9.99"}, {"id": CANARY}, named | {"sold_at": CANARY})
    ):
        await room.sell(pos, told, f"msg_{CANARY}_{min(number, 1)}")
        await room.sell(pos, told, f"msg_{CANARY}_{number}_again")
    with pytest.raises(WebhookRefusedError):
        await room.sell(pos, named, secret=OTHER_SECRET)
    with pytest.raises(UnknownWebhookError):
        await room.receiver.receive("pos", CANARY, {"authorization": CANARY}, CANARY.encode(), "corr")
    await room.processor().drain()
    for number, trouble in enumerate((PermanentError("gone"), ValueError(CANARY), UnusableEventError("odd", CANARY))):
        await room.tell(other, f"e{CANARY}{number}", CANARY)
        source.fetching = raising(trouble)
        await room.processor().drain()
    source.fetching = lambda _event: None
    await room.tell(other, f"e{CANARY}9", CANARY)
    await room.processor(applying=Failing(room.shop.applier, RuntimeError(CANARY), 1)).drain()
    source.reading = broken
    await room.pass_time(3600)
    await room.processor().drain()
    written = logs.getvalue()
    assert written.count("event_processed") >= 10
    for secret in (CANARY, POS_SECRET.removeprefix("whsec_"), OTHER_SECRET.removeprefix("whsec_"), "webhook-signature"):
        assert secret not in written


def broken(event: WebhookEvent, _fetched: Fetched | None) -> Reading:
    """A reader with a defect that quotes what it read."""
    raise RuntimeError(event.body.decode())


async def test_what_only_a_person_can_help_alarms(lite_room: Mailroom, logs: StringIO) -> None:
    """And nothing else does."""
    source = scripted(lite_room)
    address = await lite_room.add("scripted", {}, {})
    await lite_room.tell(address, "e1", "Rossi")
    await lite_room.processor().drain()
    source.fetching = raising(PermanentError("gone"))
    await lite_room.tell(address, "e2", "Verdi")
    await lite_room.processor().drain()
    await lite_room.tell(address, "e1", "Bianchi")
    alarms = [(line["event"], line["level"]) for line in lines(logs) if line.get("alarm")]
    assert alarms == [("event_processed", "error"), ("webhook_received", "warning")]
