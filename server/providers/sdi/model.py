"""What an invoice file says, typed and frozen.

Money is `Decimal` as the file wrote it, never a float; what the file did not say is None; what no field holds is kept
among the `unknown` elements. Code lists (document types, Natura, payment methods) stay open, for they grow between
versions.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from server.providers.sdi.details import Discount, Fund, Related
from server.providers.sdi.fields import (
    At,
    Frozen,
    SignatureState,
    UnreadableCode,
    UnreadableInvoiceError,
    decimal,
    decode_attachment,
    digits,
    iso_date,
    label,
    whole,
)

__all__ = [
    "Attachment",
    "InvoiceBody",
    "InvoiceFile",
    "Line",
    "Party",
    "PaymentTerm",
    "SignatureState",
    "Summary",
    "Transmission",
    "UnknownElement",
    "UnreadableBody",
    "UnreadableInvoiceError",
    "Withholding",
]


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
    """Supplier or customer. `name` is Denominazione, or Nome and Cognome; simplified invoices may leave it out.

    `address` is Sede in one line.
    """

    name: str | None
    address: str | None
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
    unit: Annotated[str | None, At("UnitaMisura", label)] = None
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
    stamp_duty: Annotated[Decimal | None, At("DatiBollo/ImportoBollo", decimal)]
    stamped: Annotated[str | None, At("DatiBollo/BolloVirtuale", label)]
    causes: tuple[str, ...]
    withholding: tuple[Withholding, ...]
    funds: tuple[Fund, ...]
    discounts: tuple[Discount, ...]
    related: tuple[Related, ...]
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
