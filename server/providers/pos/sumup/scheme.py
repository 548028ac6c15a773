"""Scheme `sumup`: a hint that names a checkout, at a secret address. What counts is the transaction that is fetched.

A checkout names its transaction; a poll names one outright. Either way the sale is known by the transaction's id.
"""

from pydantic import BaseModel, ConfigDict, Field, ValidationError
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
    WebhookRefusedError,
)
from server.providers.pos.exact import parse_exact
from server.providers.pos.sumup.api import SumUpApi
from server.providers.pos.sumup.transaction import PAID, REFUND, TRANSACTION, Checkout, RefundOf, Transaction

_ID = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$"


class _Payload(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    checkout_id: str | None = Field(default=None, pattern=_ID)


class Hint(BaseModel):
    """What SumUp sends, in the form of 2020 (`id`) or of 2024 (`payload.checkout_id`)."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = Field(default="", max_length=80)
    event_type: str = Field(default="", max_length=64)
    payload: _Payload | None = None

    @property
    def checkout_id(self) -> str:
        """The checkout it is about."""
        return self.id if self.payload is None or self.payload.checkout_id is None else self.payload.checkout_id


class SumUpScheme:
    """Checkouts of SumUp."""

    kind: SchemeKind = "hint"
    fetches = True
    kept_headers = frozenset[str]()

    def __init__(self, api: SumUpApi) -> None:
        """`api` fetches."""
        self._api = api

    def verify(self, _account: Account, received: Received) -> Recognised:
        """Which checkout is meant. Raises WebhookRefusedError where none is named."""
        try:
            hint = Hint.model_validate_json(received.body)
        except ValidationError:
            raise WebhookRefusedError("unreadable") from None
        if not hint.checkout_id.replace("-", "").replace("_", "").isalnum() or not hint.checkout_id.isascii():
            raise WebhookRefusedError("unreadable")
        return Recognised("", hint.event_type, hint.checkout_id, "hint")

    async def fetch(self, event: WebhookEvent) -> Fetched | None:
        """The transaction, by way of its checkout where that was named. Raises OutboundError, DeliveryError."""
        told = from_json(event.body)
        transaction_id = told.get("transaction_id")
        if transaction_id is None:
            fetched = await self._api.checkout(event.account, str(told["object_id"]))
            if fetched.content is None:
                return fetched
            checkout = _checkout(fetched.content)
            if checkout.id != told["object_id"]:
                raise UnusableEventError("another_object", "It is another checkout than the one that was asked for.")
            transaction_id = checkout.paid_by
            if transaction_id is None:
                return Fetched(fetched.answer)
        fetched = await self._api.transaction(event.account, str(transaction_id))
        return fetched._replace(facts={"transaction_id": str(transaction_id)})

    def read(self, event: WebhookEvent, fetched: Fetched | None) -> Reading:
        """The sale and its refunds. Raises UnusableEventError."""
        if fetched is None or fetched.content is None:
            return Reading(ignored="the checkout is not paid")
        paid: Transaction = TRANSACTION.parse(parse_exact(fetched.content))
        if paid.id != fetched.facts.get("transaction_id"):
            raise UnusableEventError("another_object", "It is another transaction than the one that was asked for.")
        if paid.status == "CANCELLED":
            return Reading([_sale(paid, event.account)._replace(known_only=True)])
        if paid.status not in PAID:
            return Reading(ignored="the payment was not made")
        return Reading([_sale(paid, event.account), *_refunds(paid, event.account)])


def _sale(paid: Transaction, account: Account) -> Draft:
    key = f"{account.endpoint_id}:transaction/{paid.id}"
    draft = TRANSACTION.draft(paid, account, key, f"transaction {paid.id} {paid.status}")
    return draft._replace(final=paid.status == "CANCELLED")


def _refunds(paid: Transaction, account: Account) -> list[Draft]:
    """A refund never changes: its id is its version."""
    return [
        REFUND.draft(
            RefundOf(transaction=paid, event=one),
            account,
            f"{account.endpoint_id}:refund/{one.id}",
            f"refund {one.id}",
        )
        for one in paid.events
        if one.is_refund
    ]


def _checkout(content: bytes) -> Checkout:
    try:
        return Checkout.model_validate_json(content)
    except ValidationError:
        raise UnusableEventError("invalid", "It is no checkout.") from None
