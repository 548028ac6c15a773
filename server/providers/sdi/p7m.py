"""From the bytes that arrived to the XML inside: zip archives, base64, PEM and CAdES envelopes as senders nest them.

The document is read whatever its signature is worth: a signature that does not hold is a flag, never a refusal. Work is
linear in the input and the layers are counted, so no envelope can keep the reader busy.
"""

import binascii
import hashlib
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any, TypeVar

from asn1crypto import cms, parser
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from server.providers.sdi.fields import SignatureState, UnreadableInvoiceError

_T = TypeVar("_T")
_MAX_LAYERS = 6  # base64 of a PEM of a signature upon a signature is five
_MAX_SIGNER_BYTES = 256 * 1024  # certificates and signers of an honest envelope take a tenth of this
_MAX_SIGNERS = 8
_BLANK = b" \t\r\n"
_XML_STARTS = (b"<", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0<")
_PREAMBLE = 4096  # what some programs write before an armour
_MIME = re.compile(
    rb"(?:[!-9;-~]{1,76}:[^\r\n]{0,998}\r?\n(?:[ \t][^\r\n]{0,998}\r?\n)*){1,20}\r?\n"
)  # S/MIME's headers
_PEM = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,40}-----(.*?)(?:-----END|\Z)", re.DOTALL)
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=" + _BLANK
_ZIP_FILE, _ZIP_ENTRY = b"PK\x03\x04", b"PK\x01\x02"
_SEQUENCE, _OCTETS, _OCTETS_IN_PIECES = 0x30, 0x04, 0x24  # BER tags; the last is "constructed"
_LONG_FORM = 0x80

# SHA-1 is here because old invoices are signed with it; nothing is ever signed here.
_HASHES = {kind.name: kind() for kind in (hashes.SHA1, hashes.SHA224, hashes.SHA256, hashes.SHA384, hashes.SHA512)}
_WIDE = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
_ENCODING = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.-]{1,40})""")
# As browsers do: who says latin-1 and writes 0x80 means the euro sign. Anything else is tried as UTF-8 first.
_ONE_BYTE = {b"windows-1252": "cp1252", b"iso-8859-1": "cp1252", b"us-ascii": "cp1252", b"iso-8859-15": "iso8859-15"}
_LEADING = "\ufeff \t\r\n\0"


def read_zip(
    data: bytes, parse: Callable[[bytes, str], _T], *, max_files: int, max_inflated: int
) -> Iterator[tuple[str, _T | UnreadableInvoiceError]]:
    """Each file's name and what `parse(bytes, name)` makes of it, or why it could not.

    Raises `UnreadableInvoiceError` for the archive as a whole: bad_zip, zip_bomb.
    """
    if data.count(_ZIP_ENTRY) > max_files:  # before zipfile makes an object of each
        raise UnreadableInvoiceError("zip_bomb", "The archive holds too many files.")
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except Exception:  # noqa: BLE001  zipfile raises whatever hostile bytes lead it to
        raise UnreadableInvoiceError("bad_zip", "The archive is damaged.") from None
    files = [entry for entry in archive.infolist() if not entry.is_dir()]
    if sum(entry.file_size for entry in files) > max_inflated:  # zipfile gives no member more than it declares
        raise UnreadableInvoiceError("zip_bomb", "The archive inflates to more than it may.")
    for entry in files:
        try:
            yield entry.filename, parse(_inflate(archive, entry), entry.filename)
        except UnreadableInvoiceError as error:
            yield entry.filename, error


def _inflate(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """A member's bytes. bz2 and lzma are refused: zipfile inflates those without a bound."""
    try:
        if entry.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            with archive.open(entry) as member:
                return member.read(entry.file_size + 1)
    except Exception:  # noqa: BLE001, S110  encrypted, broken checksum, cut short: said below
        pass
    raise UnreadableInvoiceError("bad_zip", "The file cannot be taken out of the archive.")


def unwrap(data: bytes, *, max_bytes: int, expect_p7m: bool = False) -> tuple[bytes, SignatureState]:
    """The XML byte for byte as it was signed, and what its signatures are worth.

    `expect_p7m` (from the file name) only chooses the code for what is neither XML nor an envelope. Raises
    `UnreadableInvoiceError`: empty, too_large, archive, bad_p7m, malformed.
    """
    if len(data) > 3 * (max_bytes + _MAX_SIGNER_BYTES) // 2:  # base64 with its line ends makes it a third more
        raise UnreadableInvoiceError("too_large", "The file is larger than an invoice may be.")
    states: list[SignatureState] = []
    for depth in range(_MAX_LAYERS):
        layer = data.lstrip(_BLANK)
        if not layer:
            raise UnreadableInvoiceError("bad_p7m" if depth else "empty", "There is nothing in it.")
        if data.startswith(_XML_STARTS) or layer.startswith(_XML_STARTS):
            if len(data) > max_bytes:
                raise UnreadableInvoiceError("too_large", "The document is larger than an invoice may be.")
            return data, _overall(states)
        if layer[0] == _SEQUENCE and len(data) > max_bytes + _MAX_SIGNER_BYTES:
            raise UnreadableInvoiceError("too_large", "The envelope is larger than an invoice's may be.")
        data = _open(layer, states, expect_p7m=expect_p7m or bool(states))
    raise UnreadableInvoiceError("bad_p7m", "The document is wrapped in too many envelopes.")


def decode_xml(xml: bytes) -> str:
    """The document's text, without what stands before its first character.

    Total: where the declared encoding is unknown or wrong (such as UTF-8 declared and windows-1252 written), the
    text is what a person would see who tried the next likely one.
    """
    text = xml.lstrip(_BLANK)
    for start, codec in _WIDE:
        if text.startswith(start):
            return text.decode(codec, "replace").lstrip(_LEADING)
    declared = _ENCODING.match(text)
    for codec in (_ONE_BYTE.get(declared[1].lower(), "utf-8") if declared else "utf-8", "cp1252"):
        with suppress(UnicodeDecodeError):
            return text.decode(codec).lstrip(_LEADING)
    return text.decode("latin-1").lstrip(_LEADING)  # which leaves no byte undefined


def _open(layer: bytes, states: list[SignatureState], *, expect_p7m: bool) -> bytes:
    """One layer down; a signature's state is added to `states`."""
    if layer.startswith(_ZIP_FILE):
        raise UnreadableInvoiceError("archive", "The file is an archive, not an invoice.")
    if not layer.translate(None, _BASE64):
        return _decode_base64(layer)
    if layer[0] == _SEQUENCE:
        content, state = _open_cms(layer)
        states.append(state)
        return content
    if (armoured := _PEM.search(layer)) and armoured.start() <= _PREAMBLE:
        return _decode_base64(armoured[1])
    if headers := _MIME.match(layer):
        return layer[headers.end() :]
    raise UnreadableInvoiceError("bad_p7m" if expect_p7m else "malformed", "The file is neither XML nor signed.")


def _decode_base64(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text)
    except binascii.Error:
        raise UnreadableInvoiceError("bad_p7m", "The envelope's base64 is damaged or cut short.") from None


def _open_cms(layer: bytes) -> tuple[bytes, SignatureState]:
    """The signed document, whatever its content type, and its signature's state (RFC 5652, SignedData)."""
    try:
        _, explicit = _children(parser.parse(layer, strict=False)[4], 2)
        *_, encapsulated = _children(parser.parse(explicit, strict=False)[4], 3)
        content = next(map(_octets, _children(encapsulated, 2)[1:]), None)  # after its type
    except Exception:  # noqa: BLE001  asn1crypto raises whatever hostile bytes lead it to
        raise UnreadableInvoiceError("bad_p7m", "The signed envelope is damaged or cut short.") from None
    if content is None:
        raise UnreadableInvoiceError("bad_p7m", "The signature is detached: the document itself is missing.")
    return content, _signature_state(explicit, content)


def _children(content: bytes, count: int) -> list[bytes]:
    """The contents of the first `count` elements."""
    found: list[bytes] = []
    while content and len(found) < count:
        _, _, _, header, inner, trailer = parser.parse(content, strict=False)
        found.append(inner)
        content = content[len(header) + len(inner) + len(trailer) :]
    return found


def _octets(explicit: bytes) -> bytes:
    _, method, tag, _, octets, _ = parser.parse(explicit, strict=False)
    if tag != _OCTETS:
        raise ValueError("not an octet string")
    return _join(octets) if method else bytes(octets)


def _join(pieces: bytes) -> bytes:
    """An OCTET STRING sent in pieces (BER), in one. asn1crypto's own joining takes quadratic time.

    Entering a nested piece and leaving it (00 00) need no stack: the octets follow one another in any case.
    """
    joined: list[bytes] = []
    at = 0
    while at < len(pieces):
        tag, length = pieces[at], pieces[at + 1]
        at += 2
        if length > _LONG_FORM:
            width = length - _LONG_FORM
            length = int.from_bytes(pieces[at : at + width], "big")
            at += width
        if tag == _OCTETS:
            if at + length > len(pieces):
                raise ValueError("a piece is cut short")
            joined.append(pieces[at : at + length])
            at += length
        elif tag not in (_OCTETS_IN_PIECES, 0):
            raise ValueError("not an octet string")
    return b"".join(joined)


def _overall(states: Sequence[SignatureState]) -> SignatureState:
    """One word for all layers: one broken seal breaks it, one unread leaves it open."""
    ranks: tuple[SignatureState, ...] = ("broken", "unverified", "intact")
    return next((state for state in ranks if state in states), "absent")


def _signature_state(encoded: bytes, content: bytes) -> SignatureState:
    try:
        if len(encoded) - len(content) > _MAX_SIGNER_BYTES:
            return "unverified"
        signed_data = cms.SignedData.load(encoded, strict=False)
        signers, certificates = signed_data["signer_infos"], signed_data["certificates"]
        if len(signers) > _MAX_SIGNERS:  # each costs a hash of the whole document
            return "unverified"
        for signer in signers:
            _verify(signer, certificates, content)
        return "intact" if len(signers) else "absent"
    except InvalidSignature:
        return "broken"
    except Exception:  # noqa: BLE001  unknown algorithms, odd certificates: the document is still there
        return "unverified"


def _verify(signer: Any, certificates: Any, content: bytes) -> None:
    """Raise InvalidSignature unless `signer` signed `content` (RFC 5652, 5.4)."""
    digest = signer["digest_algorithm"]["algorithm"].native
    payload = content
    if attributes := signer["signed_attrs"]:
        stated = next(item["values"][0].native for item in attributes if item["type"].native == "message_digest")
        if stated != hashlib.new(digest, content).digest():
            raise InvalidSignature
        payload = attributes.untag().dump()
    key = load_der_public_key(_certificate(signer["sid"], certificates).public_key.dump())
    signature, hashed = signer["signature"].native, _HASHES[digest]
    pss = signer["signature_algorithm"].signature_algo == "rsassa_pss"
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, payload, ec.ECDSA(hashed))
    elif isinstance(key, rsa.RSAPublicKey):
        scheme = padding.PSS(padding.MGF1(hashed), padding.PSS.AUTO) if pss else padding.PKCS1v15()
        key.verify(signature, payload, scheme, hashed)
    else:
        raise TypeError("a kind of key that does not sign invoices")


def _certificate(sid: Any, certificates: Any) -> Any:
    """The signer's certificate, by issuer and serial number or by key identifier."""
    wanted = sid.chosen
    for candidate in certificates:
        certificate = candidate.chosen
        if sid.name == "subject_key_identifier":
            if certificate.key_identifier == wanted.native:
                return certificate
        elif (certificate.serial_number, certificate.issuer) == (wanted["serial_number"].native, wanted["issuer"]):
            return certificate
    raise LookupError("the signer's certificate is not in the envelope")
