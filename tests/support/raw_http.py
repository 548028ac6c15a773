"""The smallest HTTP server that can cut a connection in the middle, by h11: server libraries will not let us."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import h11


class Response(NamedTuple):
    """An answer; status 0 cuts the connection instead, once it has sent what `raw` holds."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = {}
    raw: bytes = b""


Answering = Callable[[str, Mapping[str, str], bytes], Awaitable[Response]]
"""(target, headers in lower case, body) → response.

Of the headers, `:connection` numbers the connection it came by, and `:port` is the port at its other end.
"""

_NUMBERS = itertools.count(1)


async def serve(port: int, answer: Answering) -> None:
    """Serve on a port of this machine until cancelled; `/health/live` is answered here."""

    async def alive_or(target: str, headers: Mapping[str, str], body: bytes) -> Response:
        return Response(200, {}) if target == "/health/live" else await answer(target, headers, body)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(alive_or, reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", port, reuse_address=True)
    await server.serve_forever()


async def converse(answer: Answering, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer all that comes by one connection, until either side ends it."""
    try:
        with suppress(ConnectionError, h11.RemoteProtocolError):
            await _Connection(answer, reader, writer).serve()
    finally:
        writer.close()


class _Connection:
    """One client's connection."""

    def __init__(self, answer: Answering, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._answer, self._reader, self._writer = answer, reader, writer
        self._http = h11.Connection(h11.SERVER)
        self._connection = {":connection": str(next(_NUMBERS)), ":port": str(writer.get_extra_info("peername")[1])}

    async def serve(self) -> None:
        while True:
            request = await self._request()
            if request is None:
                return
            response = await self._answer(*request)
            if response.status == 0:
                await self._cut(response.raw)
                return
            await self._send(response)
            if self._http.our_state is h11.MUST_CLOSE:
                return
            self._http.start_next_cycle()

    async def _request(self) -> tuple[str, Mapping[str, str], bytes] | None:
        head: h11.Request | None = None
        body = b""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(65536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = {name.decode(): value.decode() for name, value in head.headers}
                return head.target.decode(), headers | self._connection, body
            else:
                return None

    async def _cut(self, raw: bytes) -> None:
        if raw:
            self._writer.write(raw)
            await self._writer.drain()
            self._writer.close()
        else:
            self._writer.transport.abort()

    async def _send(self, response: Response) -> None:
        content = json.dumps(response.body).encode()
        plain = {"content-type": "application/json", "content-length": str(len(content))}
        head = h11.Response(status_code=response.status, headers=list({**plain, **response.headers}.items()))
        for event in (head, h11.Data(data=content), h11.EndOfMessage()):
            self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()
