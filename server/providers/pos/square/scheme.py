"""Scheme `square`: base64 HMAC-SHA256 of the notification URL and the raw body, `x-square-hmacsha256-signature`.

The URL is the one the subscription was made with, to the byte: RIENTRO_PUBLIC_URL and the endpoint's path, unless the
settings say another. Nothing signed says when: an old webhook sent again is known by its `event_id`, and could only
cause a fetch. Square guarantees no order, so whatever an event tells of is fetched anew.
"""

from hashlib import sha256
from typing import Any

from pydantic_core import from_json, to_json

from server.ports import (
    Account,
    Fetched,
    Reading,
    Received,
    Recognised,
    SchemeKind,
    UnusableEventError,
    WebhookEvent,
    WebhookRefusedError,
    webhook_path,
)
from server.providers.pos.exact import parse_exact
from server.providers.pos.signatures import verify_hmac
from server.providers.pos.square.api import SquareApi
from server.providers.pos.square.order import ORDER, Order

SECRETS = ("signature_key", "previous_signature_key")
HEADER = "x-square-hmacsha256-signature"


def notification_url(account: Account, public_url: str | None) -> str | None:
    """Where Square was told to send; None where nobody knows."""
    said = account.settings.get("notification_url")
    if said:
        return str(said)
    path = webhook_path(account.tenant_id, "square", account.endpoint_id)
    return None if public_url is None else f"{public_url.rstrip('/')}{path}"


class SquareScheme:
    """Orders, payments and refunds of Square."""

    kind: SchemeKind = "signed"
    fetches = True
    kept_headers = frozenset(("square-environment", "square-retry-number", "square-initial-delivery-timestamp"))

    def __init__(self, api: SquareApi, public_url: str | None) -> None:
        """`api` fetches; `public_url` is where this server is reached."""
        self._api, self._public_url = api, public_url

    def verify(self, account: Account, received: Received) -> Recognised:
        """Check the signature. Raises WebhookRefusedError."""
        url = notification_url(account, self._public_url)
        if url is None:
            raise WebhookRefusedError("bad_signature")  # `provider test` says what to set
        fitted = verify_hmac(account, url.encode() + received.body, received.headers.get(HEADER, ""), SECRETS)
        told = _document(received.body)
        order_id = order_named(told)
        event_id, event_type = told.get("event_id"), told.get("type")
        return Recognised(
            event_id if isinstance(event_id, str) else f"sha256:{sha256(received.body).hexdigest()}",
            event_type if isinstance(event_type, str) else "",
            None if order_id is None else versioned(order_id, _version(told)),
            fitted,
        )

    async def fetch(self, event: WebhookEvent) -> Fetched | None:
        """The order the event is about. Raises OutboundError, DeliveryError."""
        order_id = order_named(parse_exact(event.body))
        return None if order_id is None else await self._api.order(event.account, order_id)

    def read(self, event: WebhookEvent, fetched: Fetched | None) -> Reading:
        """The sale. Raises UnusableEventError."""
        if fetched is None or fetched.content is None:
            return Reading(ignored="it tells of no order")
        told: Order = ORDER.parse(fetched.content)
        if told.id != order_named(parse_exact(event.body)):
            raise UnusableEventError("another_object", "It is another order than the one that was asked for.")
        if told.state != "COMPLETED":
            return Reading(ignored="the order is not completed")
        if not told.returns and not any(line.total_money.amount for line in (*told.line_items, *told.service_charges)):
            return Reading(ignored="nothing was paid")
        key = f"{event.account.endpoint_id}:order/{told.id}"
        draft = ORDER.draft(told, event.account, key, f"order {told.id} {told.version}")
        return Reading([draft._replace(watermark=told.version)])


def order_named(told: dict[str, Any]) -> str | None:
    """The order an event is about: that of its payment or refund, or itself."""
    data = told.get("data")
    named = data.get("object") if isinstance(data, dict) else None
    if not isinstance(named, dict):
        return None
    for one in named.values():
        order_id = one.get("order_id") if isinstance(one, dict) else None
        if isinstance(order_id, str) and 0 < len(order_id) <= 80:  # noqa: PLR2004  # as the order's own
            return order_id
    return None


def versioned(order_id: str, version: int | None) -> str:
    """What an event is about: an order in one version of it, where it says which."""
    return f"order/{order_id}" if version is None else f"order/{order_id}@{version}"


def _version(told: dict[str, Any]) -> int | None:
    """The version that an event of the order itself names."""
    for name in ("order_updated", "order_created"):
        one = told["data"]["object"].get(name)
        if isinstance(one, dict) and isinstance(one.get("version"), int):
            return int(one["version"])
    return None


def as_event(order_id: str) -> bytes:
    """What a poll found, in the form of a webhook."""
    return to_json({"type": "order.polled", "data": {"object": {"order": {"order_id": order_id}}}})


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = from_json(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
