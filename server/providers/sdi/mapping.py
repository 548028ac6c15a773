"""From a read invoice file to invoices of ours: one draft a body, exact to the cent, the file's digits kept.

Totals, and the sums by VAT rate, carry the document's sign: a credit note's are negative. Lines are the file's own
digits, unsigned. Free text that is longer than any specification allows is cut; amounts, dates and numbers never are:
what does not fit is refused where the record is made, and the event quarantined.
"""

import re
from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Any, Final

from server.ports import Draft, UnusableEventError
from server.providers.sdi.model import InvoiceBody, InvoiceFile, Line, Party, Summary
from sync.collection import Fields
from sync.wire import CODE_PATTERN

_CENT: Final = Decimal("0.01")
_EXACT: Final = Context(prec=200)
_CODE: Final = re.compile(CODE_PATTERN)
_SDI_ID: Final = re.compile(r"[A-Za-z0-9]{1,64}")
_DESCRIPTION = 1000


def invoice_drafts(file: InvoiceFile, sdi_id: str | None, received_at: str) -> Iterator[Draft | UnusableEventError]:
    """A draft for each body, or why it cannot be one; then why other bodies could not be read.

    Raises UnusableEventError where the file came under an id that is none.
    """
    if sdi_id is not None and not _SDI_ID.fullmatch(sdi_id):
        raise UnusableEventError("bad_sdi_id", "The SDI id has a form that none has.")
    for body in file.bodies:
        if body.total is None or body.payable is None:
            yield UnusableEventError("no_total", f"Body {body.position} states no total and no sums to make one of.")
        else:
            yield _draft(file, body, (body.total, body.payable), sdi_id, received_at)
    for unreadable in file.unreadable:
        yield UnusableEventError(unreadable.code, f"Body {unreadable.position}: {unreadable.message}")


def _draft(
    file: InvoiceFile, body: InvoiceBody, sums: tuple[Decimal, Decimal], sdi_id: str | None, received_at: str
) -> Draft:
    by_content = f"sha256:{file.sha256}:{body.position}"
    return Draft(
        collection="invoices",
        key=by_content if sdi_id is None else f"sdi:{sdi_id}:{body.position}",
        version=f"{file.sha256} {sdi_id or ''}",
        fields=_fields(file, body, sums, sdi_id),
        once={"received_at": received_at},
        weak_key=None if sdi_id is None else by_content,
    )


def _fields(file: InvoiceFile, body: InvoiceBody, sums: tuple[Decimal, Decimal], sdi_id: str | None) -> Fields:
    total, payable = sums
    return {
        "sdi_id": sdi_id,
        "position": body.position,
        "document_type": body.document_type,
        "number": body.number,
        "issued_on": body.issued_on,
        "supplier_name": _name(file.supplier),
        "supplier_vat": _vat_number(file.supplier),
        "currency": body.currency,
        "total": _money(total, body.sign),
        "total_derived": body.total_derived,
        "payable": _money(payable, body.sign),
        "lines": [_line(line, place) for place, line in enumerate(body.lines, 1)],
        "summaries": [_summary(summary, body.sign) for summary in body.summaries],
        "file_sha256": file.sha256,
    }


def _line(line: Line, place: int) -> dict[str, Any]:
    """A line; an amount the file leaves out is an empty text, for nothing is made up."""
    return {
        "number": place if line.number is None else line.number,
        "description": (line.description or "")[:_DESCRIPTION],
        "unit_price": line.unit_price or "",
        "total": line.total or "",
        "vat_rate": _digits(line.vat_rate),
        "quantity": line.quantity,
        "nature": line.natura,
    }


def _summary(summary: Summary, sign: int) -> dict[str, Any]:
    return {
        "rate": _digits(summary.rate),
        "taxable": _money(summary.taxable, sign),
        "tax": _money(summary.tax, sign),
        "nature": summary.natura,
    }


def _digits(amount: Decimal | None) -> str:
    """The file's own digits, without an exponent."""
    return "" if amount is None else format(amount, "f")


def _money(amount: Decimal, sign: int) -> str:
    """The amount with the document's sign, on two places where it fits them exactly; else as it is, to be refused."""
    signed = _EXACT.multiply(amount, Decimal(sign))
    cents = _EXACT.quantize(signed, _CENT)
    return format(cents if cents == signed else signed, "f")


def _name(party: Party) -> str:
    """Who issued it, by the best name the file has."""
    return party.name or party.vat_code or party.fiscal_code or ""


def _vat_number(party: Party) -> str | None:
    """Country and number; None where they make no code, which is no reason to refuse an invoice."""
    number = f"{party.vat_country or ''}{party.vat_code or ''}"
    return number if party.vat_code and _CODE.fullmatch(number) else None
