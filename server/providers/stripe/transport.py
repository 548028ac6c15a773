"""The SDK's way to the network: our own client, with its guard, its timeouts and its bounds.

The SDK is given a client of its own kind that hands every request on to `server.outbound`. Of its headers those go out
that the request needs: it would also tell of this machine and its environment. Its own retries are off, for the relay
decides when anything is sent again; its notices, which become warnings of this process, are dropped; and it logs
nothing below a warning, for there it writes bodies.
"""

import logging
from collections.abc import Mapping
from typing import Any

import httpx
import stripe

from server.outbound import Outbound, Reply
from server.resilience.errors import UnknownError

MAX_LIST_BYTES = 8 * 1024 * 1024
"""A page of a hundred events, each with its object."""

_SENT = frozenset(("authorization", "content-type", "idempotency-key", "stripe-version"))


def make_client(outbound: Outbound, base_url: str, timeout_s: float, version: str) -> stripe.StripeClient:
    """The SDK for an address; whose call it is, each call says."""
    quieten()
    return stripe.StripeClient(
        "of-each-call",
        stripe_version=version,
        base_addresses={"api": base_url},
        max_network_retries=0,
        http_client=OutboundClient(outbound, timeout_s),
    )


def quieten() -> None:
    """Turn off what the SDK would do on its own, once a process: telemetry (it writes a file at home), and its logs."""
    stripe.enable_telemetry = False
    logging.getLogger("stripe").setLevel(logging.WARNING)


class OutboundClient(stripe.HTTPClient):
    """An HTTP client of the SDK's kind; asynchronous only."""

    name = "rientro"

    def __init__(self, outbound: Outbound, timeout_s: float) -> None:
        """`timeout_s` bounds each step of a request."""
        super().__init__()
        self._outbound, self._timeout_s = outbound, timeout_s

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One request, sent once. Raises OutboundError, UnknownError."""
        sent = {name: value for name, value in headers.items() if name.lower() in _SENT}
        reply = await self._send(method, url, sent, (post_data or "").encode())
        if reply.body is None:
            raise UnknownError("answer_too_large", maybe_done=method != "get")
        told = httpx.Headers(reply.headers)
        told.pop("stripe-notice", None)
        return reply.body, reply.status, told

    async def _send(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> Reply:
        match method:
            case "get":
                return await self._outbound.get(url, headers, self._timeout_s, MAX_LIST_BYTES)
            case "delete":
                return await self._outbound.delete(url, headers, self._timeout_s)
            case _:
                return await self._outbound.post(url, content, headers, self._timeout_s)

    async def close_async(self) -> None:
        """Nothing: the connections are the process's."""
