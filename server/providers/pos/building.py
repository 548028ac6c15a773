"""A sale made of what a vendor lists: lines in cents, by rate, and who took the money."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from server.ports import UnusableEventError
from server.providers.pos.days import business_day, instant
from server.providers.pos.exact import share
from server.providers.pos.mapping import Line, Sale, Vat, sum_of
from sync.wire import CODE_PATTERN, decimal_text, units_of

MOST_LINES = 500
MOST_DESCRIPTION = 200
NO_SERIES = 0
"""The receipt number of a vendor that numbers nothing."""

_NOT_IN_A_CODE = re.compile(r"[^a-z0-9_.:-]+")
_CODE = re.compile(CODE_PATTERN)


class Item(NamedTuple):
    """A line: gross amounts in cents, the quantity in thousandths, the rate in wire form."""

    description: str
    quantity: int
    total: int
    rate: str
    nature: str | None = None
    product_id: str | None = None


class Head(NamedTuple):
    """What a sale says beside its lines."""

    at: datetime
    terminal: str
    method: str
    receipt: int = NO_SERIES
    voided: bool = False
    note: str | None = None


def make_sale(head: Head, items: Sequence[Item], settings: Mapping[str, Any]) -> Sale:
    """The sale. Raises UnusableEventError where there is nothing in it, or too much."""
    if not 0 < len(items) <= MOST_LINES:
        raise UnusableEventError("no_lines", f"A sale has 1 to {MOST_LINES} lines.")
    known = {
        "shop": settings["shop"],
        "terminal_id": head.terminal,
        "receipt_no": head.receipt,
        "business_day": business_day(head.at, int(settings.get("day_begins", 0))),
        "sold_at": instant(head.at),
        "lines": [_line(item) for item in items],
        "vat": vat_of(items),
        "total": decimal_text(sum(item.total for item in items), 2),
        "payment_method": head.method,
        "note": head.note,
    }
    return Sale(**known, status="voided") if head.voided else Sale(**known)


def vat_of(items: Iterable[Item]) -> list[Vat]:
    """The sums by rate and nature, the highest rate first."""
    gross: dict[tuple[str, str | None], int] = defaultdict(int)
    for item in items:
        gross[item.rate, item.nature] += item.total
    ordered = sorted(gross.items(), key=lambda one: (-units_of(one[0][0], 2), one[0][1] or ""))
    return [sum_of(rate, nature, total) for (rate, nature), total in ordered]


def returned(description: str, amount: int, sold: Sequence[Item]) -> list[Item]:
    """Money given back without a word on what for: a line for each rate of the sale, in proportion."""
    rates: dict[tuple[str, str | None], int] = defaultdict(int)
    for item in sold:
        rates[item.rate, item.nature] += item.total
    parts = share(amount, list(rates.values()))
    return [
        Item(description, -1000, -part, rate, nature) for (rate, nature), part in zip(rates, parts, strict=True) if part
    ]


def assumed(settings: Mapping[str, Any]) -> tuple[str, str | None]:
    """Rate and nature of a line whose vendor knows none. Raises UnusableEventError where the settings say none."""
    rate = settings.get("default_rate")
    if rate is None:
        raise UnusableEventError("no_vat_rate", "A line has no VAT rate: set default_rate, or mend the catalogue.")
    return str(rate), settings.get("default_nature")


def code(text: str | None, otherwise: str) -> str:
    """A vendor's word as a code: `Credit Card` is `credit-card`."""
    made = _NOT_IN_A_CODE.sub("-", (text or "").strip().lower()).strip("-_.:")[:64]
    return made if _CODE.fullmatch(made) else otherwise


def method_of(words: Iterable[str | None]) -> str:
    """How it was paid: the one way, or `mixed`."""
    ways = sorted({code(word, "other") for word in words})
    return ways[0] if len(ways) == 1 else ("mixed" if ways else "other")


def _line(item: Item) -> Line:
    unit = item.total * 1000 // item.quantity if item.quantity and item.total * 1000 % item.quantity == 0 else None
    price = item.total if unit is None else unit
    known = {
        "description": "".join(c for c in item.description if c != "\x00")[:MOST_DESCRIPTION],
        "quantity": decimal_text(item.quantity, 3),
        "unit_price": decimal_text(price, 2),
        "total": decimal_text(item.total, 2),
        "vat_rate": item.rate,
    }
    return Line(**known) if item.product_id is None else Line(**known, product_id=item.product_id)
