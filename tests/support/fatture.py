"""Makes invoice files of our own, from the plainest to the oddest, and wraps them as senders do.

Everything here is built from scratch: no text comes from a real or a sample invoice, and the signing key is thrown away
with the process. The reader under test is not used, so what is built can be held against what is read.
"""

import base64
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from typing import Literal
from xml.sax.saxutils import escape

from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder
from cryptography.x509.oid import NameOID

NAMESPACE = "http://ivaservizi.agenziaentrate.gov.it/docs/xsd/fatture/v1.2"
SIMPLIFIED_NAMESPACE = "http://ivaservizi.agenziaentrate.gov.it/docs/xsd/fatture/v1.0"

Wrapping = Literal["der", "ber", "pem", "base64", "base64-crlf", "twice"]
WRAPPINGS: tuple[Wrapping, ...] = ("der", "ber", "pem", "base64", "base64-crlf", "twice")


@dataclass(frozen=True, kw_only=True)
class Riepilogo:
    """One VAT summary; amounts are the digits to write."""

    rate: str = "22.00"
    taxable: str = "100.00"
    tax: str = "22.00"
    due: str | None = "I"
    natura: str | None = None

    def xml(self) -> str:
        amounts = {"ImponibileImporto": self.taxable, "Imposta": self.tax}
        return element("DatiRiepilogo", AliquotaIVA=self.rate, Natura=self.natura, **amounts, EsigibilitaIVA=self.due)


@dataclass(frozen=True, kw_only=True)
class Riga:
    """One line."""

    description: str = "Caffè in grani, sacco da 1 kg"
    quantity: str | None = "8.00"
    unit_price: str = "12.50"
    total: str = "100.00"
    rate: str = "22.00"
    natura: str | None = None

    def xml(self, number: int) -> str:
        amounts = {"Quantita": self.quantity, "PrezzoUnitario": self.unit_price, "PrezzoTotale": self.total}
        vat = {"AliquotaIVA": self.rate, "Natura": self.natura}
        return element("DettaglioLinee", NumeroLinea=str(number), Descrizione=self.description, **amounts, **vat)


@dataclass(frozen=True, kw_only=True)
class Fattura:
    """One invoice body. `general` and `extra` are XML put at the end of DatiGeneraliDocumento and of the body."""

    number: str = "2026/17"
    document_type: str = "TD01"
    issued_on: str = "2026-03-31"
    currency: str = "EUR"
    total: str | None = None
    rounding: str | None = None
    lines: Sequence[Riga] = (Riga(),)
    summaries: Sequence[Riepilogo] = (Riepilogo(),)
    general: str = ""
    extra: str = ""

    def xml(self) -> str:
        named = {"TipoDocumento": self.document_type, "Divisa": self.currency}
        dated = {"Data": self.issued_on, "Numero": self.number}
        amounts = {"ImportoTotaleDocumento": self.total, "Arrotondamento": self.rounding}
        general = element("DatiGeneraliDocumento", self.general, **named, **dated, **amounts)
        lines = "".join(line.xml(number) for number, line in enumerate(self.lines, start=1))
        goods = lines + "".join(summary.xml() for summary in self.summaries)
        parts = element("DatiGenerali", general) + element("DatiBeniServizi", goods)
        return element("FatturaElettronicaBody", parts + self.extra)


@dataclass(frozen=True, kw_only=True)
class Voce:
    """One item of a simplified invoice: a gross amount with its VAT or its rate."""

    amount: str = "61.00"
    tax: str | None = None
    rate: str | None = "22.00"
    natura: str | None = None
    description: str = "Pranzo di lavoro"

    def xml(self) -> str:
        vat = element("DatiIVA", Imposta=self.tax, Aliquota=self.rate)
        return element("DatiBeniServizi", vat, Descrizione=self.description, Importo=self.amount, Natura=self.natura)


@dataclass(frozen=True, kw_only=True)
class Intestazione:
    """The header of an ordinary file. `extra` is XML put at its end."""

    supplier: str = "Torrefazione dell'Orso S.r.l."
    supplier_vat: str = "00743110157"
    supplier_fiscal_code: str | None = None
    customer: str = "Bar Ai Tigli di Pròspero & C. S.n.c. (1 €)"
    customer_vat: str = "07643520567"
    progressive: str = "00A17"
    format: str = "FPR12"
    recipient_code: str = "XYZ4321"
    extra: str = ""

    def xml(self) -> str:
        sender = element("IdTrasmittente", IdPaese="IT", IdCodice=self.supplier_vat)
        transmission = {
            "ProgressivoInvio": self.progressive,
            "FormatoTrasmissione": self.format,
            "CodiceDestinatario": self.recipient_code,
        }
        return element(
            "FatturaElettronicaHeader",
            element("DatiTrasmissione", sender, **transmission)
            + party("CedentePrestatore", self.supplier, self.supplier_vat, self.supplier_fiscal_code)
            + party("CessionarioCommittente", self.customer, self.customer_vat)
            + self.extra,
        )


@dataclass(frozen=True, kw_only=True)
class Involucro:
    """How the document element is written: its prefix, namespace, version and encoding."""

    prefix: str = "p:"
    declaration: str = f' xmlns:p="{NAMESPACE}"'
    encoding: str = "UTF-8"


def element(tag: str, inner: str = "", /, **leaves: str | None) -> str:
    """An element with text leaves, then `inner` as it is; a leaf that is None is left out."""
    texts = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in leaves.items() if text is not None)
    return f"<{tag}>{texts}{inner}</{tag}>"


def party(tag: str, name: str, vat: str, fiscal_code: str | None = None) -> str:
    """A supplier or customer of an ordinary invoice."""
    ids = element("IdFiscaleIVA", IdPaese="IT", IdCodice=vat)
    code = f"<CodiceFiscale>{fiscal_code}</CodiceFiscale>" if fiscal_code else ""
    place = element("Sede", Indirizzo="Via dei Mille 4", CAP="20129", Comune="Milano", Nazione="IT")
    return element(tag, element("DatiAnagrafici", ids + code + element("Anagrafica", Denominazione=name)) + place)


def invoice(
    *bodies: Fattura, header: Intestazione | None = None, root: Involucro | None = None, tail: str = ""
) -> bytes:
    """An ordinary file of these bodies (one plain body when none is given). `tail` stands before the last tag."""
    header, root = header or Intestazione(), root or Involucro()
    inner = header.xml() + "".join(body.xml() for body in bodies or (Fattura(),)) + tail
    name = f"{root.prefix}FatturaElettronica"
    text = f'<{name} versione="{header.format}"{root.declaration}>{inner}</{name}>'
    return f'<?xml version="1.0" encoding="{root.encoding}"?>\n{text}\n'.encode(root.encoding)


def lot(count: int) -> bytes:
    """A file of `count` bodies; the n-th has the number n and a taxable amount of n euro, and no total."""
    return invoice(
        *(
            Fattura(number=str(n), summaries=(Riepilogo(taxable=f"{n}.00", tax="0.00", rate="0.00", natura="N2.2"),))
            for n in range(1, count + 1)
        )
    )


def credit_note() -> bytes:
    """A TD04: positive amounts that are to be subtracted."""
    return invoice(Fattura(document_type="TD04", number="NC/3", total="122.00"))


def split_payment(total: str | None = "122.00") -> bytes:
    """VAT that the customer pays to the State: 100.00 of 122.00 go to the supplier."""
    return invoice(Fattura(total=total, summaries=(Riepilogo(due="S"),)), header=Intestazione(format="FPA12"))


def simplified(*items: Voce, document_type: str = "TD07") -> bytes:
    """A simplified file (FSM10) of these items (61.00 gross at 22 % when none is given)."""
    ids = element("IdFiscaleIVA", IdPaese="IT", IdCodice="00743110157")
    supplier = element("CedentePrestatore", ids, Nome="Ada", Cognome="Ferri")
    customer = element("IdentificativiFiscali", CodiceFiscale="07643520567")
    customer += element("AltriDatiIdentificativi", Denominazione="Bar Ai Tigli")
    sender = element("IdTrasmittente", IdPaese="IT", IdCodice="00743110157")
    header = element(
        "FatturaElettronicaHeader",
        element("DatiTrasmissione", sender, ProgressivoInvio="7", FormatoTrasmissione="FSM10")
        + supplier
        + element("CessionarioCommittente", customer),
    )
    general = {"TipoDocumento": document_type, "Divisa": "EUR", "Data": "2026-02-14", "Numero": "S-9"}
    goods = "".join(item.xml() for item in items or (Voce(),))
    body = element(
        "FatturaElettronicaBody", element("DatiGenerali", element("DatiGeneraliDocumento", **general)) + goods
    )
    name = "ns2:FatturaElettronicaSemplificata"
    return f'<{name} versione="FSM10" xmlns:ns2="{SIMPLIFIED_NAMESPACE}">{header}{body}</{name}>'.encode()


def allegato(content: bytes, name: str = "ddt.pdf", encoded: str | None = None) -> str:
    """The XML of an attachment; `encoded` replaces its base64."""
    text = base64.b64encode(content).decode() if encoded is None else encoded
    return element("Allegati", NomeAttachment=name, FormatoAttachment="PDF", Attachment=text)


def zipped(files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these files."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def throwaway_key(kind: Literal["rsa", "ec"] = "rsa") -> tuple[Key, x509.Certificate]:
    """A key pair and its self-signed certificate, made once a process."""
    key: Key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Firma di prova")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def signed(content: bytes, *options: PKCS7Options, kind: Literal["rsa", "ec"] = "rsa", pss: bool = False) -> bytes:
    """`content` in a DER envelope (SignedData), as a signing device makes it."""
    key, certificate = throwaway_key(kind)
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH) if pss else None
    builder = PKCS7SignatureBuilder().set_data(content)
    builder = builder.add_signer(certificate, key, hashes.SHA256(), rsa_padding=scheme)
    return builder.sign(Encoding.DER, [PKCS7Options.Binary, *options])


def wrapped(content: bytes, wrapping: Wrapping) -> bytes:
    """`content` signed and packed in one of the ways senders pack it."""
    envelope = signed(content)
    if wrapping == "der":
        return envelope
    if wrapping == "ber":
        return indefinite(envelope)
    if wrapping == "pem":
        return b"-----BEGIN PKCS7-----\n" + base64.encodebytes(envelope) + b"-----END PKCS7-----\n"
    if wrapping == "twice":
        return signed(envelope)
    lines = base64.encodebytes(envelope)
    return lines.replace(b"\n", b"\r\n") if wrapping == "base64-crlf" else lines.replace(b"\n", b"")


def indefinite(envelope: bytes, piece: int = 1000) -> bytes:
    """The same envelope in BER: indefinite lengths outside, the document in pieces."""
    data = cms.ContentInfo.load(envelope)["content"]
    content: bytes = data["encap_content_info"]["content"].native
    pieces = b"".join(tlv(0x04, content[at : at + piece]) for at in range(0, len(content), piece))
    inside = data["encap_content_info"]["content_type"].dump() + endless(0xA0, endless(0x24, pieces))
    parts = (data["version"].dump(), data["digest_algorithms"].dump(), endless(0x30, inside))
    tail = data["certificates"].dump() + data["signer_infos"].dump()
    return endless(0x30, tlv(0x06, SIGNED_DATA) + endless(0xA0, endless(0x30, b"".join(parts) + tail)))


SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
DATA = bytes.fromhex("2a864886f70d010701")


def tlv(tag: int, content: bytes) -> bytes:
    """A BER element of definite length."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def endless(tag: int, content: bytes) -> bytes:
    """A BER element of indefinite length."""
    return bytes((tag, 0x80)) + content + b"\0\0"


def unsigned_envelope(octets: bytes, content_type: bytes = DATA) -> bytes:
    """SignedData without a signer around an already encoded OCTET STRING."""
    inside = tlv(0x30, tlv(0x06, content_type) + tlv(0xA0, octets))
    data = tlv(0x30, tlv(0x02, b"\1") + tlv(0x31, b"") + inside + tlv(0x31, b""))
    return tlv(0x30, tlv(0x06, SIGNED_DATA) + tlv(0xA0, data))
