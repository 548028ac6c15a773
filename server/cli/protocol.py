"""The protocol of our connections: uvicorn's, with bounds it has not, and the certificate that a client showed.

Rules:

1. What stands before a body is at most `HEAD_BYTES` and `HEAD_FIELDS` long, and is there within `HEAD_S`; the body is
   there within `BODY_S` more, whatever was answered meanwhile. Who trickles is cut off.
2. One address has at most `MOST_FROM_ADDRESS` connections, but for this machine's own and trusted proxies.
3. The certificate of a connection stands in the scope, as ASGI's TLS extension has it. Who made it was judged in the
   handshake.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from server.middleware.addresses import parse_address
from server.settings import Network

_TOO_LONG = "Request header fields too large."


class HeadTooLongError(Exception):
    """What stands before the body is over a bound."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    HEAD_BYTES: ClassVar[int] = 32 * 1024
    HEAD_FIELDS: ClassVar[int] = 100
    HEAD_S: ClassVar[float] = 15
    BODY_S: ClassVar[float] = 60
    MOST_FROM_ADDRESS: ClassVar[int] = 200
    TRUSTED: ClassVar[Sequence[Network]] = ()
    _open: ClassVar[Counter[str]] = Counter()

    _counted: str | None = None
    _timer: asyncio.TimerHandle | None = None
    _pem: str | None = None
    _in_body = False
    _head_bytes = _head_read = 0
    _too_long = False

    def connection_made(self, transport: Any) -> None:
        """Count it, look at its certificate, and wait for its first request no longer than for any."""
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        if not self._is_exempt(host):
            self._counted = host
            self._open[host] += 1
            if self._open[host] > self.MOST_FROM_ADDRESS:
                transport.abort()
                return
        self._pem = _certificate(transport)
        self._expect(self.HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        super().connection_lost(exc)
        self._expect(None)
        if self._counted is not None:
            self._open[self._counted] -= 1
            if self._open[self._counted] <= 0:
                del self._open[self._counted]
            self._counted = None

    def data_received(self, data: bytes) -> None:
        """Let no head grow without an end; what is parsed is counted where it is."""
        if not self._in_body:
            self._head_bytes += len(data)
            if self._timer is None and not self._is_answering():
                self._expect(self.HEAD_S)
        super().data_received(data)
        if not self._in_body and self._head_bytes > self.HEAD_BYTES and not self.transport.is_closing():
            self._too_long = True
            self.send_400_response(_TOO_LONG)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head_read = 0
        self._expect(self.HEAD_S)
        self.scope["extensions"] = {"tls": {"client_cert_chain": [self._pem]}} if self._pem is not None else {}

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        self._read(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field."""
        self._read(len(name) + len(value))
        if len(self.headers) >= self.HEAD_FIELDS:
            self._too_long = True
            raise HeadTooLongError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_body = True
        self._expect(self.BODY_S)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole: how long its answer lasts is another matter."""
        super().on_message_complete()
        self._in_body, self._head_bytes = False, 0
        self._expect(None)

    def send_400_response(self, msg: str) -> None:
        """What cannot be parsed, or is too long."""
        if not self._too_long:
            super().send_400_response(msg)
            return
        self.transport.write(STATUS_LINE[431] + b"connection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()

    def _read(self, size: int) -> None:
        """Count what stands in the head. Raises HeadTooLongError, which the parser hands on."""
        self._head_read += size
        if self._head_read > self.HEAD_BYTES:
            self._too_long = True
            raise HeadTooLongError

    def _expect(self, seconds: float | None) -> None:
        """What is under way has so long to be whole; None: nothing is."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._cut_off)

    def _cut_off(self) -> None:
        """It took too long: say so where nothing was said yet."""
        is_said = self.cycle.response_started if self._in_body else self._is_answering()
        if not self.transport.is_closing() and not is_said and self._head_bytes:
            self.transport.write(STATUS_LINE[408] + b"connection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _is_exempt(self, host: str) -> bool:
        address = parse_address(host)
        return address is None or address.is_loopback or any(address in network for network in self.TRUSTED)


def _certificate(transport: Any) -> str | None:
    tls = transport.get_extra_info("ssl_object")
    der = None if tls is None else tls.getpeercert(binary_form=True)
    return None if der is None else ssl.DER_cert_to_PEM_cert(der)
