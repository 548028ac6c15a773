"""Shopify's order, typed, and the sales it becomes: one for the order, and a negative one for each refund in it.

Amounts are decimal strings, rates are fractions. Prices include tax or do not, as `taxes_included` says. An order is a
sale once it is paid; what is given back is a refund with an id and a day of its own, and the sale stays.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictInt

from server.mapping import PayloadMapping
from server.ports import UnusableEventError
from server.providers.pos.building import Head, Item, assumed, code, make_sale, method_of, returned
from server.providers.pos.exact import cents, check_euro, rate_of
from server.providers.pos.mapping import Sale

PAID = frozenset(("paid", "partially_refunded", "refunded"))
Amount = str | Decimal | int


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class TaxLine(_Told):
    """A tax on a line: its rate as a fraction, and what it comes to."""

    rate: Decimal | int
    price: Amount


class Discount(_Told):
    """A line's part of a discount."""

    amount: Amount


class LineItem(_Told):
    """What was sold, or the way it was sent. `price` is of one."""

    id: int | None = None
    title: str = ""
    quantity: Annotated[StrictInt, Field(ge=0, le=10**6)] = 1
    price: Amount
    discount_allocations: Sequence[Discount] = ()
    tax_lines: Sequence[TaxLine] = ()


class RefundLine(_Told):
    """What was taken back; `subtotal` with tax or without, as the order's prices."""

    line_item_id: int
    quantity: Annotated[StrictInt, Field(ge=0, le=10**6)] = 1
    subtotal: Amount = "0"
    total_tax: Amount = "0"


class Transaction(_Told):
    """Money that moved."""

    kind: str = ""
    status: str = ""
    amount: Amount = "0"
    gateway: str | None = None


class Refund(_Told):
    """Money given back."""

    id: StrictInt
    created_at: AwareDatetime
    refund_line_items: Sequence[RefundLine] = ()
    transactions: Sequence[Transaction] = ()

    @property
    def amount(self) -> int:
        """What was really given back, in cents."""
        back = [one for one in self.transactions if one.kind == "refund" and one.status == "success"]
        return sum(cents(one.amount) for one in back)


class Order(_Told):
    """An order."""

    id: StrictInt
    order_number: Annotated[StrictInt, Field(ge=1, le=2**53 - 1)]
    created_at: AwareDatetime
    processed_at: AwareDatetime | None = None
    updated_at: AwareDatetime
    currency: str
    financial_status: str | None = None
    taxes_included: bool = False
    total_price: Amount
    total_tip_received: Amount = "0"
    line_items: Sequence[LineItem] = ()
    shipping_lines: Sequence[LineItem] = ()
    refunds: Sequence[Refund] = ()
    payment_gateway_names: Sequence[str] = ()
    device_id: int | None = None
    location_id: int | None = None
    test: bool = False


class RefundOf(_Told):
    """A refund with the order it belongs to."""

    order: Order
    refund: Refund


def to_sale(told: Order, settings: Mapping[str, Any]) -> Sale:
    """The sale."""
    check_euro(told.currency)
    items = items_of(told, settings)
    if sum(item.total for item in items) != cents(told.total_price) - cents(told.total_tip_received):
        raise UnusableEventError("sums_differ", "The lines do not make the order's total.")
    head = Head(
        at=told.processed_at or told.created_at,
        terminal=_terminal(told),
        method=method_of(told.payment_gateway_names),
        receipt=told.order_number,
    )
    return make_sale(head, items, settings)


def to_refund(told: RefundOf, settings: Mapping[str, Any]) -> Sale:
    """The refund as a sale of negative amounts: by its lines where they make the sum, else by the order's rates."""
    refund, sold = told.refund, items_of(told.order, settings)
    amount = refund.amount
    items = _returned_lines(told, settings)
    if sum(item.total for item in items) != -amount:
        items = returned("rimborso", amount, sold)
    ways = [one.gateway for one in refund.transactions if one.kind == "refund"]
    head = Head(at=refund.created_at, terminal=_terminal(told.order), method=method_of(ways))
    return make_sale(head, items, settings)


ORDER = PayloadMapping("shopify.order", 1, "sales", Order, Sale, to_sale)
REFUND = PayloadMapping("shopify.refund", 1, "sales", RefundOf, Sale, to_refund)


def items_of(order: Order, settings: Mapping[str, Any]) -> list[Item]:
    """An order's lines, gross; what costs nothing (free shipping) is no line."""
    made = [(line, _total(line, taxed=order.taxes_included)) for line in (*order.line_items, *order.shipping_lines)]
    return [
        Item(line.title or "articolo", line.quantity * 1000, total, *_rate(line, settings))
        for line, total in made
        if total
    ]


def _total(line: LineItem, *, taxed: bool) -> int:
    total = cents(line.price) * line.quantity - sum(cents(one.amount) for one in line.discount_allocations)
    if not taxed:
        total += sum(cents(one.price) for one in line.tax_lines)
    return total


def _rate(line: LineItem, settings: Mapping[str, Any]) -> tuple[str, str | None]:
    rates = {Decimal(one.rate) for one in line.tax_lines if cents(one.price) or one.rate}
    if len(rates) > 1:
        raise UnusableEventError("several_taxes", "A line has several VAT rates.")
    return (rate_of(rates.pop().scaleb(2).normalize()), None) if rates else assumed(settings)


def _returned_lines(told: RefundOf, settings: Mapping[str, Any]) -> list[Item]:
    known = {line.id: line for line in told.order.line_items}
    items = []
    for one in told.refund.refund_line_items:
        line = known.get(one.line_item_id)
        if line is not None:
            total = cents(one.subtotal) + (0 if told.order.taxes_included else cents(one.total_tax))
            rate, nature = _rate(line, settings)
            items.append(Item(line.title or "articolo", -one.quantity * 1000, -total, rate, nature))
    return items


def _terminal(order: Order) -> str:
    """The till of a point of sale, or the shop's web page."""
    return code(None if order.device_id is None else f"pos-{order.device_id}", "shopify")
