"""Envelopes: however a document is wrapped the same bytes come out; a hostile one is refused and does no more."""

import hashlib
import os
import re
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options
from hypothesis import given, settings
from hypothesis import strategies as st

from server.providers.sdi import InvoiceFile, UnreadableInvoiceError, parse_archive, parse_file
from tests.support import fatture
from tests.support.fatture import WRAPPINGS, Fattura, Wrapping, endless, signed, tlv, unsigned_envelope

INVOICE = fatture.invoice(Fattura(lines=(fatture.Riga(description="RISERVATO " * 200),)))
ENVELOPE = signed(INVOICE)
SHA256 = hashlib.sha256(INVOICE).hexdigest()


def state(data: bytes) -> str:
    """The signature's state, once it is certain that the document came out whole."""
    file = parse_file(data, "IT00743110157_1.xml.p7m")
    assert file.sha256 == SHA256
    assert file.signed == (file.signature != "absent")
    return file.signature


def refusal(data: bytes, filename: str | None = None) -> str:
    """The code with which a file is refused."""
    with pytest.raises(UnreadableInvoiceError) as caught:
        parse_file(data, filename)
    return caught.value.code


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_wrapping_gives_the_same_document(wrapping: Wrapping) -> None:
    """DER, BER, PEM, base64 on one line or many, signed twice: one document, and its signature holds."""
    assert state(fatture.wrapped(INVOICE, wrapping)) == "intact"


HOLDING = {
    "text before the armour": b"Bag Attributes\n  localKeyID: 1\n" + fatture.wrapped(INVOICE, "pem"),
    "headers of mail": b"MIME-Version: 1.0\r\nContent-Type: application/x-pkcs7-mime;\r\n name=a.p7m\r\n\r\n"
    + fatture.wrapped(INVOICE, "base64-crlf"),
    "something around it": b"\r\n" + ENVELOPE + b"\n\0 and a line some mail program added",
    "ECDSA": signed(INVOICE, kind="ec"),
    "RSA-PSS": signed(INVOICE, pss=True),
    "no signed attributes": signed(INVOICE, PKCS7Options.NoAttributes),
}


@pytest.mark.parametrize("name", HOLDING)
def test_signatures_that_hold(name: str) -> None:
    """RSA, RSA-PSS and ECDSA, with and without signed attributes, and with something before and after the envelope."""
    assert state(HOLDING[name]) == "intact"


def test_signer_named_by_key_identifier() -> None:
    """A signer may be named by its key identifier; one whose certificate is not there cannot be verified."""
    envelope = cms.ContentInfo.load(ENVELOPE)
    for identifier, expected in ((_key_identifier(envelope), "intact"), (b"someone else", "unverified")):
        (signer,) = envelope["content"]["signer_infos"]
        signer["version"], signer["sid"] = "v3", cms.SignerIdentifier("subject_key_identifier", identifier)
        assert state(envelope.dump(force=True)) == expected


def _key_identifier(envelope: cms.ContentInfo) -> bytes:
    identifier: bytes = envelope["content"]["certificates"][0].chosen.key_identifier
    return identifier


def test_a_broken_signature_is_a_flag() -> None:
    """A document that was altered after signing is read, and said to be altered; so is a false signature."""
    altered = INVOICE.replace(b"RISERVATO", b"riservato", 1)
    file = parse_file(ENVELOPE.replace(INVOICE, altered))
    assert (file.signature, file.sha256) == ("broken", hashlib.sha256(altered).hexdigest())
    assert state(ENVELOPE[:-3] + bytes(byte ^ 1 for byte in ENVELOPE[-3:])) == "broken"
    assert state(signed(ENVELOPE[:-1] + bytes((ENVELOPE[-1] ^ 1,)))) == "broken"


def test_a_signature_nobody_can_check_is_a_flag() -> None:
    """Without the certificate, without any signer or with a damaged one, the document is still there."""
    bare = unsigned_envelope(tlv(0x04, INVOICE))
    assert state(signed(INVOICE, PKCS7Options.NoCerts)) == "unverified"
    assert state(bare) == "absent"
    assert state(bare[:-2] + b"\x05\0") == "unverified"  # NULL where the set of signers should be


@pytest.mark.parametrize("content_type", [fatture.DATA, fatture.SIGNED_DATA, b"\x2a\x03\x04"])
def test_any_content_type(content_type: bytes) -> None:
    """The document is read whatever the envelope calls it: some senders name a signature within, or their own type."""
    assert state(unsigned_envelope(tlv(0x04, INVOICE), content_type)) == "absent"
    assert state(unsigned_envelope(tlv(0x04, ENVELOPE), content_type)) == "intact"


def test_pieces_within_pieces() -> None:
    """A document in pieces, nested and of both kinds of length, is put together in order."""
    half = len(INVOICE) // 2
    inner = tlv(0x24, tlv(0x04, INVOICE[10:half]) + endless(0x24, tlv(0x04, INVOICE[half:])))
    assert state(unsigned_envelope(endless(0x24, tlv(0x04, INVOICE[:10]) + inner))) == "absent"


DAMAGED = {
    "cut short": ENVELOPE[: len(ENVELOPE) // 2],
    "detached": signed(INVOICE, PKCS7Options.DetachedSignature),
    "base64 cut short": fatture.wrapped(INVOICE, "base64")[:-3],
    "PEM of nothing": b"-----BEGIN PKCS7-----\n%%%",
    "data, not signed data": tlv(0x30, tlv(0x06, fatture.DATA) + tlv(0xA0, tlv(0x04, INVOICE))),
    "an integer for a document": unsigned_envelope(tlv(0x02, INVOICE)),
    "a piece of another kind": unsigned_envelope(endless(0x24, tlv(0x04, INVOICE) + tlv(0x02, b"\0\0"))),
    "a piece longer than all": unsigned_envelope(tlv(0x24, b"\x04\x84\xff\xff\xff\xff" + INVOICE)),
    "endless nesting": b"\x30\x80" * 100_000,
    "a length of 127 bytes": b"\x30\xff" + b"\xff" * 127,
    "no envelope": b"\x89PNG",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_envelopes(name: str) -> None:
    """What should be an envelope and is none, or has lost its document, is refused as such."""
    assert refusal(DAMAGED[name], "IT00743110157_1.xml.P7M") == "bad_p7m"


def test_no_envelope_keeps_the_reader_busy() -> None:
    """A million pieces, a thousand signers, layer upon layer: answered at once (faulthandler ends what hangs)."""
    pieces = b"".join(tlv(0x04, INVOICE[at : at + 1]) for at in range(len(INVOICE)))
    assert state(unsigned_envelope(endless(0x24, pieces + b"\x04\0" * 1_000_000))) == "unverified"
    crowd = cms.ContentInfo.load(ENVELOPE)
    crowd["content"]["signer_infos"] = cms.SignerInfos([crowd["content"]["signer_infos"][0]] * 500)
    assert state(crowd.dump(force=True)) == "unverified"
    layers = INVOICE
    for _ in range(10):
        layers = unsigned_envelope(tlv(0x04, layers))
    assert refusal(layers) == "bad_p7m"


def test_size_is_bounded_outside_and_inside() -> None:
    """The limit holds for the document; the envelope around it may be larger, but not by any amount."""
    limit, much = len(INVOICE), b"\0" * 256 * 1024
    assert parse_file(fatture.wrapped(INVOICE, "base64-crlf"), max_bytes=limit).sha256 == SHA256
    assert parse_file(ENVELOPE + much[: limit // 2], max_bytes=limit).sha256 == SHA256
    for data in (INVOICE + b" ", signed(INVOICE + b" "), ENVELOPE + much, b" " * limit + 2 * much + INVOICE):
        with pytest.raises(UnreadableInvoiceError, match="too_large"):
            parse_file(data, max_bytes=limit)


def test_archive() -> None:
    """A zip gives each file, read or refused by itself; directories are no files."""
    files = {"a.xml": INVOICE, "note.txt": b"ciao!", "sub/": b"", "sub/b.xml.p7m": signed(fatture.lot(3))}
    read = dict(parse_archive(fatture.zipped(files)))
    bodies = {name: len(found.bodies) for name, found in read.items() if isinstance(found, InvoiceFile)}
    assert bodies == {"a.xml": 1, "sub/b.xml.p7m": 3}
    assert {name for name, found in read.items() if isinstance(found, UnreadableInvoiceError)} == {"note.txt"}


BOMB = fatture.zipped({"a.xml": b" " * 21 * 1024 * 1024})
HOSTILE = {
    "zip_bomb: bytes": BOMB,
    "zip_bomb: files": fatture.zipped({f"{n}.xml": b"" for n in range(201)}),
    "bad_zip": b"PK\3\4",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives(name: str) -> None:
    """An archive of too many bytes or files is a bomb, one without a directory is damaged."""
    with pytest.raises(UnreadableInvoiceError, match=name.partition(":")[0]):
        parse_archive(HOSTILE[name])


LOST = {
    "says it has nine bytes": BOMB.replace((21 * 1024 * 1024).to_bytes(4, "little"), b"\x09\0\0\0"),
    "a compression without bound": fatture.zipped({"a.xml": INVOICE}, zipfile.ZIP_LZMA),
    "another checksum": fatture.zipped({"a.xml": INVOICE}, zipfile.ZIP_STORED).replace(b"RISERVATO", b"riservato"),
}


@pytest.mark.parametrize("name", LOST)
def test_members_that_cannot_be_taken_out(name: str) -> None:
    """A false size, a compression that has no bound, a checksum that does not fit: that member is refused."""
    ((_, found),) = parse_archive(LOST[name])
    assert isinstance(found, UnreadableInvoiceError)
    assert found.code == "bad_zip"


WHOLE = [INVOICE, fatture.lot(2), fatture.simplified(), fatture.zipped({"a.xml": INVOICE})]
WHOLE += [fatture.wrapped(INVOICE, wrapping) for wrapping in WRAPPINGS]
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=8)), min_size=1, max_size=6)


@settings(max_examples=1000)
@given(st.sampled_from(WHOLE), EDITS)
def test_mutilated_files(whole: bytes, edits: list[tuple[float, int, bytes]]) -> None:
    """Bytes cut out and put in anywhere: an invoice or a refusal that quotes nothing, never another exception."""
    for place, cut, put in edits:
        at = int(place * len(whole))
        whole = whole[:at] + put + whole[at + cut :]
    answer(whole)


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    """Whatever the bytes are, alone or behind the beginning of something real, the answer is orderly."""
    for start in (b"", b"<a>", b"MII", ENVELOPE[:60], b"\xff\xfe", b"PK\3\4"):
        answer(start + data)


TEXTS = st.one_of(
    st.text(max_size=40), st.sampled_from(["NaN", "1e999999", "9" * 500, "٣", "-", "1,5", "0x1", "∞", "--1"])
)


@given(st.sampled_from(WHOLE[:3]), st.integers(0, 60), TEXTS)
def test_any_text_in_any_element(whole: bytes, which: int, text: str) -> None:
    """One text of a sound file replaced by another: read, kept as unknown, or refused."""
    leaves = list(re.finditer(r">([^<]+)</", whole.decode()))
    leaf = leaves[which % len(leaves)]
    answer(f"{leaf.string[: leaf.start(1)]}{escape(text)}{leaf.string[leaf.end(1) :]}".encode("utf-8", "replace"))


def answer(data: bytes) -> None:
    """Read `data` as a file and as an archive; no refusal, nor what hangs on it, holds a supplier's text."""
    for read in (parse_file, parse_archive):
        refused: UnreadableInvoiceError | None = None
        try:
            read(data)
        except UnreadableInvoiceError as error:
            refused = error
        if refused:
            assert "RISERVATO" not in str(refused)
            assert refused.__cause__ is None
            assert refused.__suppress_context__ or refused.__context__ is None


def samples() -> dict[str, bytes]:
    """The envelopes of our own, and those of the folder that RIENTRO_SDI_SAMPLES names."""
    folder = os.environ.get("RIENTRO_SDI_SAMPLES")
    own = {f"{wrapping}.xml.p7m": fatture.wrapped(INVOICE, wrapping) for wrapping in WRAPPINGS}
    return own | {file.name: file.read_bytes() for file in (sorted(Path(folder).rglob("*.p7m")) if folder else [])}


SAMPLES = samples()


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name: str) -> None:
    """Each envelope gives the document that lies beside it unwrapped; the one cut short is refused."""
    if "trunc" in name:
        assert refusal(SAMPLES[name], name) == "bad_p7m"
        return
    plain = [file.read_bytes() for file in Path(os.environ.get("RIENTRO_SDI_SAMPLES", ".")).rglob("IT*_FPR01.xml")]
    file = parse_file(SAMPLES[name], name)
    assert file.sha256 in {hashlib.sha256(document).hexdigest() for document in [INVOICE, *plain]}
    assert file.signature == "intact"
