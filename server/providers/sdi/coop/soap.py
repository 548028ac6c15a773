"""What SDI says to us, as SOAP 1.1: read strictly as XML, liberally as a message, and answered in its words.

Rules:

1. No DOCTYPE, no entity, a bounded number of elements: nobody gets work done by a message that SDI would not send.
2. Names are matched without their namespace, blanks around values are dropped: a message is refused only where its file
   or the file's id is missing, never for its schema, and never for what is in the file.
3. What is kept is one JSON text of the message's parts, files in base64, the same however they came (inline or MTOM):
   so SDI's next try of the same message is the same event.
"""

import base64
import binascii
import re
from contextlib import suppress
from typing import Annotated, Any, Final, Literal
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from server.providers.sdi.coop.mtom import BadMultipartError, open_envelope

MAX_ELEMENTS = 64
MAX_DEPTH = 12
ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES: Final = "http://www.fatturapa.gov.it/sdi/ws/ricezione/v1.0/types"

Heard = Literal["invoice", "receipt", "deadline"]
_SDI_ID: Final = re.compile(r"[0-9]{1,18}")
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_NAME: Final = 100
_RECEIPTS: Final = frozenset({
    "ricevutaConsegna", "notificaMancataConsegna", "notificaScarto", "notificaEsito", "notificaDecorrenzaTermini",
    "attestazioneTrasmissioneFattura", "ricevutaScarto", "ricevutaImpossibilitaRecapito",
    "notificaFileNonRecapitabile",
})  # fmt: skip


class SoapMessageError(Exception):
    """A message nobody can take in; the words say what is missing and quote nothing."""


class Told(BaseModel):
    """One message of SDI's; files in base64."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    heard: Heard
    sdi_id: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]
    file_name: Annotated[str, Field(max_length=100)]
    file: str
    metadata_name: str | None = None
    metadata: str | None = None

    def kept(self) -> bytes:
        """The text that is stored."""
        return to_json(self.model_dump())

    def content(self) -> bytes:
        """The file."""
        return base64.b64decode(self.file)


def parse_message(content_type: str, body: bytes) -> Told:
    """Read a request. Raises SoapMessageError."""
    try:
        xml, parts = open_envelope(content_type, body)
        root = _tree(xml)
    except BadMultipartError:
        raise SoapMessageError("the parts of the message cannot be told apart") from None
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise SoapMessageError("this is no XML, or more than a message holds") from None
    if root.tag != f"{{{ENVELOPE}}}Envelope":
        raise SoapMessageError("this is no SOAP 1.1 envelope")
    said = next((child for part in root if _local(part) == "Body" for child in part), None)
    if said is None:
        raise SoapMessageError("the envelope is empty")
    values = {_local(child): child for child in said}
    named: dict[str, bytes | None] = {"file": _bytes(values.get("File"), parts), "metadata": None}
    with suppress(SoapMessageError):  # no message is refused for what only goes with its file
        named["metadata"] = _bytes(values.get("Metadati"), parts)
    return _told(said, {name: _text(child) for name, child in values.items()}, named)


def _told(said: Element, texts: dict[str, str], files: dict[str, bytes | None]) -> Told:
    file, metadata = files["file"], files["metadata"]
    sdi_id, file_name = texts.get("IdentificativoSdI", ""), texts.get("NomeFile", "")
    heard = _heard(said)
    if heard is None:
        raise SoapMessageError("no such operation here")
    if not _SDI_ID.fullmatch(sdi_id):
        raise SoapMessageError("IdentificativoSdI is missing, or no number")
    if not file:
        raise SoapMessageError("File is missing or empty")
    return Told(
        heard=heard,
        sdi_id=str(int(sdi_id)),
        file_name=_NO_NAME.sub("_", file_name)[:_LONGEST_NAME],
        file=base64.b64encode(file).decode(),
        metadata_name=texts.get("NomeFileMetadati"),
        metadata=None if metadata is None else base64.b64encode(metadata).decode(),
    )


def _heard(said: Element) -> Heard | None:
    """By the element, and where both services name one alike, by its namespace."""
    name, namespace = _local(said), said.tag.rpartition("}")[0]
    if name == "fileSdIConMetadati":
        return "invoice"
    if name == "fileSdI" or (name == "notificaDecorrenzaTermini" and "ricezione" in namespace):
        return "deadline"
    return "receipt" if name in _RECEIPTS else None


class _Bounded(TreeBuilder):
    """A tree of no more elements than a message has."""

    def __init__(self) -> None:
        super().__init__()
        self._count = self._depth = 0

    def start(self, tag: Any, attrs: Any, /) -> Element:
        self._count += 1
        self._depth += 1
        if self._count > MAX_ELEMENTS or self._depth > MAX_DEPTH:
            raise ValueError("more than a message holds")
        return super().start(tag, attrs)

    def end(self, tag: Any, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def _tree(xml: bytes) -> Element:
    parser = DefusedXMLParser(target=_Bounded(), forbid_dtd=True)
    parser.feed(xml.lstrip(b" \t\r\n"))
    root: Element = parser.close()
    return root


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _bytes(element: Element | None, parts: Any) -> bytes | None:
    """A file: in base64, or in the part that it names."""
    if element is None:
        return None
    included = next((child for child in element if _local(child) == "Include"), None)
    if included is not None:
        part: bytes | None = parts.get(unquote(included.get("href", "").removeprefix("cid:")))
        if part is None:
            raise SoapMessageError("an included part is missing")
        return part
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise SoapMessageError("a file is not in base64") from None


def taken() -> bytes:
    """What RiceviFatture is answered with: ER01, the only value there is."""
    return _envelope(f'<t:rispostaRiceviFatture xmlns:t="{TYPES}"><Esito>ER01</Esito></t:rispostaRiceviFatture>')


def noted() -> bytes:
    """What a one-way message is answered with: an envelope with nothing in it, for clients that want one."""
    return _envelope("")


def fault(side: Literal["Client", "Server"], said: str) -> bytes:
    """A SOAP 1.1 fault; `said` is our own words."""
    inside = f"<faultcode>s:{side}</faultcode><faultstring>{said}</faultstring>"
    return _envelope(f"<s:Fault>{inside}</s:Fault>")


def _envelope(inside: str) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f'{head}<s:Envelope xmlns:s="{ENVELOPE}"><s:Body>{inside}</s:Body></s:Envelope>'.encode()
