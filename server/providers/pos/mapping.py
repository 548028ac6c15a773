"""From what a point of sale tells to a sale of ours, and back: declared field by field, exact to the cent.

Where the vendor gives no sums by VAT rate they are worked out: gross amounts are summed by rate first, then net =
gross / (1 + rate), half up, and VAT is the rest, so that the two always make the gross again.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from server.mapping import PayloadMapping
from server.providers.pos.payload import VERSION, LineV1, SaleV1, VatV1
from sync.clock import decode_instant, encode_instant
from sync.vat import split
from sync.wire import decimal_text, units_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class _Made(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Line(_Made):
    """A line of a sale."""

    description: str
    quantity: str
    unit_price: str
    total: str
    vat_rate: str
    product_id: str | None = None


class Vat(_Made):
    """The sums of one VAT rate."""

    rate: str
    gross: str
    net: str
    vat: str
    nature: str | None = None


class Sale(_Made):
    """The fields of a sale; `status` is only set where it is told that it was voided."""

    shop: str
    terminal_id: str
    receipt_no: int
    business_day: str
    sold_at: str
    lines: list[Line]
    vat: list[Vat]
    total: str
    payment_method: str
    note: str | None
    status: str = "completed"


def to_ours(told: SaleV1, settings: Mapping[str, Any]) -> Sale:
    """A sale, in the shop that the account's settings name."""
    return Sale(
        shop=settings["shop"],
        terminal_id=told.terminal,
        receipt_no=told.receipt,
        business_day=told.business_day,
        sold_at=encode_instant((told.sold_at - _EPOCH) // _MS),
        lines=[Line(**line.model_dump(exclude={"nature"}, exclude_none=True)) for line in told.lines],
        vat=[Vat(**one.model_dump(exclude_none=True)) for one in told.vat] if told.vat else vat_sums(told),
        total=told.total,
        payment_method=told.payment_method,
        note=told.note,
    )


def to_theirs(ours: Sale, object_id: str) -> SaleV1:
    """The same sale as a point of sale tells it."""
    return SaleV1(
        version=VERSION,
        id=object_id,
        terminal=ours.terminal_id,
        receipt=ours.receipt_no,
        business_day=ours.business_day,
        sold_at=_EPOCH + decode_instant(ours.sold_at) * _MS,
        lines=[LineV1(**line.model_dump()) for line in ours.lines],
        vat=[VatV1(**one.model_dump()) for one in ours.vat],
        total=ours.total,
        payment_method=ours.payment_method,
        note=ours.note,
    )


SALE = PayloadMapping("pos.sale", 1, "sales", SaleV1, Sale, to_ours, to_theirs)


def vat_sums(told: SaleV1) -> list[Vat]:
    """The sums by VAT rate, worked out from gross lines."""
    gross: dict[tuple[str, str | None], int] = defaultdict(int)
    for line in told.lines:
        gross[line.vat_rate, line.nature] += units_of(line.total, 2)
    return [sum_of(rate, nature, cents) for (rate, nature), cents in sorted(gross.items(), key=_by_rate)]


def sum_of(rate: str, nature: str | None, gross: int) -> Vat:
    """The sums of one rate, of gross cents."""
    net, vat = split(gross, units_of(rate, 2))
    summed = {
        "rate": rate,
        "gross": decimal_text(gross, 2),
        "net": decimal_text(net, 2),
        "vat": decimal_text(vat, 2),
    }
    return Vat(**summed) if nature is None else Vat(**summed, nature=nature)


def _by_rate(item: tuple[tuple[str, str | None], int]) -> tuple[int, str]:
    (rate, nature), _ = item
    return -units_of(rate, 2), nature or ""
