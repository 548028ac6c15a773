"""A way out that leads nowhere: requests come as far as the network, are noted there, and are not sent.

Everything before the network is what it always is (credentials, signatures, the guard's look at the address), so what
is shown cannot drift from what would be sent. Access tokens alone are made up: to get one would be a call.
"""

import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import quote, quote_plus

import httpx

from server.outbound.client import Outbound, open_outbound
from server.outbound.guard import NotSentError
from server.ports import Account

MASK = "***"
SHORTEST_SECRET = 4
"""Shorter ones would mask every other word; such a header's name masks it all the same."""

_SECRET_HEADER = re.compile(r"(?i)authorization|cookie|token|secret|signature|api-?key|password")


class Rendered(NamedTuple):
    """A request as it would be sent, its secrets masked; `body` is text, or how many bytes it is."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str


class Recorder(httpx.AsyncBaseTransport):
    """Notes requests and sends none."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._requests: list[tuple[httpx.Request, bytes]] = []

    @property
    def noted(self) -> int:
        """How many requests came."""
        return len(self._requests)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's: note it. Raises NotSentError."""
        self._requests.append((request, await request.aread()))
        raise NotSentError("not sent", request=request)

    def rendered(self, secrets: Iterable[str]) -> list[Rendered]:
        """What was noted, without these secrets, in whatever form they stand in it."""
        forms = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)
        return [_render(request, body, forms) for request, body in self._requests]


class MadeUp:
    """Stands where access tokens are kept."""

    async def token(self, _account: Account, refused: str | None = None) -> str:
        """No token: a word in its place."""
        return "an-access-token"


@asynccontextmanager
async def open_preview(*, allow_loopback: bool) -> AsyncIterator[tuple[Outbound, Recorder]]:
    """A way out like any other, and what notes what would leave by it."""
    recorder = Recorder()
    async with open_outbound(allow_loopback=allow_loopback, transport=recorder) as outbound:
        outbound.authorize_with(MadeUp())
        yield outbound, recorder


def _render(request: httpx.Request, body: bytes, forms: Iterable[str]) -> Rendered:
    headers = {
        name: MASK if _SECRET_HEADER.search(name) else _hidden(value, forms) for name, value in request.headers.items()
    }
    try:
        text = _hidden(body.decode(), forms)
    except UnicodeDecodeError:
        text = f"<{len(body)} bytes>"
    return Rendered(request.method, _hidden(str(request.url), forms), headers, text)


def _forms(secret: str) -> Iterator[str]:
    """A secret as it is, in an address, in a form and in JSON; of several, divided by a space, each."""
    for one in {secret, *secret.split()}:
        if len(one) >= SHORTEST_SECRET:
            yield from (one, quote(one, safe=""), quote_plus(one), json.dumps(one)[1:-1])


def _hidden(text: str, forms: Iterable[str]) -> str:
    for form in forms:
        text = text.replace(form, MASK)
    return text
