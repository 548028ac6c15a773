"""Square's order, typed, and the sale it becomes.

Everything sold is an order and everything returned another one, which names the sale it returns. Amounts are whole
minor units. A tip is no taking: it is left out. An order without a series has receipt number 0.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictInt

from server.mapping import PayloadMapping
from server.ports import UnusableEventError
from server.providers.pos.building import Head, Item, assumed, code, make_sale, method_of
from server.providers.pos.exact import check_euro, rate_of
from server.providers.pos.mapping import Sale


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Money(_Told):
    """Whole cents."""

    amount: Annotated[StrictInt, Field(ge=-(10**10) + 1, le=10**10 - 1)] = 0
    currency: str | None = None


class Tax(_Told):
    """A tax of the order; lines name it by its uid."""

    uid: str
    percentage: str | None = None


class AppliedTax(_Told):
    """One tax on a line."""

    tax_uid: str


class LineItem(_Told):
    """A line, sold or returned, or a charge for service."""

    name: str | None = None
    quantity: Annotated[str, Field(pattern=r"^[0-9]{1,9}([.][0-9]{1,5})?$")] = "1"
    total_money: Money
    applied_taxes: Sequence[AppliedTax] = ()


class Return(_Told):
    """What of another order was returned."""

    source_order_id: str | None = None
    return_line_items: Sequence[LineItem] = ()
    return_service_charges: Sequence[LineItem] = ()
    return_taxes: Sequence[Tax] = ()


class Tender(_Told):
    """One way in which it was paid."""

    type: str | None = None
    payment_id: str | None = None


class Order(_Told):
    """An order. `device` is added when it is fetched: the till, as its payment names it."""

    id: Annotated[str, Field(pattern=r"^[!-~]{1,80}$")]
    location_id: str
    state: str
    version: Annotated[StrictInt, Field(ge=0, le=2**53 - 1)] = 0
    created_at: AwareDatetime
    updated_at: AwareDatetime
    closed_at: AwareDatetime | None = None
    line_items: Sequence[LineItem] = ()
    service_charges: Sequence[LineItem] = ()
    taxes: Sequence[Tax] = ()
    returns: Sequence[Return] = ()
    tenders: Sequence[Tender] = ()
    total_money: Money | None = None
    total_tip_money: Money | None = None
    device: str | None = None

    @property
    def sold_at(self) -> datetime:
        """When it was made: a till that was offline hands it over later."""
        return self.created_at if self.closed_at is None else min(self.created_at, self.closed_at)


def to_ours(told: Order, settings: Mapping[str, Any]) -> Sale:
    """The sale, or the return as a sale of negative amounts; an exchange is both in one."""
    items = _items((*told.line_items, *told.service_charges), told.taxes, settings, 1)
    for one in told.returns:
        lines = (*one.return_line_items, *one.return_service_charges)
        items += _items(lines, [*one.return_taxes, *told.taxes], settings, -1)
    _check_total(told, items)
    methods = [tender.type for tender in told.tenders]
    head = Head(
        at=told.sold_at,
        terminal=code(told.device, code(told.location_id, "square")),
        method=method_of(methods) if methods else "refund",
    )
    return make_sale(head, items, settings)


ORDER = PayloadMapping("square.order", 1, "sales", Order, Sale, to_ours)


def _items(lines: Sequence[LineItem], taxes: Sequence[Tax], settings: Mapping[str, Any], sign: int) -> list[Item]:
    """The lines that cost something."""
    return [_item(line, taxes, settings, sign) for line in lines if line.total_money.amount]


def _item(line: LineItem, taxes: Sequence[Tax], settings: Mapping[str, Any], sign: int) -> Item:
    check_euro(line.total_money.currency)
    percents = {tax.uid: tax.percentage for tax in taxes}
    applied = [percents.get(one.tax_uid) for one in line.applied_taxes]
    if len(applied) > 1 or (applied and applied[0] is None):
        raise UnusableEventError("several_taxes", "A line has several taxes, or one that the order does not explain.")
    rate, nature = (rate_of(applied[0]), None) if applied else assumed(settings)
    quantity = int(Decimal(line.quantity).scaleb(3).to_integral_value())
    return Item(line.name or "articolo", sign * quantity, sign * line.total_money.amount, rate, nature)


def _check_total(told: Order, items: Sequence[Item]) -> None:
    """What was sold must make the order's total, without the tip; returns have a total of their own."""
    if told.returns or told.total_money is None:
        return
    tip = 0 if told.total_tip_money is None else told.total_tip_money.amount
    if sum(item.total for item in items) != told.total_money.amount - tip:
        raise UnusableEventError("sums_differ", "The lines do not make the order's total.")
