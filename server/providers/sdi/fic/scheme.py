"""Scheme `fattureincloud`: webhooks that hold ids and nothing else; the documents are fetched.

An event is authentic, and what it says is a hint all the same: the token does not cover the body. An id that is not
there any more (a pending document that was registered meanwhile) is told of again under its new one.
"""

import re
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from server.ports import (
    Account,
    Answer,
    Challenge,
    Fetched,
    Reading,
    Received,
    Recognised,
    SchemeKind,
    UnusableEventError,
    WebhookEvent,
    WebhookRefusedError,
)
from server.providers.sdi.fic.api import ELECTRONIC, OK, Document, FicApi, Kind
from server.providers.sdi.fic.token import claims_of, is_for
from server.providers.sdi.received import read_invoices, received_file
from server.resilience.errors import PermanentError, UnknownError

PREFIX = "it.fattureincloud.webhooks."
RECEIVED: Mapping[Kind, str] = {
    "pending": "received_documents.e_invoices.receive",
    "registered": "received_documents.create",
}
KINDS: Mapping[str, Kind] = {name: kind for kind, name in RECEIVED.items()}
CHALLENGE = "x-fic-verification-challenge"
MOST_AT_ONCE = 20
"""More documents than that in one event are left to the poll: they would be fetched under one lease."""
_MISSING = frozenset((404, 410))
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{1,256}")
_EVENT_ID = re.compile(r"[!-~]{1,200}")


class _Named(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    ids: Annotated[list[Annotated[int, Field(ge=1, le=2**53)]], Field(max_length=10_000)]


class Told(BaseModel):
    """The body: the ids it names, in either of the two modes; the event's type stands beside it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    data: _Named


class FicScheme:
    """Invoices received, by Fatture in Cloud."""

    kind: SchemeKind = "signed"
    fetches = True
    kept_headers = frozenset(("ce-id", "ce-type", "ce-time", "ce-subject", "ce-source", "ce-specversion"))

    def __init__(self, api: FicApi) -> None:
        """`api` fetches."""
        self._api = api

    def verify(self, account: Account, received: Received) -> Recognised:
        """Check the token, and that it is this event's and for this address. Raises WebhookRefusedError."""
        claims = claims_of(account, received.headers.get("authorization", ""), received.now_ms)
        event_id, event_type, subject = _attributes(received)
        if claims.get("jti") != event_id or not is_for(account, claims):
            raise WebhookRefusedError("bad_signature")
        if subject is not None and subject != claims["sub"]:
            raise WebhookRefusedError("bad_signature")
        kind, ids = KINDS.get(event_type), _ids(received.body)
        object_id = f"{kind}/{ids[0]}" if kind is not None and ids is not None and len(ids) == 1 else None
        return Recognised(event_id, event_type, object_id, "webhook_public_key")

    def challenged(self, account: Account, challenge: Challenge) -> Mapping[str, str]:
        """The answer that makes a subscription valid. Raises WebhookRefusedError."""
        claims_of(account, challenge.headers.get("authorization", ""), challenge.now_ms)
        given = challenge.headers.get(CHALLENGE) or challenge.query.get(CHALLENGE) or ""
        if not _CHALLENGE.fullmatch(given):
            raise WebhookRefusedError("unreadable")
        return {"verification": given}

    async def fetch(self, event: WebhookEvent) -> Fetched | None:
        """The files of the documents it names. Raises UnusableEventError, OutboundError, DeliveryError."""
        kind = KINDS.get(event.event_type)
        ids = [] if kind is None else _understood(event.body)
        if kind is None or not 0 < len(ids) <= MOST_AT_ONCE:
            return None
        fetched = [await self._file(event.account, kind, one) for one in ids]
        failed = next((one for one in fetched if one.answer.status != OK), None)
        found = [one for one in fetched if one.content is not None]
        if len(found) <= 1 or failed is not None:
            return failed or (found or fetched)[0]
        return Fetched(fetched[0].answer, _zipped(found), {"files": str(len(found))})

    def read(self, event: WebhookEvent, fetched: Fetched | None) -> Reading:
        """The invoices in the files. Raises UnusableEventError."""
        if event.event_type not in KINDS:
            return Reading(ignored="it does not tell of a document received")
        if fetched is None:
            ids = _understood(event.body)
            return Reading(ignored="it names no document" if not ids else "it names too many: the poll finds them")
        if fetched.content is None:
            return Reading(ignored=fetched.facts.get("why", "there is no file"))
        return read_invoices([received_file(fetched)], event.received_at, event.account)

    async def _file(self, account: Account, kind: Kind, document_id: int) -> Fetched:
        answer, document = await self._api.document(account, kind, document_id)
        if answer.status in _MISSING:
            return Fetched(Answer(OK), None, {"why": "it is not there any more: registered, or deleted"})
        if document is None:
            return Fetched(answer)
        why = _no_invoice(kind, document)
        if why is not None:
            return Fetched(answer, None, {"why": why})
        if not document.attachment_url:
            raise UnknownError("no_payload")
        reply = await self._api.file(document.attachment_url)
        if reply.status != OK:  # the address was signed for a while: the next attempt gets another one
            raise UnknownError("file_not_there")
        if reply.body is None:
            raise PermanentError("answer_too_large")
        name = document.filename
        facts = {"resource_id": f"{kind}/{document_id}"}
        if name and name.isprintable() and len(name) <= 255:  # noqa: PLR2004  # a file's name
            facts["file_name"] = name
        return Fetched(answer, reply.body, facts)


def _no_invoice(kind: Kind, document: Document) -> str | None:
    electronic = document.type in {None, ELECTRONIC} if kind == "pending" else document.e_invoice
    return None if electronic else "it is no electronic invoice"


def _attributes(received: Received) -> tuple[str, str, str | None]:
    """Id, type and subject, from headers or, in the structured mode, from the body. Raises WebhookRefusedError."""
    said: Mapping[str, Any] = {name: received.headers.get(f"ce-{name}") for name in ("id", "type", "subject")}
    if said["id"] is None:
        document = _json(received.body)
        said = document if isinstance(document, dict) else {}
    event_id, event_type, subject = (said.get(name) for name in ("id", "type", "subject"))
    if not isinstance(event_id, str) or not _EVENT_ID.fullmatch(event_id) or not isinstance(event_type, str):
        raise WebhookRefusedError("unsigned")
    return event_id, event_type.removeprefix(PREFIX), subject if isinstance(subject, str) else None


def _ids(body: bytes) -> list[int] | None:
    try:
        return Told.model_validate_json(body).data.ids
    except ValidationError:
        return None


def _json(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:
        return None


def _understood(body: bytes) -> list[int]:
    ids = _ids(body)
    if ids is None:
        raise UnusableEventError("malformed", "The body does not name the documents it tells of.")
    return ids


def _zipped(files: list[Fetched]) -> bytes:
    """Several files as one content, for the event keeps one."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, file in enumerate(files):
            if file.content is not None:
                archive.writestr(f"{place}-{file.facts.get('file_name', 'fattura.xml')}", file.content)
    return buffer.getvalue()
