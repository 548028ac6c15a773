"""A closing compared with what arrived. Pure.

Rules:

1. A closing with a series owns the numbers from its first to its last; a sale belongs to it by its number, whatever day
   it says. One without a series owns the day's sales that have no number.
2. What is compared is gross, by rate and by payment method: VAT is worked out from sums by rate, and rounded receipts
   do not add up to that.
3. A receipt that the closing calls voided counts nothing; one that was voided after the closing still counts, for the
   closing was right when it was made.
4. Numbers between the closing before and this one belong to neither: those that did not arrive are missing too.
5. It adds up where nothing is missing, count and sums agree, and every void has arrived.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sync.collection import Fields
from sync.vat import split
from sync.wire import decimal_text, units_of

MOST_RANGES = 1000
MOST_NUMBERS = 1000
MOST_RATES = 20
MOST_METHODS = 50
MOST_DIFFERENCES = 200
_MOST_CENTS = 10**10 - 1


class Arrived(NamedTuple):
    """A sale that arrived, as far as it is compared; `vat` are its sums by rate in wire form."""

    receipt_no: int
    business_day: str
    voided: bool
    method: str
    vat: Sequence[Mapping[str, Any]]


class Gap(NamedTuple):
    """The numbers between two closings, first to last, and those of them that arrived."""

    first: int
    last: int
    arrived: frozenset[int]


def compare(closing: Fields, arrived: Sequence[Arrived], gap: Gap | None = None) -> Fields:
    """What a reconciliation says of a closing: all its fields but whose it is and since when."""
    numbered = closing["first_receipt"] is not None
    voided = frozenset(closing["voided"])
    counting = [one for one in arrived if one.receipt_no not in voided and (numbered or not one.voided)]
    numbers = Counter(one.receipt_no for one in arrived) if numbered else Counter[int]()
    missing = _missing(closing, numbers, gap) if numbered else []
    unvoided = sorted(one.receipt_no for one in arrived if one.receipt_no in voided and not one.voided)
    rates, methods = _sums(counting)
    differences = _differences(closing, rates, methods)
    adds_up = not (missing or unvoided or differences) and len(arrived) == closing["count"]
    day = closing["business_day"]
    return {
        "status": "closed" if adds_up else "open",
        "expected_count": closing["count"],
        "arrived_count": len(arrived),
        "arrived_total": money(sum(rates.values())),
        "missing": missing[:MOST_RANGES],
        "unclosed": [] if gap is None else ranges(sorted(gap.arrived))[:MOST_RANGES],
        "doubles": sorted(number for number, times in numbers.items() if times > 1)[:MOST_NUMBERS],
        "elsewhere": sorted({one.receipt_no for one in arrived if one.business_day != day})[:MOST_NUMBERS],
        "unvoided": unvoided[:MOST_NUMBERS],
        "differences": differences[:MOST_DIFFERENCES],
        "vat": [_rate(key, gross) for key, gross in sorted(rates.items())][:MOST_RATES],
        "payments": [{"method": m, "total": money(c)} for m, c in sorted(methods.items())][:MOST_METHODS],
    }


def ranges(numbers: Iterable[int]) -> list[dict[str, int]]:
    """Ascending numbers as runs: 3, 4, 5, 9 is 3 to 5 and 9 to 9."""
    found: list[dict[str, int]] = []
    for number in numbers:
        if found and found[-1]["last"] == number - 1:
            found[-1]["last"] = number
        else:
            found.append({"first": number, "last": number})
    return found


def money(cents: int) -> str:
    """In wire form; a sum that no column holds is told as the greatest that one does, and differs all the same."""
    return decimal_text(max(-_MOST_CENTS, min(cents, _MOST_CENTS)), 2)


def _missing(closing: Fields, numbers: Counter[int], gap: Gap | None) -> list[dict[str, int]]:
    between = () if gap is None else (n for n in range(gap.first, gap.last + 1) if n not in gap.arrived)
    own = (n for n in range(closing["first_receipt"], closing["last_receipt"] + 1) if n not in numbers)
    return ranges([*between, *own])


def _sums(counting: Sequence[Arrived]) -> tuple[dict[str, int], dict[str, int]]:
    """Gross cents by rate (`10.00`, `0.00:N4`) and by payment method."""
    rates: dict[str, int] = defaultdict(int)
    methods: dict[str, int] = defaultdict(int)
    for sale in counting:
        for line in sale.vat:
            cents = units_of(line["gross"], 2)
            rates[_key(line)] += cents
            methods[sale.method] += cents
    return rates, methods


def _key(line: Mapping[str, Any]) -> str:
    nature = line.get("nature")
    return f"{line['rate']}:{nature}" if nature else str(line["rate"])


def _rate(key: str, gross: int) -> dict[str, str]:
    rate, _, nature = key.partition(":")
    net, vat = split(gross, units_of(rate, 2))
    told = {"rate": rate, "gross": money(gross), "net": money(net), "vat": money(vat)}
    return {**told, "nature": nature} if nature else told


def _differences(closing: Fields, rates: Mapping[str, int], methods: Mapping[str, int]) -> list[dict[str, str]]:
    said: dict[str, int] = defaultdict(int)
    for line in closing["vat"]:
        said[_key(line)] += units_of(line["gross"], 2)
    paid: dict[str, int] = defaultdict(int)
    for one in closing["payments"]:
        paid[one["method"]] += units_of(one["total"], 2)
    expected, arrived = units_of(closing["total"], 2), sum(rates.values())
    total = [{"what": "total", "expected": money(expected), "arrived": money(arrived)}]
    return [
        *(total if expected != arrived else ()),
        *_differing("rate", said, rates),
        *_differing("method", paid, methods),
    ]


def _differing(what: str, expected: Mapping[str, int], arrived: Mapping[str, int]) -> list[dict[str, str]]:
    return [
        {"what": what, "key": key, "expected": money(expected.get(key, 0)), "arrived": money(arrived.get(key, 0))}
        for key in sorted({*expected, *arrived})
        if expected.get(key, 0) != arrived.get(key, 0)
    ]
