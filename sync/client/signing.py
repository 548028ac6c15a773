"""Signing requests, for a key that must: an `httpx.Auth` for any client, ours among them.

Each attempt has an id of its own, for a server takes it once.
"""

import time
import uuid
from collections.abc import Callable, Generator

import httpx

from sync.signing import ID, SIGNATURE, TIMESTAMP, Signed, decode_secret, sign


class RequestSigner(httpx.Auth):
    """Adds `webhook-id`, `webhook-timestamp` and `webhook-signature`; the bearer token is whoever's who sets it."""

    requires_request_body = True

    def __init__(
        self,
        secret: str,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        """`secret` is `whsec_…`. Raises ValueError for what is none."""
        decode_secret(secret)
        self._secret, self._clock_ms, self._new_id = secret, clock_ms, new_id

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign, then send."""
        signed = Signed(
            self._new_id(), str(self._clock_ms() // 1000), request.method, request.url.raw_path, request.content
        )
        request.headers[ID], request.headers[TIMESTAMP] = signed.request_id, signed.timestamp
        request.headers[SIGNATURE] = sign(self._secret, signed)
        yield request
