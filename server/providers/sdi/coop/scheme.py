"""Scheme `sdicoop`: what SDI tells us itself, proven by the certificate of its connection.

A message is known by its file's id and its metadata: SDI's next try of the same is the same event, and the same
metadata with another file is a contradiction for a person. What an invoice file holds is read later, by the reader of
all schemes; whatever is wrong with it, SDI has its ER01.
"""

from datetime import UTC, datetime
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import ValidationError

from server.ports import (
    Account,
    Fetched,
    Reading,
    Received,
    Recognised,
    SchemeKind,
    UnusableEventError,
    WebhookEvent,
    WebhookRefusedError,
)
from server.providers.sdi.coop.soap import Told
from server.providers.sdi.receipts import receipt_draft
from server.providers.sdi.received import ReceivedFile, read_invoices

_BROKEN = (ValueError, x509.InvalidVersion)


def fingerprints(pem: str) -> frozenset[bytes]:
    """Of every certificate in a PEM text. Raises ValueError where there is none."""
    return frozenset(one.fingerprint(SHA256()) for one in x509.load_pem_x509_certificates(pem.encode()))


class SdiCoopScheme:
    """Invoices and receipts, by SDI itself."""

    kind: SchemeKind = "signed"
    fetches = False
    kept_headers = frozenset(("soapaction",))

    def verify(self, account: Account, received: Received) -> Recognised:
        """Check that it is SDI's certificate. Raises WebhookRefusedError."""
        _check_certificate(account, received)
        told = _understood(received.body)
        distinguishing = told.metadata if told.heard == "invoice" else told.file
        digest = sha256(f"{told.file_name} {distinguishing}".encode()).hexdigest()[:32]
        event_id = f"{told.heard}.{told.sdi_id}.{digest}"
        return Recognised(event_id, told.heard, f"{told.heard}/{told.sdi_id}", "certificate")

    async def fetch(self, _event: WebhookEvent) -> Fetched | None:
        """Nothing: it brought everything."""
        return None

    def read(self, event: WebhookEvent, _fetched: Fetched | None) -> Reading:
        """The invoices in a file, or what a receipt says of one of ours. Raises UnusableEventError."""
        told = _understood(event.body)
        match told.heard:
            case "invoice":
                file = ReceivedFile(told.content(), told.file_name, told.sdi_id)
                return read_invoices([file], event.received_at, event.account)
            case "receipt":
                return Reading([receipt_draft(told.content(), told.sdi_id, event.account, event.received_at)])
            case "deadline":
                return Reading(ignored="a deadline for refusing an invoice has passed: only public bodies may refuse")


def _check_certificate(account: Account, received: Received) -> None:
    if received.certificate is None:
        raise WebhookRefusedError("unsigned")
    try:
        shown = x509.load_pem_x509_certificate(received.certificate.encode())
        trusted = fingerprints(str(account.settings["sdi_certificates"]))
    except (*_BROKEN, KeyError):
        raise WebhookRefusedError("unsigned") from None
    if shown.fingerprint(SHA256()) not in trusted:
        raise WebhookRefusedError("bad_signature")
    now = datetime.fromtimestamp(received.now_ms / 1000, UTC)
    if now < shown.not_valid_before_utc:
        raise WebhookRefusedError("future")
    if now >= shown.not_valid_after_utc:
        raise WebhookRefusedError("stale")


def _understood(body: bytes) -> Told:
    try:
        return Told.model_validate_json(body)
    except ValidationError:
        raise UnusableEventError("malformed", "This is not a message as it was kept.") from None
