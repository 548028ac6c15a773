"""From what a point of sale tells to a sale of ours: declared field by field, exact to the cent.

Where the vendor gives no sums by VAT rate they are worked out: gross amounts are summed by rate first, then net =
gross / (1 + rate), half up, and VAT is the rest, so that the two always make the gross again.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from server.providers.pos.payload import SaleV1
from sync.clock import encode_instant
from sync.collection import Fields
from sync.wire import decimal_text, units_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_WHOLE = 10_000
"""A hundred per cent, in the hundredths of a per cent that rates have."""


def sale_fields(told: SaleV1, shop: str) -> Fields:
    """The fields of a new sale in wire form."""
    lines = [line.model_dump(exclude={"nature"}, exclude_none=True) for line in told.lines]
    return {
        "shop": shop,
        "terminal_id": told.terminal,
        "receipt_no": told.receipt,
        "business_day": told.business_day,
        "sold_at": encode_instant((told.sold_at - _EPOCH) // _MS),
        "lines": lines,
        "vat": [one.model_dump(exclude_none=True) for one in told.vat] if told.vat else vat_sums(told),
        "total": told.total,
        "payment_method": told.payment_method,
        "note": told.note,
    }


def vat_sums(told: SaleV1) -> list[dict[str, str]]:
    """The sums by VAT rate, worked out from gross lines."""
    gross: dict[tuple[str, str | None], int] = defaultdict(int)
    for line in told.lines:
        gross[line.vat_rate, line.nature] += units_of(line.total, 2)
    return [_sum(rate, nature, cents) for (rate, nature), cents in sorted(gross.items(), key=_by_rate)]


def _sum(rate: str, nature: str | None, gross: int) -> dict[str, str]:
    divisor = _WHOLE + units_of(rate, 2)
    # Half up, away from zero for a return: what was sold and taken back makes nothing.
    net = (abs(gross) * _WHOLE * 2 + divisor) // (divisor * 2) * (-1 if gross < 0 else 1)
    summed = {
        "rate": rate,
        "gross": decimal_text(gross, 2),
        "net": decimal_text(net, 2),
        "vat": decimal_text(gross - net, 2),
    }
    return summed if nature is None else {**summed, "nature": nature}


def _by_rate(item: tuple[tuple[str, str | None], int]) -> tuple[int, str]:
    (rate, nature), _ = item
    return -units_of(rate, 2), nature or ""
