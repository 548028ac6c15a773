"""Scheme `standard`: webhooks signed as the Standard Webhooks specification (1.0) says, told in our own form.

Two secrets are live during a rotation.
"""

from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from server.mapping import PayloadMapping, reasons
from server.ports import (
    Account,
    Fetched,
    Reading,
    Received,
    Recognised,
    SchemeKind,
    UnusableEventError,
    WebhookEvent,
)
from server.providers.pos.closing import CLOSURE
from server.providers.pos.mapping import SALE, Sale
from server.providers.pos.payload import CLOSURE_CREATED, SALE_CREATED, SALE_VOIDED, VERSION, Envelope, SaleV1
from server.standard_webhooks import HEADERS, verify

SECRETS = ("secret", "previous_secret")


class StandardScheme:
    """Generic points of sale."""

    kind: SchemeKind = "signed"
    fetches = False
    kept_headers = HEADERS

    def __init__(self, sale: PayloadMapping[SaleV1, Sale] = SALE) -> None:
        """How a sale is read."""
        self._mappings: dict[str, PayloadMapping[Any, Any]] = {
            SALE_CREATED: sale,
            SALE_VOIDED: sale,
            CLOSURE_CREATED: CLOSURE,
        }

    def verify(self, account: Account, received: Received) -> Recognised:
        """Check signature and time. Raises WebhookRefusedError."""
        verified = verify(account, received, SECRETS)
        event_type, object_id = _named(received.body)
        return Recognised(verified.event_id, event_type, object_id, verified.secret)

    async def fetch(self, _event: WebhookEvent) -> Fetched | None:
        """Nothing: the event says everything."""
        return None

    def read(self, event: WebhookEvent, _fetched: Fetched | None) -> Reading:
        """A sale or a closing, or why there is nothing to do. Raises UnusableEventError."""
        try:
            envelope = Envelope.model_validate_json(event.body)
        except ValidationError as error:
            raise UnusableEventError("malformed", reasons(error)) from None
        mapping = self._mappings.get(envelope.type)
        if mapping is None:
            return Reading(ignored="events of this type are no business of ours")
        if envelope.data.get("version") != VERSION:
            raise UnusableEventError("unknown_version", f"this server reads version {VERSION} of {envelope.type}")
        told = mapping.parse(envelope.data)
        kind = "closure/" if mapping is CLOSURE else ""
        draft = mapping.draft(told, event.account, f"{event.account.endpoint_id}:{kind}{told.id}")
        if envelope.type == SALE_VOIDED:  # whole, so that it may come before the sale it voids
            draft = draft._replace(fields={**draft.fields, "status": "voided"})
        return Reading([draft])


def _named(body: bytes) -> tuple[str, str | None]:
    """The event's type and the sale it is about, as far as they can be read."""
    try:
        document: Any = from_json(body)
    except ValueError:
        return "", None
    told = document if isinstance(document, dict) else {}
    event_type, data = told.get("type"), told.get("data")
    sale_id = data.get("id") if isinstance(data, dict) else None
    kind = str(event_type).partition(".")[0]
    named = f"{kind}/{sale_id}" if isinstance(sale_id, str) else None
    return event_type if isinstance(event_type, str) else "", named
