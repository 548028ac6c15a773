"""From an XML text to a tree of elements without namespaces, hardened: a DOCTYPE, depth and count end it early.

Elements go by their local names, so a broken or an old namespace does not matter; a DOCTYPE is refused before anything
in it is looked at.
"""

import re
from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import errors
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from server.providers.sdi.fields import UnreadableInvoiceError

MAX_ELEMENTS: Final = 250_000
MAX_DEPTH: Final = 64
ROOTS: Final = {"FatturaElettronica": False, "FatturaElettronicaSemplificata": True}  # name: simplified
_HEADER: Final = "FatturaElettronicaHeader"
_OPENED: Final = re.compile(rf"<(?:[\w.-]{{1,40}}:)?{_HEADER}[\s/>]")
_ENDED: Final = re.compile(r"</(?:[\w.-]{1,40}:)?FatturaElettronica(?:Semplificata)?\s*>")
_CUT_SHORT: Final = {
    errors.XML_ERROR_NO_ELEMENTS,
    errors.XML_ERROR_UNCLOSED_TOKEN,
    errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
}


class _TreeHandler(ContentHandler):
    """Builds the tree from SAX events, without namespaces: a prefix is cut off whether or not it was declared."""

    def __init__(self) -> None:
        super().__init__()
        self.root: Element | None = None
        self._builder = TreeBuilder()
        self._depth = self._count = self.headers = 0

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802  SAX's name
        tag = name.rpartition(":")[2]
        if not self._count and tag not in ROOTS:
            raise UnreadableInvoiceError("no_root", "The document is XML, but no electronic invoice.")
        self._depth += 1
        self._count += 1
        if self._depth > MAX_DEPTH:
            raise UnreadableInvoiceError("too_deep", "The document is nested deeper than any invoice.")
        if self._count > MAX_ELEMENTS:
            raise UnreadableInvoiceError("too_large", "The document has more elements than an invoice may have.")
        self.headers += tag == _HEADER
        self._builder.start(tag, dict(attrs.items()))

    def endElement(self, name: str) -> None:  # noqa: N802  SAX's name
        self._builder.end(name.rpartition(":")[2])
        self._depth -= 1
        if not self._depth:
            self.root = self._builder.close()

    def characters(self, content: str) -> None:
        self._builder.data(content)


def parse_tree(text: str) -> Element:
    """The document element. What follows it is ignored, as a reader would, unless it is another invoice."""
    handler, parser = _TreeHandler(), DefusedExpatParser(forbid_dtd=True)
    parser.setContentHandler(handler)
    try:
        parser.feed(text)
        parser.close()
    except DefusedXmlException:
        raise UnreadableInvoiceError("doctype_forbidden", "The document declares a DOCTYPE or entities.") from None
    except SAXParseException as error:
        if handler.root is None:
            if error.getMessage() in _CUT_SHORT:
                raise UnreadableInvoiceError("truncated", "The document ends too early.") from None
            raise UnreadableInvoiceError("malformed", "The document is not well-formed XML.") from None
    assert handler.root is not None
    if handler.headers > 1 or _is_followed(text):
        raise UnreadableInvoiceError("several_documents", "More than one invoice document stands in one file.")
    return handler.root


def _is_followed(text: str) -> bool:
    """Whether another document begins where the first ended; one that a comment or a text speaks of does not."""
    end = _ENDED.search(text)
    return end is not None and _OPENED.search(text, end.end()) is not None
