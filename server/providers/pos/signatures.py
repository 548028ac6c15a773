"""Signatures that are base64 HMAC-SHA256 of bytes, as Square and Shopify make them."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from hashlib import sha256

from server.ports import Account, WebhookRefusedError

_LENGTH = 32


def verify_hmac(account: Account, signed: bytes, given: str, secrets: Sequence[str]) -> str:
    """The name of the secret that `given` was made with over these bytes. Raises WebhookRefusedError."""
    signature = _decoded(given)
    if signature is None:
        raise WebhookRefusedError("unsigned")
    for name in secrets:
        secret = account.secrets.get(name)
        if secret and hmac.compare_digest(hmac.new(secret.encode(), signed, sha256).digest(), signature):
            return name
    raise WebhookRefusedError("bad_signature")


def _decoded(text: str) -> bytes | None:
    """The signature in a text that is its only one."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if len(decoded) == _LENGTH and base64.b64encode(decoded).decode() == text else None
