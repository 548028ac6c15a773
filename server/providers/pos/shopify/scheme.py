"""Scheme `shopify`: base64 HMAC-SHA256 of the raw body with the app's client secret, `X-Shopify-Hmac-Sha256`.

The signature covers no header. `X-Shopify-Event-Id` is one for all topics that an action causes, so an event is known
by it and its topic; who makes one up for a body it saw has the same news read again, which changes nothing.
A body that is an order is the order; one that only names it (a refund, a poll) makes for a fetch.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from pydantic_core import from_json

from server.ports import (
    Account,
    Draft,
    Fetched,
    Reading,
    Received,
    Recognised,
    SchemeKind,
    UnusableEventError,
    WebhookEvent,
)
from server.providers.pos.days import millis
from server.providers.pos.exact import cents, parse_exact
from server.providers.pos.shopify.api import ShopifyApi
from server.providers.pos.shopify.order import ORDER, PAID, REFUND, Order, RefundOf
from server.providers.pos.signatures import verify_hmac

SECRETS = ("client_secret", "previous_client_secret")
HEADER = "x-shopify-hmac-sha256"


class ShopifyScheme:
    """Orders and refunds of a shop."""

    kind: SchemeKind = "signed"
    fetches = True
    kept_headers = frozenset(("x-shopify-topic", "x-shopify-event-id", "x-shopify-webhook-id", "x-shopify-api-version"))

    def __init__(self, api: ShopifyApi) -> None:
        """`api` fetches."""
        self._api = api

    def verify(self, account: Account, received: Received) -> Recognised:
        """Check the signature. Raises WebhookRefusedError."""
        fitted = verify_hmac(account, received.body, received.headers.get(HEADER, ""), SECRETS)
        topic = received.headers.get("x-shopify-topic", "")
        event_id = received.headers.get("x-shopify-event-id") or f"sha256:{sha256(received.body).hexdigest()}"
        return Recognised(f"{event_id}:{topic}", topic, _about(received.body), fitted)

    async def fetch(self, event: WebhookEvent) -> Fetched | None:
        """The order, where the body only names it. Raises UnusableEventError, OutboundError, DeliveryError."""
        told = parse_exact(event.body)
        order_id = told.get("order_id")
        if is_order(told) or type(order_id) is not int:
            return None
        return await self._api.order(event.account, order_id)

    def read(self, event: WebhookEvent, fetched: Fetched | None) -> Reading:
        """The sale and its refunds. Raises UnusableEventError."""
        told = parse_exact(event.body)
        if not is_order(told):
            if fetched is None or fetched.content is None:
                return Reading(ignored="it tells of no order")
            named, told = told.get("order_id"), parse_exact(fetched.content)
            if told.get("id") != named:
                raise UnusableEventError("another_object", "It is another order than the one that was asked for.")
        order: Order = ORDER.parse(told)
        if order.test:
            return Reading(ignored="it is a test order")
        if order.financial_status not in PAID:
            return Reading(ignored="the order is not paid")
        if not cents(order.total_price):
            return Reading(ignored="nothing was paid")
        return Reading([_sale(order, event.account), *_refunds(order, event.account)])


def is_order(told: Mapping[str, Any]) -> bool:
    """Whether a body is an order, and not something about one."""
    return "order_number" in told and "line_items" in told


def versioned(order_id: int, updated_at_ms: int) -> str:
    """What an event is about: an order as it was after one update."""
    return f"order/{order_id}@{updated_at_ms}"


def _sale(order: Order, account: Account) -> Draft:
    key, updated = f"{account.endpoint_id}:order/{order.id}", millis(order.updated_at)
    return ORDER.draft(order, account, key, f"order {order.id} {updated}")._replace(watermark=updated)


def _refunds(order: Order, account: Account) -> list[Draft]:
    """A refund never changes: its id is its version."""
    given = [one for one in order.refunds if one.amount]
    return [
        REFUND.draft(
            RefundOf(order=order, refund=one),
            account,
            f"{account.endpoint_id}:refund/{one.id}",
            f"refund {one.id}",
        )
        for one in given
    ]


def _about(body: bytes) -> str | None:
    try:
        told: Any = from_json(body)
    except ValueError:
        return None
    if not isinstance(told, dict):
        return None
    if not is_order(told):
        return f"order/{told['order_id']}" if type(told.get("order_id")) is int else None
    try:
        return versioned(int(told["id"]), millis(Order.model_validate(told).updated_at))
    except (ValueError, KeyError, TypeError):
        return None
