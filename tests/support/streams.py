"""Many open streams in one process: raw sockets and no HTTP library, whose own time would be measured too."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import cast
from urllib.parse import urlsplit

import anyio

_EVENT = re.compile(rb"event: (\w+)\r\ndata: (.*)\r\n\r\n")


class Stream(asyncio.Protocol):
    """One stream: the events it heard, and how it ended."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._rest = b""
        self.events: list[tuple[str, dict[str, str]]] = []
        self.status: int | None = None
        self.whole = False
        """The server said itself that there is no more."""
        self.ended = asyncio.Event()
        self.transport: asyncio.Transport | None = None
        self._heard = asyncio.Event()

    @property
    def heads(self) -> list[str]:
        """The heads it was told."""
        return [data["head"] for _, data in self.events if "head" in data]

    async def until(self, condition: Callable[["Stream"], bool]) -> None:
        """Wait until something was heard."""
        while not condition(self):
            self._heard.clear()
            await self._heard.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        head = f"GET /v1/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        self.transport.write(head.encode())

    def data_received(self, data: bytes) -> None:
        self._rest += data
        if self.status is None and b"\r\n\r\n" in self._rest:
            self.status = int(self._rest[9:12])
        while event := _EVENT.search(self._rest):
            self.events.append((event[1].decode(), json.loads(event[2])))
            self._rest = self._rest[event.end() :]
        self.whole = self._rest.endswith(b"0\r\n\r\n")
        self._heard.set()

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set()
        self._heard.set()


@asynccontextmanager
async def streams(url: str, tokens: Sequence[str]) -> AsyncIterator[list[Stream]]:
    """Open a stream for each token and close them at the end."""
    address = urlsplit(url)
    loop = asyncio.get_running_loop()
    opened: list[Stream] = []
    try:
        for token in tokens:
            _, stream = await loop.create_connection(partial(Stream, token), str(address.hostname), address.port or 80)
            opened.append(stream)
        yield opened
    finally:
        for stream in opened:
            if stream.transport is not None:
                stream.transport.abort()
        with anyio.move_on_after(5):
            for stream in opened:
                await stream.ended.wait()
