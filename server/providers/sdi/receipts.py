"""SDI's receipts: what became of a file we sent, in either family of messages, as news of the invoice it was.

Merchants get the private family (`RicevutaScarto`, `RicevutaImpossibilitaRecapito`), senders to public bodies the other
one; messages are told apart by their root's local name. The file's name says whose invoice it is: it was written down
when the invoice was issued, so a receipt finds its record whatever became of the answer to our own call.
"""

from typing import Any, Final, NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from server.ports import Account, Draft, Ours, UnusableEventError
from server.providers.sdi.model import UnreadableInvoiceError
from server.providers.sdi.p7m import decode_xml, unwrap

MAX_BYTES: Final = 1024 * 1024
MAX_ERRORS: Final = 50


class Meaning(NamedTuple):
    """What a message says: the invoice's state, how late in its life that comes, and whether nothing follows."""

    status: str
    rank: int
    final: bool = False


_MEANINGS: Final = {
    "NotificaMancataConsegna": Meaning("undelivered", 10),
    "RicevutaImpossibilitaRecapito": Meaning("undelivered", 10, final=True),
    "RicevutaConsegna": Meaning("delivered", 20),
    "AttestazioneTrasmissioneFattura": Meaning("attested", 30, final=True),
    "NotificaFileNonRecapitabile": Meaning("attested", 30, final=True),
    "NotificaDecorrenzaTermini": Meaning("expired", 30, final=True),
    "NotificaScarto": Meaning("discarded", 40, final=True),
    "RicevutaScarto": Meaning("discarded", 40, final=True),
}
_OUTCOMES: Final = {"EC01": Meaning("accepted", 30, final=True), "EC02": Meaning("refused", 30, final=True)}


def receipt_draft(content: bytes, sdi_id: str, account: Account, received_at: str) -> Draft:
    """What a receipt's file says. Raises UnusableEventError."""
    root = _root(content)
    kind = _local(root)
    meaning = _meaning(root, kind)
    file_name = _value(root, "NomeFile")
    if not file_name:
        raise UnusableEventError("no_file_name", "The receipt does not say of which file.")
    fields = {
        "sdi_id": sdi_id,
        "sdi_status": meaning.status,
        "sdi_errors": _errors(root) if meaning.status == "discarded" else [],
        "sdi_at": received_at,
    }
    version = f"{kind} {sdi_id} {_value(root, 'MessageId')}"
    return draft_of(account, file_name, version, meaning, fields)


def draft_of(account: Account, file_name: str, version: str, meaning: Meaning, fields: dict[str, Any]) -> Draft:
    """News of the invoice that was sent as a file of that name; who signs a file adds to its name."""
    stem = file_name.partition(".")[0].lower()
    key = f"{account.endpoint_id}:{stem}"
    return Draft(
        "issued_invoices",
        key,
        version,
        fields,
        watermark=meaning.rank,
        final=meaning.final,
        ours=Ours(key=stem),  # never made here: a file that nobody knows waits, and then somebody hears of it
    )


def _root(content: bytes) -> Element:
    try:
        xml, _ = unwrap(content, max_bytes=MAX_BYTES)
        root: Element = fromstring(decode_xml(xml), forbid_dtd=True)
    except UnreadableInvoiceError as error:
        raise UnusableEventError(error.code, error.message) from None
    except (ParseError, DefusedXmlException, ValueError):
        raise UnusableEventError("malformed", "The receipt is no XML that can be read.") from None
    return root


def _meaning(root: Element, kind: str) -> Meaning:
    meaning = _OUTCOMES.get(_value(root, "Esito")) if kind == "NotificaEsito" else _MEANINGS.get(kind)
    if meaning is None:
        raise UnusableEventError("unknown_receipt", "No receipt of this kind, or with this outcome, is known.")
    is_private = "ivaservizi" in root.tag
    return meaning._replace(final=True) if kind == "RicevutaConsegna" and is_private else meaning


def _errors(root: Element) -> list[dict[str, str]]:
    """Why it was discarded, in SDI's words."""
    found = [element for element in root.iter() if _local(element) == "Errore"][:MAX_ERRORS]
    said = [(_value(one, "Codice"), _value(one, "Descrizione")) for one in found]
    return [{"code": code[:64], "description": text[:500]} for code, text in said if code.isalnum()]


def _value(within: Element, name: str) -> str:
    """The first value of that name, at whatever depth."""
    found = next((element for element in within.iter() if _local(element) == name), None)
    return "" if found is None else " ".join((found.text or "").split())


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
