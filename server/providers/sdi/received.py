"""From files as an intermediary hands them over to what an event says: drafts, what cannot be used, files to keep.

A zip gives each of its files; where they are several, an id that came with it is none of theirs: under one id the
second would be taken for news of the first. The file is kept as it came and as the XML inside, and each attachment by
itself, all by their hashes, which the records name.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

from server.ports import Account, Draft, Fetched, Reading, UnusableEventError
from server.providers.sdi.fatturapa import MAX_BYTES, MAX_FILES, parse_file
from server.providers.sdi.fields import UnreadableInvoiceError
from server.providers.sdi.mapping import invoice_drafts
from server.providers.sdi.model import InvoiceFile
from server.providers.sdi.p7m import read_zip, unwrap

_ZIP = b"PK\x03\x04"
_BESIDE = frozenset(("no_root", "malformed", "empty"))
"""What stands beside an invoice in an archive and is none: the exchange's metadata, a style sheet, a note."""


class ReceivedFile(NamedTuple):
    """A file as it came: its bytes, its name, and the SDI's id, where whoever hands it over knows them."""

    content: bytes
    name: str | None = None
    sdi_id: str | None = None


def received_file(fetched: Fetched) -> ReceivedFile:
    """What was fetched, which has a content."""
    assert fetched.content is not None
    return ReceivedFile(fetched.content, fetched.facts.get("file_name"), fetched.facts.get("identifier"))


def read_invoices(received: Sequence[ReceivedFile], received_at: str, account: Account) -> Reading:
    """All that the files say. Raises UnusableEventError where there is one, and nothing in it can be read."""
    drafts: list[Draft] = []
    unusable: list[UnusableEventError] = []
    kept: dict[str, bytes] = {}
    for file in received:
        found = _parsed(file)
        documents = {parsed.sha256 for parsed, _ in found if isinstance(parsed, InvoiceFile)}
        sdi_id = file.sdi_id if len(documents) == 1 else None
        for parsed, source in found:
            if isinstance(parsed, UnreadableInvoiceError):
                unusable.append(UnusableEventError(parsed.code, parsed.message))
                continue
            digest = sha256(source).hexdigest()
            for said in invoice_drafts(parsed, sdi_id, received_at, account, digest):
                (drafts if isinstance(said, Draft) else unusable).append(said)  # type: ignore[arg-type]  # each its own
            kept |= {sha256(content).hexdigest(): content for content in _contents(parsed, source)}
    if not drafts and len(unusable) == 1:
        raise unusable[0]
    return Reading(drafts, unusable, files=[*kept.values()])


def _parsed(file: ReceivedFile) -> list[tuple[InvoiceFile | UnreadableInvoiceError, bytes]]:
    """What is in a file, and the bytes it stands in; a zip is no source that is kept, what is in it is."""
    try:
        if not file.content.startswith(_ZIP):
            return [(parse_file(file.content, file.name), file.content)]
        found = [one for _, one in read_zip(file.content, _member, max_files=MAX_FILES, max_inflated=4 * MAX_BYTES)]
    except UnreadableInvoiceError as error:
        return [(error, file.content)]
    read = [one for one in found if not isinstance(one, UnreadableInvoiceError)]
    beside = [one for one in found if isinstance(one, UnreadableInvoiceError) and not (read and one.code in _BESIDE)]
    return [*read, *((one, b"") for one in beside)]


def _member(content: bytes, name: str) -> tuple[InvoiceFile, bytes]:
    return parse_file(content, name), content


def _contents(parsed: InvoiceFile, source: bytes) -> Iterator[bytes]:
    yield source
    if sha256(source).hexdigest() != parsed.sha256:
        yield unwrap(source, max_bytes=MAX_BYTES)[0]
    for body in parsed.bodies:
        for attachment in body.attachments:
            if attachment.sha256 is not None:
                yield attachment.content()
