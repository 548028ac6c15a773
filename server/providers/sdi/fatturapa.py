"""Reads FatturaPA files, ordinary (FPR12, FPA12, older) and simplified (FSM10), into the types of `model`.

What decides about money or identity (type, number, date, currency, amounts, total) is exact or the body is refused;
what else cannot be read stays among the unknown elements.
"""

import hashlib
from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import partial, reduce
from typing import Annotated, Final
from xml.etree.ElementTree import Element

from server.providers.sdi import details, model
from server.providers.sdi.fields import (
    At,
    Frozen,
    SignatureState,
    UnreadableInvoiceError,
    decimal,
    decode_attachment,
    digits,
    label,
    percentage,
)
from server.providers.sdi.model import InvoiceBody, InvoiceFile
from server.providers.sdi.p7m import decode_xml, read_zip, unwrap
from server.providers.sdi.reader import Reader
from server.providers.sdi.tree import ROOTS, parse_tree

MAX_BYTES: Final = 5 * 1024 * 1024  # SDI's own limit for one file
MAX_FILES: Final = 200
_CREDIT_NOTES: Final = frozenset({"TD04", "TD08"})
_ZERO, _CENT, _HUNDRED, _LARGEST = Decimal(0), Decimal("0.01"), Decimal(100), Decimal("99999999.99")
_EXACT: Final = Context(prec=200, rounding=ROUND_HALF_UP)  # more digits than any sum of readable amounts has
Goods = tuple[tuple[model.Line, ...], tuple[model.Summary, ...]]


def parse_file(data: bytes, filename: str | None = None, *, max_bytes: int = MAX_BYTES) -> InvoiceFile:
    """The invoices in one file as it arrived: XML, or XML in base64, PEM or signed (p7m), whatever its name says.

    A lot of which some bodies cannot be used gives the others, and says why in `unreadable`. Raises
    `UnreadableInvoiceError`, and nothing else, when there is no usable body. `max_bytes` bounds the unwrapped XML.
    """
    xml, signature = unwrap(data, max_bytes=max_bytes, expect_p7m=(filename or "").lower().endswith("p7m"))
    root = parse_tree(decode_xml(xml))
    if root.find("Signature") is not None and signature == "absent":
        signature = "unverified"  # XAdES, inside the document
    return _file(root, filename=filename, signature=signature, sha256=hashlib.sha256(xml).hexdigest())


def _file(root: Element, *, filename: str | None, signature: SignatureState, sha256: str) -> InvoiceFile:
    reader = Reader()
    header = _below(root, "FatturaElettronicaHeader")
    transmission = reader.read(model.Transmission, _below(header, "DatiTrasmissione"))
    supplier = _party(reader, header, "CedentePrestatore")
    if supplier is None:
        raise UnreadableInvoiceError("no_supplier", "The invoice does not say who issued it.")
    bodies, unreadable = _bodies(reader, root)
    return InvoiceFile(
        filename=filename,
        format=root.get("versione", "").strip() or transmission.format or "unknown",
        transmission=transmission,
        supplier=supplier,
        customer=_party(reader, header, "CessionarioCommittente"),
        bodies=bodies,
        unreadable=unreadable,
        sha256=sha256,
        signed=signature != "absent",
        signature=signature,
        unknown=reader.unknown(root, but=("FatturaElettronicaBody", "Signature")),
    )


def parse_archive(
    data: bytes, *, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES
) -> tuple[tuple[str, InvoiceFile | UnreadableInvoiceError], ...]:
    """Each file in a zip with its name, read or refused by itself; raises (bad_zip, zip_bomb) for the whole."""
    parse = partial(parse_file, max_bytes=max_bytes)
    return tuple(read_zip(data, parse, max_files=max_files, max_inflated=4 * max_bytes))


class _Gross(Frozen):
    """DatiBeniServizi of a simplified invoice: an amount with its VAT in it, and either the VAT or its rate."""

    description: Annotated[str | None, At("Descrizione", str)]
    amount: Annotated[str, At("Importo", digits, "bad_amount", required=True)]
    tax: Annotated[Decimal | None, At("DatiIVA/Imposta", decimal, "bad_amount")]
    rate: Annotated[Decimal | None, At("DatiIVA/Aliquota", percentage, "bad_amount")]
    natura: Annotated[str | None, At("Natura", label)]


def _party(reader: Reader, header: Element, tag: str) -> model.Party | None:
    """Supplier or customer in either layout; None where nothing says who it is."""
    party = _below(header, tag)
    ids = _below(party, "DatiAnagrafici", "IdentificativiFiscali", ".")
    names = _below(party, "DatiAnagrafici/Anagrafica", "AltriDatiIdentificativi", ".")
    parts = [reader.take(names, At(part, label)) for part in ("Denominazione", "Nome", "Cognome")]
    found = reader.read(model.Party, ids, name=" ".join(filter(None, parts)) or None, address=None)
    if not any(value for _, value in found):
        return None
    seat = reader.read(details.Seat, _below(party, "Sede", "AltriDatiIdentificativi/Sede"))
    return found.model_copy(update={"address": seat.line()})


def _below(at: Element, *paths: str) -> Element:
    """The first of `paths` that is there, or an element without content."""
    return next((found for path in paths if (found := at.find(path)) is not None), Element(""))


def _bodies(reader: Reader, root: Element) -> tuple[tuple[InvoiceBody, ...], tuple[model.UnreadableBody, ...]]:
    """The usable bodies and the others; raises when none is usable."""
    bodies: list[InvoiceBody] = []
    unreadable: list[model.UnreadableBody] = []
    for position, element in enumerate(root.iterfind("FatturaElettronicaBody"), start=1):
        try:
            bodies.append(_body(reader, element, position, simplified=ROOTS[root.tag]))
        except UnreadableInvoiceError as error:
            unreadable.append(model.UnreadableBody(position=position, code=error.code, message=error.message))
    if not bodies and unreadable:
        raise UnreadableInvoiceError(unreadable[0].code, unreadable[0].message)
    if not bodies:
        raise UnreadableInvoiceError("no_body", "The file holds a header, but no invoice.")
    return tuple(bodies), tuple(unreadable)


def _body(reader: Reader, body: Element, position: int, *, simplified: bool) -> InvoiceBody:
    general = _below(body, "DatiGenerali/DatiGeneraliDocumento")
    said = reader.fields(InvoiceBody, general)
    lines, summaries = (_gross_goods if simplified else _goods)(reader, body)
    total = said.pop("total")
    derived = total is None and bool(summaries)
    if derived:
        taxable, tax = _sum(part.taxable for part in summaries), _sum(part.tax for part in summaries)
        total = _sum((taxable, tax, said["rounding"] or _ZERO))
    split = _sum(part.tax for part in summaries if part.due == "S")  # the customer pays this VAT to the State itself
    return InvoiceBody(
        position=position,
        total=None if total is None else _fit(total),
        total_derived=derived,
        payable=None if total is None else _fit(_EXACT.subtract(total, split)),
        sign=-1 if said["document_type"] in _CREDIT_NOTES else 1,
        summaries=summaries,
        lines=lines,
        causes=tuple(filter(None, (reader.text(element) for element in general.iterfind("Causale")))),
        withholding=reader.each(model.Withholding, general, "DatiRitenuta"),
        funds=reader.each(details.Fund, general, "DatiCassaPrevidenziale"),
        discounts=reader.each(details.Discount, general, "ScontoMaggiorazione"),
        related=tuple(_related(reader, _below(body, "DatiGenerali"))),
        payment_terms=tuple(_payment_terms(reader, body)),
        attachments=tuple(_attachment(reader, element) for element in body.iterfind("Allegati")),
        unknown=reader.unknown(body),
        **said,
    )


def _goods(reader: Reader, body: Element) -> Goods:
    lines = reader.each(model.Line, body, "DatiBeniServizi/DettaglioLinee")
    return lines, reader.each(model.Summary, body, "DatiBeniServizi/DatiRiepilogo")


def _gross_goods(reader: Reader, body: Element) -> Goods:
    """Lines and summaries of a simplified invoice. Amounts with one rate and no VAT of their own are summed first."""
    lines: list[model.Line] = []
    summaries: list[model.Summary] = []
    by_rate: dict[tuple[Decimal, str | None], list[Decimal]] = {}
    for item in reader.each(_Gross, body, "DatiBeniServizi"):
        gross, rate = Decimal(item.amount), _ZERO if item.rate is None and item.natura else item.rate
        lines.append(
            model.Line(description=item.description, total=item.amount, vat_rate=item.rate, natura=item.natura)
        )
        if item.tax is not None:
            net = _EXACT.subtract(gross, item.tax)
            summaries.append(model.Summary(rate=item.rate, natura=item.natura, taxable=net, tax=item.tax, due=None))
        elif rate is None:
            raise UnreadableInvoiceError("missing_element", "DatiIVA says neither the VAT nor its rate.")
        else:
            by_rate.setdefault((rate, item.natura), []).append(gross)
    summaries.extend(_worked_out(_sum(amounts), *key) for key, amounts in by_rate.items())
    return tuple(lines), tuple(summaries)


def _worked_out(gross: Decimal, rate: Decimal, natura: str | None) -> model.Summary:
    """Net is gross / (1 + rate), half up; VAT = gross - net, so that the two always make the gross again."""
    net = _EXACT.divide(_EXACT.multiply(gross, _HUNDRED), _EXACT.add(_HUNDRED, rate))
    taxable = _EXACT.quantize(net, _CENT)
    return model.Summary(
        rate=rate, natura=natura, taxable=taxable, tax=_EXACT.subtract(gross, taxable), due=None, derived=True
    )


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(_EXACT.add, amounts, _ZERO)


def _fit(amount: Decimal) -> Decimal:
    """`amount` as DECIMAL(10,2), never rounded, though zeros may follow its cents; -0 is 0."""
    cents = _EXACT.quantize(amount, _CENT)
    if cents != amount or amount.copy_abs() > _LARGEST:
        raise UnreadableInvoiceError("total_out_of_range", "The total has too many digits or decimals.")
    return _EXACT.plus(cents)


def _related(reader: Reader, general: Element) -> Iterator[details.Related]:
    for tag, kind in details.RELATED.items():
        for element in general.iterfind(tag):
            form: type[details.Named] = details.Shipped if kind == "delivery" else details.Referred
            said = reader.read(form, element)
            yield details.Related(kind=kind, number=said.number, day=said.day)


def _payment_terms(reader: Reader, body: Element) -> Iterator[model.PaymentTerm]:
    for terms in body.iterfind("DatiPagamento"):
        conditions = reader.take(terms, At("CondizioniPagamento", label))
        for element in terms.iterfind("DettaglioPagamento"):
            yield reader.read(model.PaymentTerm, element, conditions=conditions)


def _attachment(reader: Reader, element: Element) -> model.Attachment:
    encoded = reader.take(element, At("Attachment", str)) or ""
    try:
        content = decode_attachment(encoded)
    except UnreadableInvoiceError:
        return reader.read(model.Attachment, element, sha256=None, size=None, encoded=encoded)
    sha256 = hashlib.sha256(content).hexdigest()
    return reader.read(model.Attachment, element, sha256=sha256, size=len(content), encoded=encoded)
