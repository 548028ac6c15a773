"""Scheme `standard`: webhooks signed as the Standard Webhooks specification (1.0) says, told in our own form.

The signature covers `webhook-id`, `webhook-timestamp` and the raw body; `webhook-id` is what redeliveries share. Two
secrets are live during a rotation. The clock is the caller's, so the time is judged here and not by the library, whose
signature is compared.
"""

import base64
import binascii
import hmac
import re
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json
from standardwebhooks import Webhook

from server.ports import (
    Account,
    Draft,
    Fetched,
    Reading,
    Received,
    Recognised,
    UnusableEventError,
    WebhookEvent,
    WebhookRefusedError,
    refuse_untimely,
)
from server.providers.pos.mapping import sale_fields
from server.providers.pos.payload import SALE_CREATED, VERSION, Envelope, SaleV1

SECRETS = ("secret", "previous_secret")

_SECONDS = re.compile(r"[0-9]{1,11}")


class StandardScheme:
    """Generic points of sale."""

    kept_headers = frozenset(("webhook-id", "webhook-timestamp"))

    def verify(self, account: Account, received: Received) -> Recognised:
        """Check signature and time. Raises WebhookRefusedError."""
        event_id = received.headers.get("webhook-id")
        timestamp = received.headers.get("webhook-timestamp", "")
        given = received.headers.get("webhook-signature")
        if not event_id or not given or not _SECONDS.fullmatch(timestamp):
            raise WebhookRefusedError("unsigned")
        verified_by = _fitting(account, event_id, int(timestamp), received.body, given)
        if verified_by is None:
            raise WebhookRefusedError("bad_signature")
        refuse_untimely(int(timestamp), received.now_ms)
        return Recognised(event_id, _type_of(received.body), None, verified_by)

    async def fetch(self, _event: WebhookEvent) -> Fetched | None:
        """Nothing: the event says everything."""
        return None

    def read(self, event: WebhookEvent, _fetched: Fetched | None) -> Reading:
        """A sale, or why there is nothing to do. Raises UnusableEventError."""
        try:
            envelope = Envelope.model_validate_json(event.body)
        except ValidationError as error:
            raise _unusable("malformed", error) from None
        if envelope.type != SALE_CREATED:
            return Reading(ignored="events of this type are no business of ours")
        if envelope.data.get("version") != VERSION:
            raise UnusableEventError("unknown_version", f"this server reads version {VERSION} of {SALE_CREATED}")
        try:
            told = SaleV1.model_validate(envelope.data)
        except ValidationError as error:
            raise _unusable("invalid", error) from None
        fields = sale_fields(told, event.account.settings["shop"])
        return Reading([Draft("sales", f"{event.account.endpoint_id}:{told.id}", "", fields)])


def _fitting(account: Account, event_id: str, seconds: int, body: bytes, given: str) -> str | None:
    """The name of the secret whose signature is among those given."""
    try:
        text = body.decode()
        at = datetime.fromtimestamp(seconds, UTC)
    except (UnicodeDecodeError, ValueError, OverflowError):
        return None
    signatures = [decoded for decoded in map(_decoded, given.split(" ")[:16]) if decoded is not None]
    for name in SECRETS:
        secret = account.secrets.get(name)
        if secret is None:
            continue
        expected = base64.b64decode(Webhook(secret).sign(event_id, at, text).partition(",")[2])
        if any(hmac.compare_digest(expected, signature) for signature in signatures):
            return name
    return None


def _decoded(versioned: str) -> bytes | None:
    version, _, signature = versioned.partition(",")
    if version != "v1":
        return None
    try:
        return base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return None


def _type_of(body: bytes) -> str:
    try:
        document: Any = from_json(body)
    except ValueError:
        return ""
    told = document.get("type") if isinstance(document, dict) else None
    return told if isinstance(told, str) else ""


def _unusable(code: str, error: ValidationError) -> UnusableEventError:
    """Where and why, without the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    reasons = dict.fromkeys(f"{_place(one['loc'])}: {one['type']}" for one in found)
    return UnusableEventError(code, "; ".join([*reasons][:5]))


def _place(location: tuple[int | str, ...]) -> str:
    """`lines.0.total`, without the names pydantic gives to a union's members."""
    return ".".join(str(part) for part in location if str(part).replace("_", "").isalnum()) or "body"
