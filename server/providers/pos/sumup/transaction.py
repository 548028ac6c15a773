"""SumUp's transaction, typed, and the sales it becomes: one for the payment, a negative one for each refund in it.

Amounts are JSON numbers, read as they are written. Rates come as fractions (0.22) or per cent (22): what is below one
is a fraction, for no VAT is. A tip is no taking and is left out.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from server.mapping import PayloadMapping
from server.ports import UnusableEventError
from server.providers.pos.building import Head, Item, assumed, code, make_sale, returned
from server.providers.pos.exact import cents, check_euro, rate_of
from server.providers.pos.mapping import Sale

Amount = str | Decimal | int
CARDS = frozenset(("POS", "ECOM", "MOTO", "APM", "RECURRING"))
PAID = frozenset(("SUCCESSFUL", "REFUNDED"))
"""States of a payment that was made, whatever was given back later."""

GIVEN_BACK = frozenset(("REFUNDED", "SUCCESSFUL", "PAID_OUT"))


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Product(_Told):
    """A line."""

    name: str | None = None
    quantity: Amount = 1
    vat_rate: Amount | None = None
    total_with_vat: Amount | None = None


class VatRate(_Told):
    """The sums of a rate."""

    rate: Amount
    gross: Amount


class Event(_Told):
    """What happened to the payment later."""

    id: int
    type: str | None = None
    event_type: str | None = None
    status: str | None = None
    amount: Amount = 0
    timestamp: AwareDatetime | None = None

    @property
    def is_refund(self) -> bool:
        """Whether money went back to who paid."""
        return "REFUND" in {self.type, self.event_type} and self.status in GIVEN_BACK


class Device(_Told):
    """What it was taken with."""

    uuid: str | None = None


class Transaction(_Told):
    """A payment."""

    id: Annotated[str, Field(pattern=r"^[!-~]{1,80}$")]
    transaction_code: str | None = None
    amount: Amount
    tip_amount: Amount = 0
    currency: str
    timestamp: AwareDatetime
    status: str
    payment_type: str | None = None
    products: Sequence[Product] = ()
    vat_rates: Sequence[VatRate] = ()
    events: Sequence[Event] = ()
    device_info: Device | None = None


class Checkout(_Told):
    """A checkout, as far as it leads to its transaction."""

    id: str
    status: str = ""
    transaction_id: str | None = None
    transactions: Sequence[Mapping[str, Any]] = ()

    @property
    def paid_by(self) -> str | None:
        """The transaction that paid it."""
        good = [one.get("id") for one in self.transactions if one.get("status") == "SUCCESSFUL"]
        return self.transaction_id or next((one for one in good if isinstance(one, str)), None)


class RefundOf(_Told):
    """A refund with the payment it belongs to."""

    transaction: Transaction
    event: Event


def to_sale(told: Transaction, settings: Mapping[str, Any]) -> Sale:
    """The sale; a payment that was cancelled is a voided one."""
    check_euro(told.currency)
    head = Head(
        at=told.timestamp,
        terminal=_terminal(told),
        method=_method(told),
        voided=told.status == "CANCELLED",
        note=told.transaction_code,
    )
    return make_sale(head, items_of(told, settings), settings)


def to_refund(told: RefundOf, settings: Mapping[str, Any]) -> Sale:
    """The refund: SumUp does not say of what, so it is of all the rates in proportion."""
    paid, event = told.transaction, told.event
    at = event.timestamp or paid.timestamp
    head = Head(at=at, terminal=_terminal(paid), method=_method(paid), note=paid.transaction_code)
    return make_sale(head, returned("rimborso", abs(cents(event.amount)), items_of(paid, settings)), settings)


TRANSACTION = PayloadMapping("sumup.transaction", 1, "sales", Transaction, Sale, to_sale)
REFUND = PayloadMapping("sumup.refund", 1, "sales", RefundOf, Sale, to_refund)


def items_of(told: Transaction, settings: Mapping[str, Any]) -> list[Item]:
    """By product where they make the sum, else by rate, else all of it at the rate the settings assume."""
    amount = cents(told.amount) - cents(told.tip_amount)
    for items in (_by_product(told, settings), _by_rate(told)):
        if items and sum(item.total for item in items) == amount:
            return items
    if told.vat_rates:
        raise UnusableEventError("sums_differ", "Neither products nor rates make the amount.")
    return [Item("vendita", 1000, amount, *assumed(settings))]


def _by_product(told: Transaction, settings: Mapping[str, Any]) -> list[Item]:
    if any(one.total_with_vat is None for one in told.products):
        return []
    priced = [one for one in told.products if cents(one.total_with_vat)]
    return [
        Item(
            one.name or "articolo",
            int(Decimal(str(one.quantity)) * 1000),
            cents(one.total_with_vat),
            *(assumed(settings) if one.vat_rate is None else _rate(one.vat_rate, settings)),
        )
        for one in priced
    ]


def _by_rate(told: Transaction) -> list[Item]:
    return [Item("vendita", 1000, cents(one.gross), *_rate(one.rate, {})) for one in told.vat_rates]


def _rate(rate: Amount, settings: Mapping[str, Any]) -> tuple[str, str | None]:
    said = Decimal(str(rate))
    if not said:
        return "0.00", settings.get("default_nature")
    return rate_of((said * 100 if said < 1 else said).normalize()), None


def _terminal(told: Transaction) -> str:
    return code(None if told.device_info is None else told.device_info.uuid, "sumup")


def _method(told: Transaction) -> str:
    return "card" if told.payment_type in CARDS else code(told.payment_type, "other")
