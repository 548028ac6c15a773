"""An issued invoice's content, from the sale and the two parties: exact, or the reasons why it cannot be written. Pure.

A sale's prices are gross, its sums by rate are given: net and VAT of the document are the sale's own, to the cent, and
each line's net price is worked out to eight places, as the format allows. What SDI is known to discard is found here,
before a number is used: a problem is a stable word, for a person to mend.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final

from sync.collection import Fields

_EXACT: Final = Context(prec=40, rounding=ROUND_HALF_UP)
_FINEST, _CENT, _ONE, _HUNDRED = Decimal("1E-8"), Decimal("0.01"), Decimal(1), Decimal(100)
_HALF_CENT = Decimal("0.005")
_NO_VAT: Final = Decimal(0)
_STAMPED: Final = frozenset({"N1", "N2.1", "N2.2", "N3.5", "N3.6", "N4"})
"""Natures whose documents bear stamp duty from `_STAMP_ABOVE` on (DPR 642/1972, tariff, article 13)."""
_STAMP_ABOVE, STAMP_DUTY = Decimal("77.47"), "2.00"
_FAR_TOO_WIDE: Final = frozenset({"N2", "N3", "N6"})
"""Refused since 2021 (00445): one of their parts must be named."""
_NATURE: Final = re.compile(r"N(?:1|2\.[12]|3\.[1-6]|4|5|6\.[1-9]|7)")
_VAT: Final = re.compile(r"(?:([A-Z]{2}))?([A-Za-z0-9]{2,28})")
_ITALIAN_VAT: Final = re.compile(r"[0-9]{11}")
_TAX_CODE: Final = re.compile(r"[A-Z0-9]{16}|[0-9]{11}")
_SDI_CODE: Final = re.compile(r"[A-Z0-9]{6,7}")
_LETTERS: Final = re.compile(r"[A-Z]{2}")
_POSTCODE: Final = re.compile(r"[0-9]{5}")
_PEC: Final = re.compile(r"(?=.{7,254}\Z)[!#-'*+/-9=?A-Z^-~-]+(?:\.[!#-'*+/-9=?A-Z^-~-]+)*@[!#-'*+/-9=?A-Z^-~.-]+")
_FOREIGN_CODE: Final = re.compile(r"[A-Z0-9]{2,28}")
ITALY = "IT"
SELLER = ("name", "vat_number", "tax_code", "regime", "address", "postcode", "city", "province")
"""What an endpoint's settings say of the seller, each as `seller_<name>`."""


def seller_of(settings: Mapping[str, Any]) -> Fields | None:
    """The seller that an endpoint's settings name; None where they name none."""
    said = {name: settings.get(f"seller_{name}") for name in SELLER}
    if not all(said[name] for name in ("name", "vat_number", "address", "postcode", "city")):
        return None
    party = {**said, "vat_number": f"{ITALY}{said['vat_number']}", "regime": said["regime"] or "RF01"}
    return {"country": ITALY, **{name: value for name, value in party.items() if value}}


def buyer_of(customer: Fields) -> tuple[Fields, list[str]]:
    """A customer as the document names it, and what is missing or has a form that SDI discards."""
    country = (customer["country"] or ITALY).upper()
    party: Fields = {
        "name": customer["name"][:80],
        "address": (customer["address"] or "")[:60],
        "postcode": customer["postcode"] or "",
        "city": customer["city"] or "",
        "country": country,
    }
    problems = [f"no_{name}" for name in ("address", "city") if not party[name].strip()]
    if not _LETTERS.fullmatch(country):
        problems.append("bad_country")
    party |= _identified(customer, country, problems)
    party |= _placed(customer, country, problems)
    party |= _addressed(customer, country, problems)
    return party, problems


def _placed(customer: Fields, country: str, problems: list[str]) -> Fields:
    """The province; what must be right about an Italian address."""
    province = (customer["province"] or "").upper()
    if country != ITALY:
        return {}
    if not _POSTCODE.fullmatch(customer["postcode"] or ""):
        problems.append("bad_postcode")
    if province and not _LETTERS.fullmatch(province):
        problems.append("bad_province")
    return {"province": province} if province else {}


def _identified(customer: Fields, country: str, problems: list[str]) -> Fields:
    """By VAT number or tax code; the law wants one of them."""
    found: Fields = {}
    vat, tax_code = (customer["vat_number"] or "").upper(), (customer["tax_code"] or "").upper()
    if vat:
        match = _VAT.fullmatch(vat)
        prefix, number = (match[1] or country, match[2]) if match else (country, "")
        if not number or (prefix == ITALY and not _ITALIAN_VAT.fullmatch(number)):
            problems.append("bad_vat_number")
        found["vat_number"] = f"{prefix}{number}"
    if tax_code:
        if not (_TAX_CODE if country == ITALY else _FOREIGN_CODE).fullmatch(tax_code):
            problems.append("bad_tax_code")
        found["tax_code"] = tax_code
        if country != ITALY and not vat:  # a code of another country has no other place (00417)
            found["vat_number"] = f"{country}{tax_code}"
    if not found:
        problems.append("no_tax_id")
    return found


def _addressed(customer: Fields, country: str, problems: list[str]) -> Fields:
    """Where the SDI takes it: a code of 7 (6: a public body's), else certified mail, else the tax agency keeps it."""
    code, pec = (customer["sdi_code"] or "").upper(), customer["pec"]
    if country != ITALY:
        return {"sdi_code": "XXXXXXX"}
    if code:
        if not _SDI_CODE.fullmatch(code):
            problems.append("bad_sdi_code")
        return {"sdi_code": code}
    if pec and not _PEC.fullmatch(pec):
        problems.append("bad_pec")
    return {"sdi_code": "0000000", **({"pec": pec} if pec else {})}


def goods_of(sale: Fields) -> tuple[Fields, list[str]]:
    """Lines, sums by rate, total and stamp duty of a sale, net prices; and why they cannot be invoiced."""
    vat = [dict(one) for one in sale["vat"]]
    natures = {Decimal(one["rate"]): one.get("nature") for one in vat}
    problems = _goods_problems(sale, vat, natures)
    lines = [_line(line, natures) for line in sale["lines"]]
    stamped = sum((Decimal(one["net"]) for one in vat if one.get("nature") in _STAMPED), _NO_VAT)
    goods = {
        "lines": lines,
        "vat": vat,
        "total": sale["total"],
        "stamp_duty": STAMP_DUTY if stamped > _STAMP_ABOVE else None,
        "payment_method": sale["payment_method"],
    }
    return goods, problems


def _goods_problems(sale: Fields, vat: Sequence[Fields], natures: Mapping[Decimal, str | None]) -> list[str]:
    wrong = {
        "sale_voided": sale["status"] == "voided",
        "nothing_to_pay": Decimal(sale["total"]) <= 0,
        "no_lines": not sale["lines"],
        "two_sums_of_one_rate": len(natures) != len(vat),
        "no_nature": any((rate == _NO_VAT) != bool(nature) for rate, nature in natures.items()),
        "nature_too_wide": any(nature in _FAR_TOO_WIDE for nature in natures.values()),
        "bad_nature": not all(map(_is_nature, filter(None, natures.values()))),
        "lines_do_not_add_up": _sums(sale) != {Decimal(one["rate"]): Decimal(one["gross"]) for one in vat},
        "vat_does_not_add_up": not all(map(_is_taxed, vat)),
    }
    return [problem for problem, is_so in wrong.items() if is_so]


def _is_nature(nature: str) -> bool:
    return nature in _FAR_TOO_WIDE or _NATURE.fullmatch(nature) is not None


def _sums(sale: Fields) -> dict[Decimal, Decimal]:
    sums: dict[Decimal, Decimal] = {}
    for line in sale["lines"]:
        rate = Decimal(line["vat_rate"])
        sums[rate] = sums.get(rate, _NO_VAT) + Decimal(line["total"])
    return sums


def _is_taxed(one: Fields) -> bool:
    """Whether VAT is the rate's share of net, to the cent that SDI allows (00421), and both make gross."""
    net, vat = Decimal(one["net"]), Decimal(one["vat"])
    due = _EXACT.divide(net * Decimal(one["rate"]), _HUNDRED)
    return net + vat == Decimal(one["gross"]) and abs(due - vat) <= _CENT


def _line(line: Fields, natures: Mapping[Decimal, str | None]) -> Fields:
    """A line with net prices. A negative quantity is a positive one of a negative price: the format has no other.

    Where eight places of a price are too few to make the total of so large a quantity (00423), the total is the price.
    """
    rate, quantity = Decimal(line["vat_rate"]), Decimal(line["quantity"])
    net = _finest(_EXACT.divide(Decimal(line["total"]), _ONE + rate / _HUNDRED))
    each = net if quantity == 0 else _finest(_EXACT.divide(net, abs(quantity)))
    is_counted = quantity != 0 and abs(_EXACT.multiply(each, abs(quantity)) - net) <= _HALF_CENT
    made: Fields = {
        "description": line["description"],
        "unit_price": _digits(each if is_counted else net),
        "total": _digits(net),
        "vat_rate": line["vat_rate"],
    }
    if is_counted:
        made["quantity"] = format(abs(quantity), "f")
    if natures.get(rate):
        made["nature"] = natures[rate]
    return made


def _finest(amount: Decimal) -> Decimal:
    return _EXACT.quantize(amount, _FINEST)


def _digits(amount: Decimal) -> str:
    """Without zeros that say nothing; two places at least."""
    whole, _, places = format(amount, "f").partition(".")
    text = f"{whole}.{places.rstrip('0').ljust(2, '0')}"
    return text.lstrip("-") if not text.strip("-0.") else text
