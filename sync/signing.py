r"""How a request is signed: the scheme of Standard Webhooks (1.0), over method, address and body.

The signature covers `<id>.<timestamp>.<method> <target>\n<sha256 of the body, in hex>`, where the target is path and
query as they stand in the request's first line, and the body is what is sent, compressed or not. It is told as
`v1,<base64 of the HMAC-SHA256>`. A secret is `whsec_<base64>`.
"""

import base64
import binascii
import hashlib
import hmac
from typing import NamedTuple

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX = "whsec_"
VERSION = "v1"


class Signed(NamedTuple):
    """What is signed; `timestamp` in seconds since 1970, as it stands in its header."""

    request_id: str
    timestamp: str
    method: str
    target: bytes
    body: bytes

    def content(self) -> bytes:
        """The bytes that the signature covers."""
        digest = hashlib.sha256(self.body).hexdigest()
        named = f"{self.request_id}.{self.timestamp}.{self.method} ".encode()
        return named + self.target + b"\n" + digest.encode()


def sign(secret: str, signed: Signed) -> str:
    """The signature's text. Raises ValueError for what is no secret."""
    mac = hmac.digest(decode_secret(secret), signed.content(), "sha256")
    return f"{VERSION},{base64.b64encode(mac).decode()}"


def is_signed_by(secret: str, signed: Signed, given: str) -> bool:
    """Whether one of the signatures in a header is this secret's; texts are compared, so each has one form."""
    wanted = sign(secret, signed).encode()
    return any(hmac.compare_digest(wanted, one.encode()) for one in given.split(" ")[:16])


def decode_secret(secret: str) -> bytes:
    """The key in a secret's text. Raises ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not key:
        raise ValueError("not of the form whsec_… with base64 after it")
    return key
