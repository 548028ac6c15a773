"""Fetching what the provider publishes, by the one way out, within bounds."""

import json
from typing import Any

import anyio

from server.outbound import Outbound, OutboundError

WAIT_S = 5
_MOST_BYTES = 256 * 1024


class FetchError(Exception):
    """Nothing usable came; `reason` is one of our own words."""

    def __init__(self, reason: str) -> None:
        """For the log."""
        super().__init__(reason)
        self.reason = reason


async def fetch_document(outbound: Outbound, url: str) -> dict[str, Any]:
    """A JSON object. Raises FetchError."""
    try:
        with anyio.fail_after(WAIT_S):
            reply = await outbound.get(url, {"Accept": "application/json"}, WAIT_S, _MOST_BYTES)
    except OutboundError as error:
        raise FetchError(error.reason) from None
    except TimeoutError:
        raise FetchError("timeout") from None
    if reply.status != 200:  # noqa: PLR2004
        raise FetchError(f"status_{reply.status}")
    return read_document(reply.body)


def read_document(body: bytes | None) -> dict[str, Any]:
    """A JSON object. Raises FetchError."""
    try:
        document: Any = json.loads(body or b"")
    except (ValueError, RecursionError):
        raise FetchError("unreadable") from None
    if not isinstance(document, dict):
        raise FetchError("unreadable")
    return document
