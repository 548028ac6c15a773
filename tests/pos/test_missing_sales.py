"""The story: our handler was broken for an hour, webhooks died, others never came; and no sale is missing or twice.

Told at Square, on both databases: what died is replayed with one command, what was never delivered the poll finds, the
day's closing says that all is there.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from server.inbox.admin import replay
from server.inbox.listing import Filter
from server.ports import Fetched, Reading, WebhookEvent
from server.providers.pos.square.scheme import SquareScheme
from server.reconcile.settle import Settling
from server.reconcile.worker import Reconciler
from tests.pos.counter import Counter
from tests.reconcile.desk import closing
from tests.support.vendors import square_order, square_payment

DAY = [f"o{number:02}" for number in range(1, 13)]
BEFORE, BROKEN, NEVER_DELIVERED = DAY[:3], DAY[3:8], DAY[8:]


async def ring_up(square: Counter) -> None:
    """A day's sales at Square, one a minute."""
    for minute, order_id in enumerate(DAY):
        at = f"2025-11-24T10:{minute:02}:00Z"
        await square.vendors.put("square", "orders", square_order(order_id, at))
        await square.vendors.put("square", "payments", square_payment(order_id))


async def reconciled(square: Counter) -> Mapping[str, Any]:
    """What the closing's comparison says now, on the owner's phone."""
    shop = square.room.shop
    await Reconciler(shop.database, shop.writer, Settling(shop.records, shop.applier)).once()
    await square.room.owner.pull("reconciliations")
    ((_, change),) = [one for one in square.room.owner.received.items() if one[0][0] == "reconciliations"]
    fields: Mapping[str, Any] = change["fields"]
    return fields


async def an_hour_passes(square: Counter) -> None:
    """And a little more, by the clock; what is due is tried again and again."""
    for _ in range(10):
        await square.process()
        await square.room.pass_time(400)


async def close(square: Counter) -> None:
    """The day's closing, of sales as Square's own page shows them."""
    one = {
        "vat": [{"rate": "10.00", "gross": "2.40"}, {"rate": "4.00", "gross": "10.00"}],
        "payment_method": "card",
        "total": "12.40",
        "receipt_no": 0,
    }
    fields = {"shop": "centro", **closing([one] * len(DAY)), "terminal_id": "till-7"}
    made = square.room.owner.mutation("closures", square.room.shop.new_id(), fields=fields)
    answer = await square.room.owner.send(made)
    assert [v["status"] for v in answer["verdicts"]] == ["applied"]


async def test_after_an_hour_of_a_broken_handler_nothing_is_missing_and_nothing_is_there_twice(
    square: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three sales before, five whose events died, four that nobody ever told of."""
    await ring_up(square)
    for order_id in BEFORE:
        await square.square(order_id, f"event-{order_id}")
    await square.process()

    mended = SquareScheme.read

    def broken(_scheme: SquareScheme, _event: WebhookEvent, _fetched: Fetched | None) -> Reading:
        raise KeyError("line_items")  # a defect of ours: what it failed for, no vendor can mend

    monkeypatch.setattr(SquareScheme, "read", broken)
    for order_id in BROKEN:
        await square.square(order_id, f"event-{order_id}")
    await an_hour_passes(square)
    assert await square.room.states() == {"dead": len(BROKEN), "done": len(BEFORE)}
    await close(square)
    one = await reconciled(square)
    assert (one["status"], one["expected_count"], one["arrived_count"]) == ("open", len(DAY), len(BEFORE))

    monkeypatch.setattr(SquareScheme, "read", mended)
    # rientro inbox replay --tenant T --provider square --state dead
    wanted = Filter(states=["dead"], provider="square", limit=1000)
    assert await replay(square.room.shop.writer, square.room.shop.tenant_id, wanted) == len(BROKEN)
    await square.room.pass_time(1)
    await square.process()
    assert len(await square.sales()) == len(BEFORE) + len(BROKEN)
    assert (await reconciled(square))["status"] == "open"

    await square.poll()
    for order_id in BROKEN:  # and Square, which never heard a 2xx for some, sends again
        await square.square(order_id, f"event-{order_id}-again")
    await square.process()
    sales = await square.sales()
    assert len(sales) == len(DAY)
    assert [sale["sold_at"][14:16] for sale in sales] == [f"{minute:02}" for minute in range(len(DAY))]
    assert set(await square.room.states()) == {"done"}
    one = await reconciled(square)
    assert (one["status"], one["arrived_total"], one["differences"]) == ("closed", "148.80", [])
