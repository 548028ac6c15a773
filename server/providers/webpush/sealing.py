"""A message as a push service takes it: encrypted for one browser (RFC 8291), signed by our key for it (RFC 8292).

pywebpush encrypts, py-vapid signs; what is sent goes by our own way out. Both ends of the encryption are new with each
attempt, so no two attempts have the same bytes.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from server.ports import Subscription

ENCODING = "aes128gcm"
TOKEN_LIFE_S = 12 * 3600
"""Of at most 24 hours (RFC 8292, section 2)."""


def encrypt(message: bytes, subscription: Subscription) -> bytes:
    """The body. Slow at first, for what it needs is loaded then: run it in a thread."""
    from pywebpush import WebPusher  # noqa: PLC0415  # it brings two HTTP clients along, half a second of every start

    keys = {"p256dh": subscription.p256dh, "auth": subscription.auth}
    encrypted = WebPusher({"endpoint": subscription.endpoint, "keys": keys}).encode(message, ENCODING)
    body: bytes = encrypted["body"]
    return body


def sign(subscription: Subscription, now_s: int) -> Mapping[str, str]:
    """The header that says who sends it: good for this push service, until half a day from now."""
    from py_vapid import Vapid02  # noqa: PLC0415

    parts = urlsplit(subscription.endpoint)
    claims = {"aud": f"{parts.scheme}://{parts.netloc}", "sub": subscription.contact, "exp": now_s + TOKEN_LIFE_S}
    pair = Vapid02.from_raw(subscription.private_key.encode())
    pair.conf["no-strict"] = True
    headers: Mapping[str, str] = pair.sign(claims)
    return {"Authorization": headers["Authorization"]}
