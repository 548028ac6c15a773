"""SumUp: hints that nobody signed, and a history; what counts is the transaction that is fetched."""

import json
from typing import Any

import pytest

from server.ports import WebhookRefusedError
from tests.pos.counter import Counter, open_counter
from tests.support.vendors import Vendors, sumup_checkout, sumup_transaction


def refund(event_id: int, amount: float) -> dict[str, object]:
    """Money given back, as the transaction tells of it."""
    at = "2025-11-25T12:00:00.000Z"
    return {"id": event_id, "event_type": "REFUND", "status": "REFUNDED", "amount": amount, "timestamp": at}


async def test_a_hint_leads_to_its_checkouts_transaction(sumup: Counter) -> None:
    """In the form of 2020 and in that of 2024; amounts are read as they are written, and no float is made of them."""
    await sumup.vendors.put("sumup", "checkouts", sumup_checkout("c-1", "t-1"))
    await sumup.vendors.put("sumup", "transactions", sumup_transaction("t-1"))
    await sumup.sumup(json.dumps({"event_type": "CHECKOUT_STATUS_CHANGED", "id": "c-1"}).encode())
    await sumup.process()
    payload = {"checkout_id": "c-1", "status": "PAID"}
    await sumup.sumup(json.dumps({"id": "e", "event_type": "checkout.status.updated", "payload": payload}).encode())
    await sumup.process()
    (sale,) = await sumup.sales()
    assert (sale["total"], sale["payment_method"], sale["terminal_id"]) == ("13.30", "card", "sumup")
    assert sale["vat"] == [
        {"rate": "22.00", "gross": "12.20", "net": "10.00", "vat": "2.20"},
        {"rate": "10.00", "gross": "1.10", "net": "1.00", "vat": "0.10"},
    ]


async def test_card_readers_tell_nobody_and_are_found_by_the_history(sumup: Counter) -> None:
    """Over pages; a checkout's transaction that was told of by a hint is the same sale."""
    for number in range(1, 6):
        at = f"2025-11-24T10:0{number}:00.000Z"
        await sumup.vendors.put("sumup", "transactions", sumup_transaction(f"t-{number}", at))
    await sumup.vendors.put("sumup", "checkouts", sumup_checkout("c-1", "t-1"))
    await sumup.sumup(b'{"id": "c-1"}')
    await sumup.process()
    await sumup.poll()
    await sumup.poll()
    assert len(await sumup.sales()) == 5
    assert set(await sumup.room.states()) == {"done"}


async def test_refunds_and_cancellations_are_found_by_the_history(sumup: Counter) -> None:
    """A refund in part is a negative sale; a cancelled payment is a voided one; one that never was here is nothing."""
    for transaction_id in ("t-1", "t-2"):
        await sumup.vendors.put("sumup", "transactions", sumup_transaction(transaction_id))
    await sumup.poll()
    back: dict[str, Any] = {
        "status": "REFUNDED",
        "events": [refund(9, 6.65)],
        "refunded_amount": 6.65,
        "changed_at": "2025-11-24T16:01:00Z",
    }
    await sumup.vendors.put("sumup", "transactions", sumup_transaction("t-1", **back))
    gone: dict[str, Any] = {"status": "CANCELLED", "changed_at": "2025-11-24T16:01:00Z"}
    for transaction_id in ("t-2", "t-3"):
        await sumup.vendors.put("sumup", "transactions", sumup_transaction(transaction_id, **gone))
    await sumup.poll()
    await sumup.poll()
    totals = sorted((sale["total"], sale["status"]) for sale in await sumup.sales())
    assert totals == [("-6.65", "completed"), ("13.30", "completed"), ("13.30", "voided")]
    (returned,) = [sale for sale in await sumup.sales() if sale["total"] == "-6.65"]
    assert [(one["rate"], one["gross"]) for one in returned["vat"]] == [("22.00", "-6.10"), ("10.00", "-0.55")]


async def test_a_checkout_that_is_not_paid_is_no_sale(sumup: Counter) -> None:
    """Nor one that is not there."""
    await sumup.vendors.put("sumup", "checkouts", sumup_checkout("c-1", None))
    await sumup.sumup(b'{"id": "c-1"}')
    await sumup.sumup(b'{"id": "c-2"}')
    await sumup.process()
    assert sorted((await sumup.room.states()).items()) == [("ignored", 1), ("pending", 1)]


async def test_a_hint_without_the_secret_address_or_a_name_is_refused(sqlite_url: str, vendors: Vendors) -> None:
    """And one that leads elsewhere."""
    async with open_counter(sqlite_url, vendors, "sumup") as counter:
        receive = counter.room.receiver.receive
        with pytest.raises(WebhookRefusedError, match="wrong_address"):
            await receive("sumup", counter.address, {}, b'{"id": "c-1"}', "corr")
        for body in (b"{}", b'{"id": ".."}', b'{"id": "a/b"}', b"[]", b'{"id": "x?y=1"}'):
            with pytest.raises(WebhookRefusedError, match="unreadable"):
                await counter.sumup(body)


async def test_a_payment_without_products_counts_at_the_assumed_rate(sqlite_url: str, vendors: Vendors) -> None:
    """What was typed into the reader as a bare amount; without the setting it waits for a person."""
    bare = sumup_transaction("t-1", products=[], vat_rates=[], tip_amount=0.3)
    await vendors.put("sumup", "transactions", bare)
    async with open_counter(sqlite_url, vendors, "sumup", default_rate="10.00") as counter:
        await counter.poll()
        (sale,) = await counter.sales()
        assert (sale["total"], sale["vat"][0]["rate"]) == ("13.00", "10.00")
