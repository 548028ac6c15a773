"""MTOM: a SOAP message whose files stand beside it, in parts of their own (RFC 2387, XOP 1.0). Split, never searched.

Parts are cut at the boundary that the header names and kept byte for byte; nothing in them is decoded but what their
own header says (base64). The message is the part that `start` names, else the first. Bounded by the body's own bound
and by `MAX_PARTS`.
"""

import base64
import binascii
from collections.abc import Mapping
from email.message import Message
from email.parser import HeaderParser
from typing import NamedTuple

MAX_PARTS = 16
MAX_HEAD_BYTES = 4096


class BadMultipartError(Exception):
    """It cannot be taken apart."""


class Envelope(NamedTuple):
    """A SOAP message as XML, and what it includes, by content id."""

    xml: bytes
    parts: Mapping[str, bytes]


def open_envelope(content_type: str, body: bytes) -> Envelope:
    """The message in a request's body, whichever way it came. Raises BadMultipartError."""
    header = Message()
    header["Content-Type"] = content_type or "text/xml"
    if header.get_content_type() != "multipart/related":
        return Envelope(body, {})
    boundary = header.get_boundary()
    if not boundary or not boundary.isascii():
        raise BadMultipartError
    parts = [_part(raw) for raw in _split(body, boundary.encode())]
    named = {name: content for name, content in parts if name}
    start = str(header.get_param("start") or "").strip("<>").removeprefix("cid:")
    return Envelope(named.get(start, parts[0][1]), named)


def _split(body: bytes, boundary: bytes) -> list[bytes]:
    """What stands between the boundaries; what stands before the first and after the last is nobody's."""
    _, *rest = (b"\r\n" + body).split(b"\r\n--" + boundary, MAX_PARTS + 2)
    if len(rest) > MAX_PARTS + 1 or not rest or not rest[-1].startswith(b"--"):
        raise BadMultipartError
    parts = [one.lstrip(b" \t") for one in rest[:-1]]
    if not parts or not all(part.startswith(b"\r\n") for part in parts):
        raise BadMultipartError
    return [part[2:] for part in parts]


def _part(raw: bytes) -> tuple[str, bytes]:
    """Its content id, without brackets, and its content."""
    head, found, content = (b"", b"\r\n", raw[2:]) if raw.startswith(b"\r\n") else raw.partition(b"\r\n\r\n")
    if not found or len(head) > MAX_HEAD_BYTES:
        raise BadMultipartError
    headers = HeaderParser().parsestr(head.decode("latin-1") + "\r\n\r\n")
    if str(headers.get("Content-Transfer-Encoding", "binary")).strip().lower() == "base64":
        try:
            content = base64.b64decode(content)
        except binascii.Error:
            raise BadMultipartError from None
    return str(headers.get("Content-ID", "")).strip().strip("<>"), content
