"""What Stripe's refusals mean: a status, by which the engine sorts them, and Stripe's own word for the reason.

    402                      the bank or Stripe said no: answered, not retried; the code says why (card_declined)
    409                      another call with our key is at work: transient
    429, lock timeouts       transient, not before Retry-After
    400 idempotency_error    our key came before with other parameters: permanent, a code of its own
    other 4xx                permanent, with Stripe's code (resource_missing, amount_too_small)
    5xx                      transient, and it may have taken effect

No message of Stripe's is kept: it may quote what we sent.
"""

import re
from typing import Any

from stripe import IdempotencyError, RateLimitError, StripeError

from server.ports import Answer
from server.providers.stripe.api import KEY_REUSED

_CODE = re.compile(r"[a-z0-9_]{1,64}")
_UNREADABLE = 520
"""No HTTP status at all: what answered was not Stripe. It is tried again with care, and may have taken effect."""

_THROTTLED = 429
_BAD_REQUEST = 400
_OK = 200


def answer_of(error: StripeError) -> Answer:
    """A refusal as the engine wants it; of one that made something all the same, with its name."""
    headers = error.headers or {}
    return Answer(
        _status(error),
        _made(error),
        headers.get("request-id"),
        headers.get("retry-after"),
        headers.get("date"),
        _code(error),
    )


def _status(error: StripeError) -> int:
    if isinstance(error, RateLimitError):
        return _THROTTLED
    if isinstance(error, IdempotencyError):
        return _BAD_REQUEST
    status = error.http_status or _UNREADABLE
    return _UNREADABLE if status // 100 == _OK // 100 else status  # a success that cannot be read


def _code(error: StripeError) -> str | None:
    if isinstance(error, IdempotencyError):
        return KEY_REUSED
    said = _said(error)
    words = (said.get("decline_code") if said.get("code") == "card_declined" else None, said.get("code"))
    found = next((word for word in words if isinstance(word, str) and _CODE.fullmatch(word)), None)
    return f"card_declined_{found}"[:64] if found is not None and found == words[0] else found


def _made(error: StripeError) -> str | None:
    """A declined payment exists; its name comes with the refusal."""
    intent = _said(error).get("payment_intent")
    name = intent.get("id") if isinstance(intent, dict) else None
    return name if isinstance(name, str) else None


def _said(error: StripeError) -> dict[str, Any]:
    body = error.json_body
    found = body.get("error") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}
