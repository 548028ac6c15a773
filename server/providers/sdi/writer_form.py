"""The form of the documents we write, as a table: what stands in what, in which order, and how each value looks.

It is the part of FatturaPA 1.2 that the writer uses, in our own words; the official XSD is not carried here, and newer
editions of it only add. A document is held against it before it leaves, so what SDI would discard for its form fails
here, by the element's name. Tests hold the same documents against the official schema where that is at hand.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element


class Child(NamedTuple):
    """An element in its place; `many` may follow one another."""

    name: str
    needed: bool = True
    many: bool = False


def _children(text: str) -> tuple[Child, ...]:
    """`A B? C+ D*`."""
    marks = {"?": (False, False), "+": (True, True), "*": (False, True)}
    return tuple(Child(part.rstrip("?+*"), *marks.get(part[-1], (True, False))) for part in text.split())


_PARTY_ID = "IdFiscaleIVA CodiceFiscale? Anagrafica"
_INSIDE: Final[Mapping[str, tuple[Child, ...]]] = {
    name: _children(text)
    for name, text in {
        "FatturaElettronica": "FatturaElettronicaHeader FatturaElettronicaBody",
        "FatturaElettronicaHeader": "DatiTrasmissione CedentePrestatore CessionarioCommittente",
        "DatiTrasmissione": ("IdTrasmittente ProgressivoInvio FormatoTrasmissione CodiceDestinatario PECDestinatario?"),
        "IdTrasmittente": "IdPaese IdCodice",
        "IdFiscaleIVA": "IdPaese IdCodice",
        "CedentePrestatore": "DatiAnagrafici Sede",
        "CedentePrestatore/DatiAnagrafici": f"{_PARTY_ID} RegimeFiscale",
        "CessionarioCommittente": "DatiAnagrafici Sede",
        "CessionarioCommittente/DatiAnagrafici": "IdFiscaleIVA? CodiceFiscale? Anagrafica",
        "Anagrafica": "Denominazione",
        "Sede": "Indirizzo CAP Comune Provincia? Nazione",
        "FatturaElettronicaBody": "DatiGenerali DatiBeniServizi DatiPagamento?",
        "DatiGenerali": "DatiGeneraliDocumento DatiFattureCollegate*",
        "DatiGeneraliDocumento": "TipoDocumento Divisa Data Numero DatiBollo? ImportoTotaleDocumento",
        "DatiBollo": "BolloVirtuale ImportoBollo?",
        "DatiFattureCollegate": "IdDocumento Data?",
        "DatiBeniServizi": "DettaglioLinee+ DatiRiepilogo+",
        "DettaglioLinee": "NumeroLinea Descrizione Quantita? PrezzoUnitario PrezzoTotale AliquotaIVA Natura?",
        "DatiRiepilogo": "AliquotaIVA Natura? ImponibileImporto Imposta EsigibilitaIVA? RiferimentoNormativo?",
        "DatiPagamento": "CondizioniPagamento DettaglioPagamento+",
        "DettaglioPagamento": "ModalitaPagamento ImportoPagamento",
    }.items()
}

_LATIN = r"[\u0000-\u00ff]"
_CENTS, _FINE, _DATE = r"-?[0-9]{1,11}\.[0-9]{2}", r"-?[0-9]{1,11}\.[0-9]{2,8}", r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_COUNTRY = r"[A-Z]{2}"
_LEAVES: Final[Mapping[str, re.Pattern[str]]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "IdPaese": _COUNTRY,
        "IdCodice": r"[A-Za-z0-9]{1,28}",
        "ProgressivoInvio": r"[A-Za-z0-9]{1,10}",
        "FormatoTrasmissione": "FPR12|FPA12",
        "CodiceDestinatario": "[A-Z0-9]{6,7}",
        "PECDestinatario": r"(?=.{7,256}\Z)[!#-'*+/-9=?A-Z^-~-]+(?:\.[!#-'*+/-9=?A-Z^-~-]+)*@[!#-'*+/-9=?A-Z^-~.-]+",
        "CodiceFiscale": "[A-Z0-9]{11,16}",
        "Denominazione": rf"{_LATIN}{{1,80}}",
        "RegimeFiscale": "RF(?:0[1-9]|1[0-9]|20)",
        "Indirizzo": rf"{_LATIN}{{1,60}}",
        "CAP": "[0-9]{5}",
        "Comune": rf"{_LATIN}{{1,60}}",
        "Provincia": "[A-Z]{2}",
        "Nazione": _COUNTRY,
        "TipoDocumento": "TD01|TD04",
        "Divisa": "EUR",
        "Data": _DATE,
        "Numero": r"(?=.*[0-9])[\x20-\x7e]{1,20}",
        "BolloVirtuale": "SI",
        "ImportoBollo": _CENTS,
        "ImportoTotaleDocumento": _CENTS,
        "IdDocumento": r"[\x20-\x7e]{1,20}",
        "NumeroLinea": "[1-9][0-9]{0,3}",
        "Descrizione": rf"{_LATIN}{{1,1000}}",
        "Quantita": r"[0-9]{1,12}\.[0-9]{2,8}",
        "PrezzoUnitario": _FINE,
        "PrezzoTotale": _FINE,
        "AliquotaIVA": r"[0-9]{1,3}\.[0-9]{2}",
        "Natura": r"N(?:1|2\.[12]|3\.[1-6]|4|5|6\.[1-9]|7)",
        "ImponibileImporto": _CENTS,
        "Imposta": _CENTS,
        "EsigibilitaIVA": "[IDS]",
        "RiferimentoNormativo": rf"{_LATIN}{{1,100}}",
        "CondizioniPagamento": "TP0[123]",
        "ModalitaPagamento": r"MP(?:0[1-9]|1[0-9]|2[0-3])",
        "ImportoPagamento": _CENTS,
    }.items()
}


def faults_of(root: Element) -> list[str]:
    """What in a document is not as the table says, by the elements' names; never by their values."""
    return list(_faults(root, root.tag.rpartition("}")[2], ""))


def _faults(element: Element, name: str, parent: str) -> Iterator[str]:
    inside = _INSIDE.get(f"{parent}/{name}") or _INSIDE.get(name)
    if inside is None:
        form = _LEAVES.get(name)
        if form is None or not form.fullmatch(element.text or "") or len(element):
            yield f"{name} has another form"
        return
    yield from _misplaced(element, name, inside)
    for child in element:
        if any(child.tag == one.name for one in inside):
            yield from _faults(child, child.tag, name)


def _misplaced(element: Element, name: str, inside: tuple[Child, ...]) -> Iterator[str]:
    """Order and number of what stands in an element."""
    left = [child.tag for child in element]
    for one in inside:
        count = 0
        while left and left[0] == one.name:
            left.pop(0)
            count += 1
        if one.needed and not count:
            yield f"{name} has no {one.name}"
        if count > 1 and not one.many:
            yield f"{name} has more than one {one.name}"
    yield from (f"{tag} does not belong into {name} there" for tag in left)
