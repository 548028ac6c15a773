"""What people are told: what arrives at the browser, decrypted there."""

import pytest

from server.ports import Notice
from server.webpush.composing import BURST_MS, PACE_MS
from tests.webpush.beach import HOUR_MS, MINUTE_MS, Beach


async def test_an_invoice_that_arrives_is_told_with_supplier_and_total(beach: Beach) -> None:
    """In the exact shape that the page of this integration promises the service worker."""
    browser = await beach.owner()
    record_id = await beach.invoice()
    await beach.tell()
    (message,) = await beach.service.messages(browser)
    tag = message["notification"].pop("tag")
    assert message == {
        "web_push": 8030,
        "notification": {
            "title": "Nuova fattura: Rossi Srl, 1.234,50 €",
            "body": "Tocca per leggerla.",
            "navigate": f"https://shop.example/invoices/{record_id}",
            "lang": "it",
            "dir": "ltr",
            "silent": False,
            "data": {"kind": "invoice", "ids": [record_id], "count": 1},
        },
        "app_badge": 1,
        "mutable": True,
    }
    assert tag.startswith("invoice-")
    assert await beach.outlet.states() == {"delivered": 1}
