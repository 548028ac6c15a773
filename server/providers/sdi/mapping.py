"""From a read invoice file to invoices of ours: one draft a body, exact to the cent, the file's digits kept.

Totals, and the sums by VAT rate, carry the document's sign: a credit note's are negative. Lines are the file's own
digits, unsigned. Free text that is longer than any specification allows is cut; amounts, dates and numbers never are:
what does not fit is refused where the record is made, and the event quarantined.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from functools import reduce
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from server.mapping import PayloadMapping
from server.ports import Account, Draft, UnusableEventError
from server.providers.sdi.beside import Beside, beside
from server.providers.sdi.model import InvoiceBody, InvoiceFile, Line, Party, Summary
from sync.wire import CODE_PATTERN

_CENT: Final = Decimal("0.01")
_EXACT: Final = Context(prec=200)
_CODE: Final = re.compile(CODE_PATTERN)
_SDI_ID: Final = re.compile(r"[A-Za-z0-9]{1,64}")
_IS_MONEY: Final = re.compile(r"-?[0-9]{1,8}\.[0-9]{2}")
_DUE: Final = frozenset("IDS")
_DESCRIPTION, _ADDRESS, _NAME, _UNIT, _NATURE = 1000, 300, 200, 60, 40


class _Made(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InvoiceLine(_Made):
    """A line; an amount the file leaves out is an empty text, for nothing is made up."""

    number: int
    description: str
    unit_price: str
    total: str
    vat_rate: str
    quantity: str | None
    nature: str | None
    unit: str | None


class InvoiceSummary(_Made):
    """The sums of one VAT rate, with the document's sign."""

    rate: str
    taxable: str
    tax: str
    nature: str | None
    due: str | None


class Invoice(Beside):
    """The fields of an invoice."""

    sdi_id: str | None
    position: int
    document_type: str
    number: str
    issued_on: str
    supplier_name: str
    supplier_vat: str | None
    currency: str
    total: str
    total_derived: bool
    payable: str
    lines: list[InvoiceLine]
    summaries: list[InvoiceSummary]
    file_sha256: str
    source_sha256: str | None
    supplier_tax_code: str | None
    supplier_address: str | None
    customer_name: str | None
    customer_vat: str | None
    withheld: str | None


class ReceivedBody(_Made):
    """One body of a file that came, with what both sums of it are and the SDI's id of the file, where it has one.

    `source_sha256` is the file's as it came, envelope and all.
    """

    file: InvoiceFile
    body: InvoiceBody
    total: Decimal
    payable: Decimal
    sdi_id: str | None
    source_sha256: str | None = None


def to_ours(told: ReceivedBody, _settings: Mapping[str, Any]) -> Invoice:
    """An invoice, the same for every account."""
    file, body = told.file, told.body
    return Invoice(
        sdi_id=told.sdi_id,
        position=body.position,
        document_type=body.document_type,
        number=body.number,
        issued_on=body.issued_on,
        supplier_name=_name(file.supplier)[:_NAME],
        supplier_vat=_vat_number(file.supplier),
        currency=body.currency,
        total=_money(told.total, body.sign),
        total_derived=body.total_derived,
        payable=_money(told.payable, body.sign),
        lines=[_line(line, place) for place, line in enumerate(body.lines, 1)],
        summaries=[_summary(summary, body.sign) for summary in body.summaries],
        file_sha256=file.sha256,
        source_sha256=None if told.source_sha256 == file.sha256 else told.source_sha256,
        supplier_tax_code=_code(file.supplier.fiscal_code),
        supplier_address=_cut(file.supplier.address, _ADDRESS),
        customer_name=None if file.customer is None else _cut(_name(file.customer), _NAME),
        customer_vat=None if file.customer is None else _vat_number(file.customer),
        withheld=_withheld(body),
        **beside(file, body),
    )


INVOICE = PayloadMapping("sdi.invoice", 2, "invoices", ReceivedBody, Invoice, to_ours)


def invoice_drafts(
    file: InvoiceFile, sdi_id: str | None, received_at: str, account: Account, source_sha256: str | None = None
) -> Iterator[Draft | UnusableEventError]:
    """A draft for each body, or why it cannot be one; then why other bodies could not be read.

    Raises UnusableEventError where the file came under an id that is none.
    """
    if sdi_id is not None and not _SDI_ID.fullmatch(sdi_id):
        raise UnusableEventError("bad_sdi_id", "The SDI id has a form that none has.")
    for body in file.bodies:
        if body.total is None or body.payable is None:
            yield UnusableEventError("no_total", f"Body {body.position} states no total and no sums to make one of.")
        else:
            sums = {"total": body.total, "payable": body.payable}
            told = ReceivedBody(file=file, body=body, sdi_id=sdi_id, source_sha256=source_sha256, **sums)
            yield _draft(told, received_at, account)
    for unreadable in file.unreadable:
        yield UnusableEventError(unreadable.code, f"Body {unreadable.position}: {unreadable.message}")


def _draft(told: ReceivedBody, received_at: str, account: Account) -> Draft:
    sha256, position, sdi_id = told.file.sha256, told.body.position, told.sdi_id
    by_content = f"sha256:{sha256}:{position}"
    key = by_content if sdi_id is None else f"sdi:{sdi_id}:{position}"
    draft = INVOICE.draft(told, account, key, f"{sha256} {sdi_id or ''}")
    return draft._replace(once={"received_at": received_at}, weak_key=None if sdi_id is None else by_content)


def _line(line: Line, place: int) -> InvoiceLine:
    return InvoiceLine(
        number=place if line.number is None else line.number,
        description=(line.description or "")[:_DESCRIPTION],
        unit_price=line.unit_price or "",
        total=line.total or "",
        vat_rate=_digits(line.vat_rate),
        quantity=line.quantity,
        nature=_cut(line.natura, _NATURE),
        unit=_cut(line.unit, _UNIT),
    )


def _summary(summary: Summary, sign: int) -> InvoiceSummary:
    return InvoiceSummary(
        rate=_digits(summary.rate),
        taxable=_money(summary.taxable, sign),
        tax=_money(summary.tax, sign),
        nature=_cut(summary.natura, _NATURE),
        due=summary.due if summary.due in _DUE else None,
    )


def _digits(amount: Decimal | None) -> str:
    """The file's own digits, without an exponent."""
    return "" if amount is None else format(amount, "f")


def _money(amount: Decimal, sign: int) -> str:
    """The amount with the document's sign, on two places where it fits them exactly; else as it is, to be refused."""
    signed = _EXACT.plus(_EXACT.multiply(amount, Decimal(sign)))  # nothing, taken back, is 0 and not -0
    cents = _EXACT.quantize(signed, _CENT)
    return format(cents if cents == signed else signed, "f")


def _withheld(body: InvoiceBody) -> str | None:
    """What the customer keeps back for the tax office, in all; None where there is nothing, or it is no money."""
    amounts = [one.amount for one in body.withholding if one.amount is not None]
    if not amounts:
        return None
    said = _money(reduce(_EXACT.add, amounts, Decimal(0)), body.sign)
    return said if _IS_MONEY.fullmatch(said) else None


def _cut(text: str | None, most: int) -> str | None:
    """Free text, not longer than it may be; None where there is none."""
    return text[:most] if text else None


def _code(text: str | None) -> str | None:
    return text if text and _CODE.fullmatch(text) else None


def _name(party: Party) -> str:
    """Who issued it, by the best name the file has."""
    return party.name or party.vat_code or party.fiscal_code or ""


def _vat_number(party: Party) -> str | None:
    """Country and number; None where they make no code, which is no reason to refuse an invoice."""
    number = f"{party.vat_country or ''}{party.vat_code or ''}"
    return number if party.vat_code and _CODE.fullmatch(number) else None
