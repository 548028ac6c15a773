"""Scheme `invoicetronic`: an intermediary that tells by webhook that a file came, and hands the file over by API.

`Invoicetronic-Signature: t=<seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`. The body is a log entry: it says which
resource was touched, not what it holds. In the field `endpoint` is not the bare word of the documentation but an
address (`receive/86940`, `/v1/receive`), and names come in any case; so it is read that way, and what is not understood
is quarantined, never passed over.
"""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

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
    refuse_untimely,
)
from server.providers.sdi.api import InvoicetronicApi
from server.providers.sdi.received import read_invoices, received_file
from server.providers.sdi.sending import InvoicetronicSending, Update, update_draft

SECRETS = ("webhook_secret", "previous_webhook_secret")

_RECEIVE = re.compile(r"(?:^|[^a-z])receive(?:[^a-z]|$)")
_UPDATE = re.compile(r"(?:^|[^a-z])update(?:[^a-z]|$)")
_LAST_NUMBER = re.compile(r"/([0-9]{1,18})/?$")
_SECONDS = re.compile(r"[0-9]{1,11}")
_HEX = re.compile(r"[0-9a-f]{64}")

Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]


class Told(BaseModel):
    """The body of a webhook, its names without case and underscores."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[Text, Field(max_length=100)]
    endpoint: Annotated[str, Field(max_length=500)] = ""
    event: Annotated[str, Field(max_length=100)] = ""
    method: Annotated[str, Field(max_length=20)] = ""
    resourceid: Annotated[int, Field(ge=1, le=2**53)] | None = None
    companyid: int | None = None
    success: bool = True

    @property
    def is_received_invoice(self) -> bool:
        """Whether an invoice for us came in."""
        named = _RECEIVE.search(self.endpoint.lower()) or self.event.lower().startswith("receive")
        return bool(named) and self.success and self.method.upper() != "DELETE"

    @property
    def is_update(self) -> bool:
        """Whether it tells what became of an invoice of ours."""
        named = _UPDATE.search(self.endpoint.lower()) or self.event.lower().startswith("update")
        return bool(named) and self.success and self.method.upper() != "DELETE"

    @property
    def resource(self) -> int | None:
        """The id to fetch it by."""
        found = _LAST_NUMBER.search(self.endpoint)
        return self.resourceid or (int(found[1]) if found else None)

    @property
    def kind(self) -> str:
        """The event's type, in a word or two."""
        return self.event or f"{'receive' if _RECEIVE.search(self.endpoint.lower()) else 'other'}.{self.method.lower()}"


def parse_told(body: bytes) -> Told | None:
    """What a webhook says, or None for what cannot be read."""
    try:
        document: Any = from_json(body)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    try:
        return Told.model_validate({name.replace("_", "").lower(): value for name, value in document.items()})
    except ValidationError:
        return None


class InvoicetronicScheme:
    """Invoices received, by intermediary."""

    kind: SchemeKind = "signed"
    fetches = True
    kept_headers = frozenset[str]()

    def __init__(self, api: InvoicetronicApi, sending: InvoicetronicSending) -> None:
        """`api` fetches what came in, `sending` what became of what went out."""
        self._api, self._sending = api, sending

    def verify(self, account: Account, received: Received) -> Recognised:
        """Check signature and time. Raises WebhookRefusedError."""
        given = _parts(received.headers.get("invoicetronic-signature", ""))
        timestamp = given.get("t", [""])[0]
        signatures = [text for text in given.get("v1", []) if _HEX.fullmatch(text)]
        if not _SECONDS.fullmatch(timestamp) or not signatures:
            raise WebhookRefusedError("unsigned")
        verified_by = _fitting(account, timestamp, received.body, signatures)
        if verified_by is None:
            raise WebhookRefusedError("bad_signature")
        refuse_untimely(int(timestamp), received.now_ms)
        told = parse_told(received.body)
        if told is None:  # authentic, so it is kept: under the name of its content
            return Recognised(f"sha256:{sha256(received.body).hexdigest()}", "", None, verified_by)
        object_id = f"receive/{told.resource}" if told.is_received_invoice and told.resource else None
        if told.is_update and told.resource:
            object_id = f"update/{told.resource}"
        return Recognised(told.id, told.kind, object_id, verified_by)

    async def fetch(self, event: WebhookEvent) -> Fetched | None:
        """The invoice file, where the event tells of one. Raises UnusableEventError, OutboundError, DeliveryError."""
        told = _understood(event)
        if _not_ours(told, event.account) is not None:
            return None
        if told.resource is None:
            raise UnusableEventError("no_resource", "The event tells of an invoice, and not which.")
        if told.is_update:
            answer, update = await self._sending.update(event.account, told.resource)
            return Fetched(answer, None if update is None else update.model_dump_json().encode())
        return await self._api.file(event.account, told.resource)

    def read(self, event: WebhookEvent, fetched: Fetched | None) -> Reading:
        """The invoices in the file. Raises UnusableEventError."""
        told = _understood(event)
        reason = _not_ours(told, event.account)
        if reason is None and fetched is not None:
            reason = _anothers(fetched.facts.get("company_id"), event.account)
        if reason is not None:
            return Reading(ignored=reason)
        if fetched is None or fetched.content is None:
            raise UnusableEventError("no_file", "The intermediary has no file under this id.")
        if told.is_update:
            draft = update_draft(Update.model_validate_json(fetched.content), event.account, event.received_at)
            return Reading(ignored="it was sent, which we know") if draft is None else Reading([draft])
        return read_invoices([received_file(fetched)], event.received_at, event.account)


def _parts(header: str) -> Mapping[str, list[str]]:
    """`t=1,v1=a,v1=b` by name."""
    parts: dict[str, list[str]] = {}
    for part in header.split(",")[:16]:
        name, _, value = part.strip().partition("=")
        parts.setdefault(name, []).append(value)
    return parts


def _fitting(account: Account, timestamp: str, body: bytes, signatures: list[str]) -> str | None:
    """The name of the secret whose signature is among those given."""
    for name in SECRETS:
        secret = account.secrets.get(name)
        if secret is None:
            continue
        expected = hmac.new(secret.encode(), timestamp.encode() + b"." + body, sha256).hexdigest()
        if any(hmac.compare_digest(expected, signature) for signature in signatures):
            return name
    return None


def _understood(event: WebhookEvent) -> Told:
    told = parse_told(event.body)
    if told is None:
        raise UnusableEventError("malformed", "The body is not the log entry that this intermediary sends.")
    return told


def _not_ours(told: Told, account: Account) -> str | None:
    """Why an event is no business of ours."""
    if not told.is_received_invoice and not told.is_update:
        return "it does not tell of an invoice received"
    return None if told.companyid is None else _anothers(str(told.companyid), account)


def _anothers(company_id: str | None, account: Account) -> str | None:
    ours = account.settings.get("company_id")
    if ours is None or company_id is None or company_id == str(ours):
        return None
    return "it is another company's of the same account"
