"""Writes FatturaPA: an issued invoice's frozen fields become the file's bytes, the same at every attempt.

Amounts, dates and codes stand in the file as in the record. Texts are written in the characters that the format knows
(Latin-1): others by the nearest, so that a curly apostrophe does not have an invoice discarded. Whatever comes out is
held against the form (`writer_form`) before anybody gets it.
"""

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from server.providers.sdi.writer_form import faults_of

NAMESPACE: Final = "http://ivaservizi.agenziaentrate.gov.it/docs/xsd/fatture/v1.2"
PUBLIC_BODY: Final = 6
"""So long is a public body's code; all others have 7."""

_PAID_BY: Final = {"cash": "MP01", "cheque": "MP02", "transfer": "MP05", "card": "MP08"}
_LAW: Final = {
    "N1": "Escluso art. 15 DPR 633/72",
    "N2.1": "Non soggetto artt. da 7 a 7-septies DPR 633/72",
    "N2.2": "Operazione non soggetta a IVA",
    "N3.1": "Non imponibile art. 8 c. 1 lett. a, b DPR 633/72",
    "N4": "Esente art. 10 DPR 633/72",
    "N5": "Regime del margine",
    "N7": "IVA assolta in altro stato UE",
}
_NEAREST: Final = str.maketrans(
    {
        "€": "EUR",
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2013": "-",
        "\u2014": "-",
        "\u2026": "...",
        "œ": "oe",
        "Œ": "OE",
        "ł": "l",
        "Ł": "L",
        "\u2028": " ",
        "\u2029": " ",
    }
)
_LAST_LATIN = 0xFF
_FOREIGN_POSTCODE = "00000"

register_namespace("p", NAMESPACE)


class UnwritableInvoiceError(Exception):
    """An invoice that has no valid file; `faults` name elements, and quote no value."""

    def __init__(self, faults: list[str]) -> None:
        """What is wrong."""
        super().__init__("; ".join(faults))
        self.faults = faults


def write_invoice(fields: Mapping[str, Any]) -> bytes:
    """The file of an issued invoice, UTF-8. Raises UnwritableInvoiceError."""
    try:
        root = _document(fields)
    except (KeyError, TypeError, AttributeError):
        raise UnwritableInvoiceError(["the record is not composed"]) from None
    faults = faults_of(root)
    if faults:
        raise UnwritableInvoiceError(faults)
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def latin(text: str, most: int) -> str:
    """A text in the format's characters: one line, at most so long, never empty."""
    near = "".join(map(_nearest, text.translate(_NEAREST)))
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", near).split())[:most].strip() or "-"


def _nearest(character: str) -> str:
    if ord(character) <= _LAST_LATIN:
        return character
    plain = "".join(one for one in unicodedata.normalize("NFKD", character) if ord(one) <= _LAST_LATIN)
    return plain or ("" if unicodedata.combining(character) else "?")


def _document(fields: Mapping[str, Any]) -> Element:
    buyer = fields["buyer"]
    form = "FPA12" if len(buyer["sdi_code"]) == PUBLIC_BODY else "FPR12"
    root = Element(f"{{{NAMESPACE}}}FatturaElettronica", versione=form)
    header = SubElement(root, "FatturaElettronicaHeader")
    _transmission(SubElement(header, "DatiTrasmissione"), fields, form)
    _party(SubElement(header, "CedentePrestatore"), fields["seller"])
    _party(SubElement(header, "CessionarioCommittente"), buyer)
    body = SubElement(root, "FatturaElettronicaBody")
    _general(SubElement(body, "DatiGenerali"), fields)
    _goods(SubElement(body, "DatiBeniServizi"), fields)
    _payment(body, fields)
    return root


def _transmission(within: Element, fields: Mapping[str, Any], form: str) -> None:
    owner, _, progressive = fields["file_name"].partition(".")[0].partition("_")
    _leaves(SubElement(within, "IdTrasmittente"), IdPaese=owner[:2], IdCodice=owner[2:])
    buyer = fields["buyer"]
    _leaves(
        within,
        ProgressivoInvio=progressive,
        FormatoTrasmissione=form,
        CodiceDestinatario=buyer["sdi_code"],
        PECDestinatario=buyer.get("pec"),
    )


def _party(within: Element, party: Mapping[str, Any]) -> None:
    about = SubElement(within, "DatiAnagrafici")
    vat_number, abroad = party.get("vat_number"), party["country"] != "IT"
    if vat_number:
        _leaves(SubElement(about, "IdFiscaleIVA"), IdPaese=vat_number[:2], IdCodice=vat_number[2:])
    _leaves(about, CodiceFiscale=None if abroad else party.get("tax_code"))
    _leaves(SubElement(about, "Anagrafica"), Denominazione=latin(party["name"], 80))
    _leaves(about, RegimeFiscale=party.get("regime"))
    _leaves(
        SubElement(within, "Sede"),
        Indirizzo=latin(party["address"], 60),
        CAP=_FOREIGN_POSTCODE if abroad else party["postcode"],
        Comune=latin(party["city"], 60),
        Provincia=None if abroad else party.get("province"),
        Nazione=party["country"],
    )


def _general(within: Element, fields: Mapping[str, Any]) -> None:
    document = SubElement(within, "DatiGeneraliDocumento")
    _leaves(
        document,
        TipoDocumento=fields["document_type"],
        Divisa="EUR",
        Data=fields["issued_on"],
        Numero=fields["number"],
    )
    if fields["stamp_duty"] is not None:
        _leaves(SubElement(document, "DatiBollo"), BolloVirtuale="SI", ImportoBollo=fields["stamp_duty"])
    _leaves(document, ImportoTotaleDocumento=fields["total"])
    if fields["credits_number"] is not None:
        credited = SubElement(within, "DatiFattureCollegate")
        _leaves(credited, IdDocumento=fields["credits_number"], Data=fields["credits_issued_on"])


def _goods(within: Element, fields: Mapping[str, Any]) -> None:
    for place, line in enumerate(fields["lines"], 1):
        _leaves(
            SubElement(within, "DettaglioLinee"),
            NumeroLinea=str(place),
            Descrizione=latin(line["description"], 1000),
            Quantita=line.get("quantity"),
            PrezzoUnitario=line["unit_price"],
            PrezzoTotale=line["total"],
            AliquotaIVA=line["vat_rate"],
            Natura=line.get("nature"),
        )
    for one in fields["vat"]:
        nature = one.get("nature")
        _leaves(
            SubElement(within, "DatiRiepilogo"),
            AliquotaIVA=one["rate"],
            Natura=nature,
            ImponibileImporto=one["net"],
            Imposta=one["vat"],
            EsigibilitaIVA="I" if Decimal(one["rate"]) else None,
            RiferimentoNormativo=_LAW.get(nature, f"Natura {nature}") if nature else None,
        )


def _payment(body: Element, fields: Mapping[str, Any]) -> None:
    """Paid in full at the till; what is taken back is not paid, and other ways have no code."""
    paid_by = _PAID_BY.get(fields["payment_method"])
    if paid_by is None or fields["document_type"] != "TD01":
        return
    payment = SubElement(body, "DatiPagamento")
    _leaves(payment, CondizioniPagamento="TP02")
    _leaves(SubElement(payment, "DettaglioPagamento"), ModalitaPagamento=paid_by, ImportoPagamento=fields["total"])


def _leaves(within: Element, **values: str | None) -> None:
    for name, value in values.items():
        if value is not None:
            SubElement(within, name).text = value
