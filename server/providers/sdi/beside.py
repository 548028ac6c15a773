"""What an invoice says beside its sums: payments, withholding, funds, stamp duty, other documents, attachments.

It is shown and decides nothing, so nothing of it can refuse an invoice: what does not fit is left out, free text is
cut. Amounts keep the file's own digits and sign.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from server.providers.sdi.details import Related
from server.providers.sdi.fields import Frozen
from server.providers.sdi.model import InvoiceBody, InvoiceFile

_DIGITS, _SHORT, _LONG, _MOST = 40, 60, 200, 1000
_CENTURY: Final = re.compile("19|20|21")
_WITHHELD: Final = {"SI": True, "NO": False}


class _Item(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Payment(_Item):
    """One instalment, as the supplier wants it paid."""

    conditions: str | None
    method: str | None
    due_on: str | None
    amount: str | None
    iban: str | None


class Withheld(_Item):
    """What is kept back, and why."""

    kind: str | None
    amount: str | None
    rate: str | None
    reason: str | None


class Contribution(_Item):
    """A pension fund's share."""

    kind: str | None
    rate: str | None
    amount: str | None
    taxable: str | None
    vat_rate: str | None
    nature: str | None
    withheld: bool | None


class Reduction(_Item):
    """A discount on the whole, or what is added to it."""

    kind: str | None
    percent: str | None
    amount: str | None


class Other(_Item):
    """Another document that is named."""

    kind: str
    number: str | None
    day: str | None


class Attached(_Item):
    """An attachment, by its hash; one that is damaged has none."""

    name: str
    format: str | None
    sha256: str | None
    size: int | None


class Beside(_Item):
    """These fields of an invoice."""

    signature: str
    rounding: str | None
    stamp_duty: str | None
    causes: list[str]
    withholdings: list[Withheld]
    funds: list[Contribution]
    discounts: list[Reduction]
    related: list[Other]
    payments: list[Payment]
    attachments: list[Attached]


def beside(file: InvoiceFile, body: InvoiceBody) -> dict[str, Any]:
    """The fields' values."""
    return {
        "signature": file.signature,
        "rounding": _digits(body.rounding),
        "stamp_duty": _digits(body.stamp_duty),
        "causes": [cause[:_LONG] for cause in body.causes[:_MOST]],
        "withholdings": [Withheld(**_said(one)) for one in body.withholding[:_MOST]],
        "funds": [_fund(_said(one)) for one in body.funds[:_MOST]],
        "discounts": [Reduction(**_said(one)) for one in body.discounts[:_MOST]],
        "related": [_other(one) for one in body.related[:_MOST]],
        "payments": [_payment(_said(one)) for one in body.payment_terms[:_MOST]],
        "attachments": [
            Attached(name=_name(one.name), format=_cut(one.format, _SHORT), sha256=one.sha256, size=one.size)
            for one in body.attachments[:_MOST]
        ],
    }


def _payment(said: dict[str, Any]) -> Payment:
    return Payment(**{**said, "due_on": _day(said["due_on"])})


def _other(one: Related) -> Other:
    return Other(kind=one.kind, number=_cut(one.number, _LONG), day=_day(one.day))


def _day(text: str | None) -> str | None:
    """A day that the wire takes: of these centuries."""
    return text if text is not None and _CENTURY.match(text) else None


def _fund(said: dict[str, Any]) -> Contribution:
    said["nature"] = said.pop("natura")
    return Contribution(**{**said, "withheld": _WITHHELD.get(said["withheld"])})


def _said(part: Frozen) -> dict[str, Any]:
    """The values of a part that was read, as short texts."""
    return {
        name: _digits(value) if isinstance(value, Decimal) else _cut(value, _SHORT)
        for name, value in dict(part).items()
    }


def _digits(amount: Decimal | None) -> str | None:
    """The file's own digits, where they are no more than anybody writes."""
    text = None if amount is None else format(amount, "f")
    return text if text is not None and len(text) <= _DIGITS else None


def _cut(text: str | None, most: int) -> str | None:
    return text[:most] if text else None


def _name(text: str | None) -> str:
    """A file's name and nothing of a path, in characters that print."""
    parts: Iterable[str] = (text or "").replace("\\", "/").split("/")
    last = "".join(char for char in [*parts][-1] if char.isprintable()).strip(" .")
    return last[:_LONG] or "allegato"
