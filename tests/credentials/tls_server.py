"""A real TLS server that can demand a certificate, and shows what came."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class TlsServer:
    """What it saw: who each request came from (the certificate's common name), and the raw requests."""

    url: str = ""
    clients: list[str | None] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def tls_server(context: ssl.SSLContext, answer: bytes = OK) -> AsyncIterator[TlsServer]:
    """Serve on this machine; `answer` is sent to every request."""
    seen = TlsServer()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
                )
                seen.requests.append(head + await reader.readexactly(length))
                seen.clients.append(_name(writer.get_extra_info("peercert")))
                writer.write(answer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    seen.url = f"https://localhost:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield seen
    finally:
        server.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 1)


def _name(certificate: dict[str, object] | None) -> str | None:
    alternatives = (certificate or {}).get("subjectAltName", ())
    assert isinstance(alternatives, tuple)
    return next((value for _, value in alternatives), None)
