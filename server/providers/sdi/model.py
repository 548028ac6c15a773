"""What an invoice file says, typed and frozen, and the one error for what cannot be used.

Money is `Decimal` as the file wrote it, never a float; what the file did not say is None; what no field holds is kept
among the `unknown` elements. Each field names its element (`At`), as in the FatturaPA specification 1.9. Code lists
(document types, Natura, payment methods) stay open, for they grow between versions.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# What was sent is no readable document; "archive": a zip where one invoice was expected.
EnvelopeCode = Literal["archive", "bad_p7m", "bad_zip", "empty", "too_large", "zip_bomb"]
# The document is no usable invoice; "no_root": XML of another kind; "several_documents": more than one header.
DocumentCode = Literal[
    "doctype_forbidden", "malformed", "no_body", "no_root", "several_documents", "too_deep", "truncated"
]
# What money or identity needs is missing or unusable; "total_out_of_range": not a DECIMAL(10,2) as it stands.
ContentCode = Literal[
    "bad_amount", "bad_attachment", "bad_date", "missing_element", "no_supplier", "total_out_of_range"
]
UnreadableCode = EnvelopeCode | DocumentCode | ContentCode

SignatureState = Literal["absent", "intact", "broken", "unverified"]
"""Whether the signature's mathematics hold. A flag, not a gate; trust, validity and revocation are not looked at."""


class UnreadableInvoiceError(Exception):
    """A file, or one of its bodies, cannot be used as an invoice. The message quotes nothing of its content."""

    def __init__(self, code: UnreadableCode, message: str) -> None:
        """`code` is stable and for machines, `message` for people."""
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        """As a log line wants it."""
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class At:
    """Where a field's text stands below its element, and how it is read (None: unreadable).

    A decisive field has a `fault`, raised when its text cannot be read; any other is left to the unknown elements then.
    """

    path: str
    read: Callable[[str], object]
    fault: UnreadableCode | None = None
    required: bool = False


_DECIMAL = re.compile(r"[+-]?(?=\.?[0-9])[0-9]{0,40}(?:\.[0-9]{0,40})?")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2}|T.{0,40})?")  # xs:date may carry a zone
_LABEL_MAX = 1000  # five times the longest in the specification; more would not fit an index


def label(text: str) -> str | None:
    """A code, number or name."""
    return text if len(text) <= _LABEL_MAX else None


def digits(text: str) -> str | None:
    """A decimal number in the file's own digits."""
    return text if _DECIMAL.fullmatch(text) else None


def decimal(text: str) -> Decimal | None:
    """A decimal number; exponents, NaN, commas and thousands separators are none."""
    return Decimal(text) if _DECIMAL.fullmatch(text) else None


def percentage(text: str) -> Decimal | None:
    """A rate that can be divided by."""
    rate = decimal(text)
    return rate if rate is not None and 0 <= rate <= 100 else None  # noqa: PLR2004 (per cent)


def whole(text: str) -> int | None:
    """A line number."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def iso_date(text: str) -> str | None:
    """A calendar day as YYYY-MM-DD, without the time or zone some software appends."""
    found = _DATE.fullmatch(text)
    try:
        return date.fromisoformat(found[1]).isoformat() if found else None
    except ValueError:
        return None


class Frozen(BaseModel):
    """The base of all results: immutable, no surplus fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class UnknownElement(Frozen):
    """A text that no typed field holds: its path below the body (or the root), and what it said, stripped."""

    path: str
    text: str


class Transmission(Frozen):
    """DatiTrasmissione: who sent the file to SDI, under which number, to whom."""

    sender_country: Annotated[str | None, At("IdTrasmittente/IdPaese", label)]
    sender_code: Annotated[str | None, At("IdTrasmittente/IdCodice", label)]
    progressive: Annotated[str | None, At("ProgressivoInvio", label)]
    format: Annotated[str | None, At("FormatoTrasmissione", label)]
    recipient_code: Annotated[str | None, At("CodiceDestinatario", label)]
    recipient_pec: Annotated[str | None, At("PECDestinatario", label)]


class Party(Frozen):
    """Supplier or customer. `name` is Denominazione, or Nome and Cognome; simplified invoices may leave it out."""

    name: str | None
    vat_country: Annotated[str | None, At("IdFiscaleIVA/IdPaese", label)]
    vat_code: Annotated[str | None, At("IdFiscaleIVA/IdCodice", label)]
    fiscal_code: Annotated[str | None, At("CodiceFiscale", label)]


class Summary(Frozen):
    """DatiRiepilogo: one VAT rate's taxable amount and tax, as written. `due` is EsigibilitaIVA: I, D, or S for split.

    Simplified invoices give gross amounts: where they leave the tax out it is worked out by rate, half up: `derived`.
    """

    rate: Annotated[Decimal | None, At("AliquotaIVA", decimal)]
    natura: Annotated[str | None, At("Natura", label)]
    taxable: Annotated[Decimal, At("ImponibileImporto", decimal, "bad_amount", required=True)]
    tax: Annotated[Decimal, At("Imposta", decimal, "bad_amount", required=True)]
    due: Annotated[str | None, At("EsigibilitaIVA", label)]
    derived: bool = False


class Line(Frozen):
    """DettaglioLinee. Quantity and prices are the file's own digits: up to eight decimals, never recomputed."""

    number: Annotated[int | None, At("NumeroLinea", whole)] = None
    description: Annotated[str | None, At("Descrizione", str)]
    quantity: Annotated[str | None, At("Quantita", digits)] = None
    unit_price: Annotated[str | None, At("PrezzoUnitario", digits)] = None
    total: Annotated[str | None, At("PrezzoTotale", digits)]
    vat_rate: Annotated[Decimal | None, At("AliquotaIVA", decimal)]
    natura: Annotated[str | None, At("Natura", label)]


class Withholding(Frozen):
    """DatiRitenuta: what the customer withholds for the tax office; not subtracted from `payable`."""

    kind: Annotated[str | None, At("TipoRitenuta", label)]
    amount: Annotated[Decimal | None, At("ImportoRitenuta", decimal)]
    rate: Annotated[Decimal | None, At("AliquotaRitenuta", decimal)]
    reason: Annotated[str | None, At("CausalePagamento", label)]


class PaymentTerm(Frozen):
    """One DettaglioPagamento with the CondizioniPagamento (TP01…) it stands under. `due_on` is an ISO date."""

    conditions: str | None
    method: Annotated[str | None, At("ModalitaPagamento", label)]
    due_on: Annotated[str | None, At("DataScadenzaPagamento", iso_date)]
    amount: Annotated[Decimal | None, At("ImportoPagamento", decimal)]
    iban: Annotated[str | None, At("IBAN", label), Field(repr=False)]


class Attachment(Frozen):
    """Allegati. Stays base64 until `content()`; a damaged one has neither hash nor size. `name` is never a path."""

    name: Annotated[str | None, At("NomeAttachment", label)]
    format: Annotated[str | None, At("FormatoAttachment", label)]
    sha256: str | None
    size: int | None
    encoded: str = Field(repr=False)

    def content(self) -> bytes:
        """The decoded bytes; raises `UnreadableInvoiceError` (`bad_attachment`) when they are not base64."""
        return decode_attachment(self.encoded)


class InvoiceBody(Frozen):
    """One invoice. `position` counts from 1 within the file and, with the SDI id, identifies it.

    `total` and `payable` fit DECIMAL(10,2) and have two decimals; they are None only where the file states no total and
    holds no summary. Their sign is the file's: multiply by `sign`, which is -1 for credit notes.
    """

    position: int
    document_type: Annotated[str, At("TipoDocumento", label, "missing_element", required=True)]
    number: Annotated[str, At("Numero", label, "missing_element", required=True)]
    issued_on: Annotated[str, At("Data", iso_date, "bad_date", required=True)]
    currency: Annotated[str, At("Divisa", label, "missing_element", required=True)]
    total: Annotated[Decimal | None, At("ImportoTotaleDocumento", decimal, "bad_amount")]
    total_derived: bool
    payable: Decimal | None
    sign: Literal[1, -1]
    rounding: Annotated[Decimal | None, At("Arrotondamento", decimal, "bad_amount")]
    summaries: tuple[Summary, ...]
    lines: tuple[Line, ...]
    withholding: tuple[Withholding, ...]
    payment_terms: tuple[PaymentTerm, ...]
    attachments: tuple[Attachment, ...]
    unknown: tuple[UnknownElement, ...] = Field(repr=False)


class UnreadableBody(Frozen):
    """A body of a lot that cannot be used while others can."""

    position: int
    code: UnreadableCode
    message: str


class InvoiceFile(Frozen):
    """One file. `format` is FPR12, FPA12, FSM10 or an older name; `sha256` is that of the XML in its envelope."""

    filename: str | None
    format: str
    transmission: Transmission
    supplier: Party
    customer: Party | None
    bodies: tuple[InvoiceBody, ...]
    unreadable: tuple[UnreadableBody, ...]
    sha256: str
    signed: bool
    signature: SignatureState
    unknown: tuple[UnknownElement, ...] = Field(repr=False)


def decode_attachment(encoded: str) -> bytes:
    """Base64 with any white space and missing padding, to bytes."""
    packed = "".join(encoded.split()).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except ValueError:
        raise UnreadableInvoiceError("bad_attachment", "An attachment is not valid base64.") from None
