"""The load generator: raw HTTP/1.1 on keep-alive connections, one request in flight on each.

It must never be the bottleneck: a request is bytes before the clock starts, an answer stays bytes until it has stopped.
A latency runs from the first byte sent to the last one received.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import httptools

from benchmarks.peer import Request


class Answer(NamedTuple):
    """A response, and the seconds it took."""

    status: int
    body: bytes
    seconds: float


def encoded(request: Request) -> bytes:
    """The request as it goes over the wire."""
    method, path, headers, body = request
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Wire(asyncio.Protocol):
    """Feeds the parser; its callbacks end the request's future."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answered: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser: Any = None
        self._parts: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._fail(ConnectionError(f"the server closed the connection: {exc}"))

    def begin(self) -> "asyncio.Future[tuple[int, bytes]]":
        self._parser, self._parts = httptools.HttpResponseParser(self), []
        self.answered = asyncio.get_running_loop().create_future()
        return self.answered

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(error)

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)

    def on_message_complete(self) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_result((self._parser.get_status_code(), b"".join(self._parts)))

    def _fail(self, error: Exception) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(error)


@dataclass(slots=True)
class Connection:
    """One connection to a server, opened at first use."""

    port: int
    _wire: _Wire | None = None

    async def send(self, raw: bytes) -> Answer:
        """Send an encoded request and wait for the whole answer. Raises OSError."""
        wire = self._wire
        if wire is None or wire.transport is None:
            _, wire = await asyncio.get_running_loop().create_connection(_Wire, "127.0.0.1", self.port)
            self._wire = wire
        assert wire.transport is not None
        started = time.perf_counter()
        answered = wire.begin()
        wire.transport.write(raw)
        status, body = await answered
        return Answer(status, body, time.perf_counter() - started)

    async def send_all(self, raws: Sequence[bytes]) -> list[Answer]:
        """One after the other."""
        return [await self.send(raw) for raw in raws]

    def close(self) -> None:
        """Hang up."""
        if self._wire is not None and self._wire.transport is not None:
            self._wire.transport.close()
