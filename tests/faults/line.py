"""A line between two programs that fails message by message: what befalls each request is drawn from a seeded deck.

A whole request is read before anything is done with it, so it can be lost before the other side sees it, arrive twice
or too late, or be answered by something else than what the other side said. The deck is shuffled, not diced: a short
run sees every fault too. (`tests.demo.proxy` fails byte by byte, and carries streams.)
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, NamedTuple, get_args

import httpx

from tests.support.processes import reserved_port
from tests.support.raw_http import Response, converse

Fault = Literal[
    "refuse",  # the connection is cut unseen, and new ones are refused for a moment
    "lose_request",  # cut before the other side sees it
    "lose_answer",  # cut after it took effect
    "late_answer",  # it takes effect, and is answered when the caller has given up
    "late_request",  # the other side sees it when the caller has given up
    "double",  # it arrives twice, one after the other
    "double_at_once",  # it arrives twice at the same time
    "cut_answer",  # half an answer, then nothing
    "throttle",  # 429 with Retry-After, unseen
    "error",  # 500, unseen
    "error_after",  # 503 after it took effect
    "garbage",  # it takes effect, and what comes back is no HTTP
]
Fate = Literal["pass", "poison"] | Fault

FAULTS: tuple[Fault, ...] = get_args(Fault)
BROKEN = (httpx.TransportError, AttributeError)
"""What httpx raises where there is no answer; on uvloop the latter, where a connection is cut as soon as it is made."""

RETRY_AFTER_S = 1
_SLAMMED_S = 0.1
_NAME = "webhook-id"
_ANSWERED = ("content-type", "retry-after", "date")
_HOP = frozenset(("host", "connection", "content-length", "transfer-encoding"))
_CUT = Response(0, {})
_UNSEEN: Mapping[Fate, Response] = {
    "refuse": _CUT,
    "lose_request": _CUT,
    "throttle": Response(429, {}, {"retry-after": str(RETRY_AFTER_S)}),
    "error": Response(500, {}),
}
"""What is answered without the other side."""

_INSTEAD: Mapping[Fate, Response] = {
    "lose_answer": _CUT,
    "cut_answer": _CUT._replace(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"),
    "error_after": Response(503, {}),
    "garbage": _CUT._replace(raw=b"\x15\x03\x01 no such protocol\r\n\r\n"),
}
"""What is answered instead of what the other side said."""


class Passage(NamedTuple):
    """A request that came by: when (seconds since 1970), under which `webhook-id`, and what befell it."""

    at: float
    name: str
    fate: Fate


class Line:
    """A line to `targets`, one of which is drawn for each request. `late_s` is longer than any caller waits.

    Nothing befalls `passes` requests of a deck, beside one for each fault. `poison` gives the status that some bodies
    are answered with, whatever was drawn, unseen by the other side. `late` are the callers'
    ports of those that are late just now.
    """

    def __init__(
        self,
        targets: Sequence[str],
        seed: int,
        late_s: float = 0,
        passes: int = 0,
        poison: Callable[[bytes], int | None] = lambda _body: None,
    ) -> None:
        """Nothing listens yet; it is smooth at first."""
        self.passed: list[Passage] = []
        self.rough = False
        self.late: set[int] = set()
        self.poison = poison
        self._targets, self._late_s, self._passes, self._dice = targets, late_s, passes, random.Random(seed)
        self._deck: list[Fate] = []
        self._port = 0
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[Any]] = set()
        self._http = httpx.AsyncClient(trust_env=False, timeout=5, limits=httpx.Limits(max_connections=200))

    @property
    def url(self) -> str:
        """Where callers call."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def has_done_all(self) -> bool:
        """Whether every fault has befallen somebody."""
        return {passage.fate for passage in self.passed} >= set(FAULTS)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Line"]:
        """Listen until the block ends; no conversation outlives it."""
        with reserved_port() as self._port:
            await self.go_up()
            try:
                yield self
            finally:
                await self.go_down()
                await self._http.aclose()

    async def go_up(self) -> None:
        """Take connections."""
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port, reuse_address=True)

    async def go_down(self) -> None:
        """Cut every connection, and have new ones refused until `go_up`."""
        self._close()
        conversations = list(self._conversations)
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        with suppress(asyncio.CancelledError):  # by `go_down`; asyncio would complain of a task that ends by it
            await converse(self._answer, reader, writer)
        self._conversations.discard(task)

    async def _answer(self, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        status = self.poison(body)
        fate = self._draw() if status is None else "poison"
        self.passed.append(Passage(time.time(), headers.get(_NAME, ""), fate))
        if status is not None:
            return Response(status, {})
        port = int(headers[":port"])
        request = _Request(self._http, port, self._dice.choice(self._targets) + target, headers, body)
        return await self._befall(fate, request)

    async def _befall(self, fate: Fate, request: "_Request") -> Response:
        if fate == "refuse":
            await self._slam()
        if fate in _UNSEEN:
            return _UNSEEN[fate]
        if fate == "late_request":
            await self._dawdle(request)
        answer = await self._hand_over(fate, request)
        if fate == "late_answer":
            await self._dawdle(request)
        return _INSTEAD.get(fate, answer)

    async def _dawdle(self, request: "_Request") -> None:
        self.late.add(request.port)
        try:
            await asyncio.sleep(self._late_s)
        finally:
            self.late.discard(request.port)

    async def _hand_over(self, fate: Fate, request: "_Request") -> Response:
        """Once, or twice: the last answer."""
        if fate == "double_at_once":
            return (await asyncio.gather(request.send(), request.send()))[1]
        if fate == "double":
            await request.send()
        return await request.send()

    async def _slam(self) -> None:
        """Refuse connections for a moment."""
        if self._server is None:
            return
        self._close()
        await asyncio.sleep(_SLAMMED_S)
        await self.go_up()

    def _draw(self) -> Fate:
        if not self.rough:
            return "pass"
        if not self._deck:
            cards: list[Fate] = [*FAULTS]
            cards.extend("pass" for _ in range(self._passes))
            self._deck = self._dice.sample(cards, len(cards))
        return self._deck.pop()


class _Request(NamedTuple):
    """A request on its way; `port` is the one it came from."""

    http: httpx.AsyncClient
    port: int
    url: str
    headers: Mapping[str, str]
    body: bytes

    async def send(self) -> Response:
        """Hand it to the other side; its answer, or a cut where it gave none."""
        headers = {name: value for name, value in self.headers.items() if name not in _HOP and not name.startswith(":")}
        try:
            reply = await self.http.post(self.url, content=self.body, headers=headers)
        except BROKEN:
            return _CUT
        return Response(
            reply.status_code, reply.json(), {name: reply.headers[name] for name in _ANSWERED if name in reply.headers}
        )
