"""Shopify: whole orders by webhook, the rest by the list; refunds are sales of their own, to the cent."""

import pytest

from server.ports import WebhookRefusedError
from tests.pos.counter import Counter, open_counter
from tests.support.vendors import Vendors, shopify_order, shopify_refund, shopify_webhook


async def test_an_order_becomes_a_sale_without_any_call(shopify: Counter) -> None:
    """Discount and shipping included; the same action's other topics say nothing new."""
    told = shopify_order(1001)
    await shopify.shopify(told, "e1", "orders/create")
    await shopify.shopify(told, "e1", "orders/paid")
    await shopify.process()
    (sale,) = await shopify.sales()
    assert (sale["total"], sale["receipt_no"], sale["terminal_id"]) == ("31.60", 1001, "shopify")
    assert [(line["description"], line["total"]) for line in sale["lines"]] == [
        ("Maglietta", "25.50"),
        ("Spedizione", "6.10"),
    ]
    assert sale["vat"] == [{"rate": "22.00", "gross": "31.60", "net": "25.90", "vat": "5.70"}]
    assert await shopify.room.states() == {"done": 2}
    assert await shopify.vendors.calls("shopify", "/admin") == 0


async def test_what_no_webhook_told_is_found_and_what_came_is_left_alone(shopify: Counter) -> None:
    """Over pages; of a list nothing is asked that tells of persons."""
    for number in (1001, 1002, 1003):
        await shopify.vendors.put("shopify", "orders", shopify_order(number))
    await shopify.shopify(shopify_order(1001), "e1")
    await shopify.poll()
    assert sorted(sale["receipt_no"] for sale in await shopify.sales()) == [1001, 1002, 1003]
    assert await shopify.vendors.calls("shopify", "/admin/api/2024-10/orders/") == 2
    bodies = [row[0] for row in await shopify.room.fetch("SELECT body FROM inbox WHERE source = 'poll'")]
    assert not [body for body in bodies if b"canary" in bytes(body)]


async def test_a_refund_is_found_whoever_tells_of_it_and_counted_once(shopify: Counter) -> None:
    """By its own webhook, by its order's, by a poll alone; in part, and then the rest."""
    await shopify.shopify(shopify_order(1001), "e1")
    changed = shopify_order(1001, financial_status="partially_refunded") | {
        "updated_at": "2025-11-24T16:00:30+01:00",
        "refunds": [shopify_refund(77, "10.00")],
    }
    await shopify.vendors.put("shopify", "orders", changed)
    await shopify.poll()
    await shopify.shopify({"id": 77, "order_id": 1001, "refund_line_items": []}, "e2", "refunds/create")
    await shopify.shopify(changed, "e2")
    await shopify.process()
    sold, returned = await shopify.sales()
    assert (sold["total"], sold["status"]) == ("31.60", "completed")
    assert (returned["total"], returned["business_day"], returned["receipt_no"]) == ("-10.00", "2025-11-25", 0)
    assert returned["vat"] == [{"rate": "22.00", "gross": "-10.00", "net": "-8.20", "vat": "-1.80"}]


async def test_prices_without_tax_and_tills_of_the_point_of_sale(shopify: Counter) -> None:
    """A till of its own, paid in cash, tax on top; a tip is left out."""
    line = {"id": 1, "title": "Sedia", "quantity": 3, "price": "10.00", "tax_lines": [{"rate": 0.22, "price": "6.60"}]}
    told = shopify_order(
        1001,
        taxes_included=False,
        total_price="38.60",
        total_tip_received="2.00",
        line_items=[line],
        shipping_lines=[{"id": 2, "title": "Gratis", "price": "0.00", "tax_lines": []}],
        device_id=42,
        payment_gateway_names=["cash"],
    )
    await shopify.shopify(told, "e1")
    await shopify.process()
    (sale,) = await shopify.sales()
    assert (sale["total"], sale["terminal_id"], sale["payment_method"]) == ("36.60", "pos-42", "cash")
    assert sale["lines"][0]["unit_price"] == "12.20"


async def test_what_is_not_paid_or_only_a_test_is_no_sale(shopify: Counter) -> None:
    """It becomes one when it is paid."""
    await shopify.shopify(shopify_order(1001, financial_status="pending"), "e1")
    await shopify.shopify(shopify_order(1002, test=True), "e2")
    free = {"id": 1, "title": "Campione", "quantity": 1, "price": "0.00"}
    await shopify.shopify(shopify_order(1003, total_price="0.00", line_items=[free], shipping_lines=[]), "e3")
    await shopify.process()
    assert (await shopify.sales(), await shopify.room.states()) == ([], {"ignored": 3})
    await shopify.shopify(shopify_order(1001) | {"updated_at": "2025-11-24T12:00:00+01:00"}, "e4")
    await shopify.process()
    assert len(await shopify.sales()) == 1


async def test_a_body_that_was_touched_is_refused(sqlite_url: str, vendors: Vendors) -> None:
    """The signature covers the raw bytes, and nothing but them."""
    async with open_counter(sqlite_url, vendors, "shopify") as counter:
        body, headers = shopify_webhook(shopify_order(1001), "e1")
        for touched in (body + b" ", body.replace(b"31.60", b"31.61")):
            with pytest.raises(WebhookRefusedError, match="bad_signature"):
                await counter.room.receiver.receive("shopify", counter.address, headers, touched, "corr")
        assert (await counter.shopify(shopify_order(1001), "e1")).outcome == "stored"


async def test_sums_that_do_not_agree_are_quarantined(sqlite_url: str, vendors: Vendors) -> None:
    """A person looks; nothing is rounded into place."""
    async with open_counter(sqlite_url, vendors, "shopify") as counter:
        await counter.shopify(shopify_order(1001, total_price="31.61"), "e1")
        await counter.shopify(shopify_order(1002, currency="USD"), "e2")
        await counter.shopify(shopify_order(1003, total_price="31.605"), "e3")
        await counter.process()
        assert sorted(str(one.error) for one in await counter.room.events()) == [
            "another_currency",
            "inexact",
            "sums_differ",
        ]
