"""Events signed as Stripe signs them, by a writer of the tests' own."""

import hmac
import json
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from tests.stripe.house import SECRET


def signature(body: bytes, secret: str = SECRET, at_s: int | None = None) -> str:
    """One `v1` of the header."""
    return hmac.new(secret.encode(), f"{now_s() if at_s is None else at_s}.".encode() + body, sha256).hexdigest()


def signed(event: Mapping[str, Any], secret: str = SECRET, off_s: int = 0) -> tuple[dict[str, str], bytes]:
    """Headers and body of a webhook, signed so many seconds from now."""
    body, at_s = json.dumps(event).encode(), now_s() + off_s
    return {"stripe-signature": f"t={at_s},v1={signature(body, secret, at_s)}"}, body


def now_s() -> int:
    """The machine's clock."""
    return int(time.time())
