"""The vendors of `vendors_desk` as tests see them: a process to put sales into, and webhooks signed as they sign."""

import base64
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import httpx

from tests.support.processes import ServerProcess, server_process
from tests.support.vendors_desk import MERCHANT, TOKEN

SIGNATURE_KEY = "signature-key-of-the-subscription"
CLIENT_SECRET = "client-secret-of-the-app"
HOOK = "0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://cassa.example.it"


class Vendors:
    """Running vendors."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process
        common: dict[str, Any] = {"shop": "centro", "poll_every_s": 60, "poll_overlap_minutes": 60, "backfill_days": 30}
        self.settings: Mapping[str, Mapping[str, Any]] = {
            "square": {**common, "base_url": f"{process.url}/square", "locations": "L1,L2"},
            "shopify": {**common, "shop_url": f"{process.url}/shopify"},
            "sumup": {**common, "base_url": f"{process.url}/sumup", "merchant_code": MERCHANT},
        }
        self.secrets = {
            "square": {"access_token": TOKEN, "signature_key": SIGNATURE_KEY},
            "shopify": {"access_token": TOKEN, "client_secret": CLIENT_SECRET},
            "sumup": {"api_key": TOKEN, "hook": HOOK},
        }

    async def put(self, vendor: str, kind: str, told: Mapping[str, Any]) -> None:
        """Have an object, or have it changed."""
        await self._control("put", {"vendor": vendor, "kind": kind, "object": told})

    async def clear(self) -> None:
        """Forget everything."""
        await self._control("clear", {})

    async def behave(self, vendor: str, status: int, times: int) -> None:
        """Answer so many times with this status."""
        await self._control("behave", {"vendor": vendor, "status": status, "times": times})

    async def calls(self, vendor: str, path: str) -> int:
        """How often a path was asked for."""
        calls = cast("list[dict[str, Any]]", (await self._control("calls", {}))["calls"])
        return len([one for one in calls if one["vendor"] == vendor and one["path"].startswith(path)])

    async def _control(self, what: str, told: Mapping[str, Any]) -> dict[str, Any]:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.post(f"{self.process.url}/control/{what}", json=told)
        answer.raise_for_status()
        return cast("dict[str, Any]", answer.json())


@asynccontextmanager
async def vendors_process(folder: Path) -> AsyncIterator[Vendors]:
    """Start them; their log is kept in `folder`."""
    async with server_process(["-m", "tests.support.vendors_desk", "{port}"], folder / "vendors.log") as process:
        yield Vendors(process)


def _mac(key: str, signed: bytes) -> str:
    return base64.b64encode(hmac.new(key.encode(), signed, sha256).digest()).decode()


def square_webhook(
    url: str, order_id: str, event_id: str, kind: str = "payment", key: str = SIGNATURE_KEY, **more: Any
) -> tuple[bytes, dict[str, str]]:
    """A webhook of Square about a payment, a refund or an order: body and headers."""
    named = {"id": f"{kind}-{order_id}", "order_id": order_id, **more}
    body = json.dumps(
        {
            "merchant_id": "M1",
            "type": f"{kind}.updated",
            "event_id": event_id,
            "created_at": "2025-11-24T16:00:00Z",
            "data": {
                "type": kind,
                "id": named["id"],
                "object": {"order_updated" if kind == "order" else kind: named},
            },
        }
    ).encode()
    return body, {"x-square-hmacsha256-signature": _mac(key, url.encode() + body)}


def shopify_webhook(
    told: Mapping[str, Any], event_id: str, topic: str = "orders/updated", key: str = CLIENT_SECRET
) -> tuple[bytes, dict[str, str]]:
    """A webhook of Shopify: body and headers."""
    body = json.dumps(told).encode()
    return body, {
        "x-shopify-hmac-sha256": _mac(key, body),
        "x-shopify-event-id": event_id,
        "x-shopify-topic": topic,
        "x-shopify-shop-domain": "bar.myshopify.com",
    }


def _euro(cents: int) -> dict[str, Any]:
    return {"amount": cents, "currency": "EUR"}


def square_order(order_id: str, at: str = "2025-11-24T10:00:00Z", **more: Any) -> dict[str, Any]:
    """Two coffees at 10 % and a book at 4 %, paid by card with a tip: 2.40 + 10.00, tip 1.00."""
    return {
        "id": order_id,
        "location_id": "L1",
        "state": "COMPLETED",
        "version": 4,
        "created_at": at,
        "updated_at": at,
        "closed_at": at,
        "line_items": [
            {
                "uid": "1",
                "name": "Caffè",
                "quantity": "2",
                "total_money": _euro(240),
                "applied_taxes": [{"uid": "a", "tax_uid": "iva10"}],
            },
            {
                "uid": "2",
                "name": "Libro",
                "quantity": "1",
                "total_money": _euro(1000),
                "applied_taxes": [{"uid": "b", "tax_uid": "iva4"}],
            },
        ],
        "taxes": [
            {"uid": "iva10", "name": "IVA", "percentage": "10", "type": "INCLUSIVE"},
            {"uid": "iva4", "name": "IVA", "percentage": "4.0", "type": "INCLUSIVE"},
        ],
        "tenders": [{"id": f"p-{order_id}", "type": "CARD", "payment_id": f"p-{order_id}"}],
        "total_money": _euro(1340),
        "total_tip_money": _euro(100),
    } | more


def square_payment(order_id: str) -> dict[str, Any]:
    """The payment of an order, taken at a till."""
    return {"id": f"p-{order_id}", "order_id": order_id, "device_details": {"device_id": "till-7"}}


def square_return(order_id: str, of: str, at: str = "2025-11-25T10:00:00Z") -> dict[str, Any]:
    """An order that returns one of the two coffees of another."""
    return {
        "id": order_id,
        "location_id": "L1",
        "state": "COMPLETED",
        "version": 2,
        "created_at": at,
        "updated_at": at,
        "returns": [
            {
                "source_order_id": of,
                "return_line_items": [
                    {
                        "name": "Caffè",
                        "quantity": "1",
                        "total_money": {"amount": 120, "currency": "EUR"},
                        "applied_taxes": [{"uid": "a", "tax_uid": "iva10"}],
                    }
                ],
                "return_taxes": [{"uid": "iva10", "percentage": "10"}],
            }
        ],
        "refunds": [{"id": f"r-{order_id}", "amount_money": {"amount": 120, "currency": "EUR"}}],
    }


def shopify_order(order_id: int, at: str = "2025-11-24T11:00:00+01:00", **more: Any) -> dict[str, Any]:
    """A shirt at 22 % with a discount, and its shipping: 30.50 less 5.00, and 6.10."""
    return {
        "id": order_id,
        "order_number": order_id,
        "created_at": at,
        "processed_at": at,
        "updated_at": at,
        "currency": "EUR",
        "financial_status": "paid",
        "taxes_included": True,
        "total_price": "31.60",
        "total_tip_received": "0.00",
        "email": "canary@example.org",
        "line_items": [
            {
                "id": 1,
                "title": "Maglietta",
                "quantity": 1,
                "price": "30.50",
                "discount_allocations": [{"amount": "5.00"}],
                "tax_lines": [{"rate": 0.22, "price": "4.60", "title": "IVA"}],
            }
        ],
        "shipping_lines": [
            {"id": 2, "title": "Spedizione", "price": "6.10", "tax_lines": [{"rate": 0.22, "price": "1.10"}]}
        ],
        "refunds": [],
        "payment_gateway_names": ["shopify_payments"],
        "test": False,
    } | more


def shopify_refund(refund_id: int, amount: str, at: str = "2025-11-25T09:00:00+01:00") -> dict[str, Any]:
    """Money given back, without a word on what for."""
    return {
        "id": refund_id,
        "created_at": at,
        "refund_line_items": [],
        "transactions": [{"kind": "refund", "status": "success", "amount": amount, "gateway": "shopify_payments"}],
    }


def sumup_transaction(transaction_id: str, at: str = "2025-11-24T10:00:00.000Z", **more: Any) -> dict[str, Any]:
    """12.20 at 22 % and 1.10 at 10 %, as JSON numbers."""
    return {
        "id": transaction_id,
        "transaction_code": "TEENSK4W2K",
        "amount": 13.3,
        "currency": "EUR",
        "timestamp": at,
        "status": "SUCCESSFUL",
        "payment_type": "POS",
        "tip_amount": 0,
        "products": [
            {"name": "Sciarpa", "quantity": 1, "vat_rate": 0.22, "total_with_vat": 12.2},
            {"name": "Caffè", "quantity": 1, "vat_rate": 0.1, "total_with_vat": 1.1},
        ],
        "vat_rates": [{"rate": 0.22, "gross": 12.2, "net": 10, "vat": 2.2}, {"rate": 0.1, "gross": 1.1}],
        "events": [],
    } | more


def sumup_checkout(checkout_id: str, transaction_id: str | None) -> dict[str, Any]:
    """A checkout, paid or not."""
    paid = [] if transaction_id is None else [{"id": transaction_id, "status": "SUCCESSFUL", "amount": 13.3}]
    return {"id": checkout_id, "status": "PAID" if paid else "PENDING", "amount": 13.3, "transactions": paid}
