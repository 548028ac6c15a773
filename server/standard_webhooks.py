"""Checking signatures by the Standard Webhooks specification (1.0), for all providers whose peers sign that way.

The signature covers `webhook-id`, `webhook-timestamp` and the raw body; `webhook-id` is what redeliveries share.
Several secrets are live during a rotation. The clock is the caller's, so the time is judged here and not by the
library, whose signature is compared.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from standardwebhooks import Webhook

from server.ports import Account, Received, WebhookRefusedError, refuse_untimely

HEADERS = frozenset(("webhook-id", "webhook-timestamp"))
"""What may be stored of its headers as it is."""

_SECONDS = re.compile(r"[1-9][0-9]{0,10}")


class Verified(NamedTuple):
    """What a good signature says: the event's id, and the name of the secret that fitted."""

    event_id: str
    secret: str


def verify(account: Account, received: Received, secrets: Sequence[str]) -> Verified:
    """Check signature and time. Raises WebhookRefusedError.

    `secrets` names those to try; one may hold several, divided by a space.
    """
    event_id = received.headers.get("webhook-id")
    timestamp = received.headers.get("webhook-timestamp", "")
    given = received.headers.get("webhook-signature")
    if not event_id or not given or not _SECONDS.fullmatch(timestamp):
        raise WebhookRefusedError("unsigned")
    signatures = [decoded for decoded in map(_decoded, given.split(" ")[:16]) if decoded is not None]
    for name in secrets:
        for secret in account.secrets.get(name, "").split():
            expected = _expected(secret, event_id, int(timestamp), received.body)
            if expected is not None and any(hmac.compare_digest(expected, signature) for signature in signatures):
                refuse_untimely(int(timestamp), received.now_ms)
                return Verified(event_id, name)
    raise WebhookRefusedError("bad_signature")


def _expected(secret: str, event_id: str, seconds: int, body: bytes) -> bytes | None:
    try:
        signed = Webhook(secret).sign(event_id, datetime.fromtimestamp(seconds, UTC), body.decode())
    except (UnicodeDecodeError, ValueError, OverflowError):
        return None
    return base64.b64decode(signed.partition(",")[2])


def _decoded(versioned: str) -> bytes | None:
    """The signature in a text, which is its only one: no bits are left over in it."""
    version, _, signature = versioned.partition(",")
    if version != "v1":
        return None
    try:
        decoded = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if base64.b64encode(decoded).decode() == signature else None
