"""Who a request comes from when a proxy passed it on: believed of the proxies that the settings name, of nobody else.

Rules:

1. `X-Forwarded-For` is read from its end, over the proxies that are ours; the first address that is not is the
   client's. What stands before it, anybody could have written.
2. `X-Forwarded-Proto` of a proxy of ours says by which scheme the client came.
3. `Client-Cert` (RFC 9440: `:<base64 of the DER>:`, or PEM escaped for an address, as nginx writes it) is the
   certificate the client showed to it. From others it is not looked at. A connection's own certificate, where it ends
   here, is not a client's when a proxy made the connection. One that comes twice, or is more than one certificate, is
   none: the client may have written the other one.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from server.middleware.addresses import parse_address
from server.settings import Network

_SCHEMES = {b"http": "http", b"https": "https"}
_MOST_HOPS = 16
_DER = re.compile(rb":([A-Za-z0-9+/=]+):")
_PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*")


class TrustedProxy:
    """Puts the client in the proxy's place."""

    def __init__(self, app: ASGIApp, networks: Sequence[Network], to_pem: Callable[[bytes], str | None]) -> None:
        """`networks` hold the proxies, `to_pem` takes a certificate's DER."""
        self._app, self._networks, self._to_pem = app, networks, to_pem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Believe what a proxy of ours says."""
        if scope["type"] == "http" and self._networks and self._is_ours((scope.get("client") or ("",))[0]):
            self._believe(scope)
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope) -> None:
        """The scope is changed in place: who is outside sees the route that is found inside."""
        given = _joined(scope["headers"])
        client = self._client(given.get(b"x-forwarded-for", b"").decode("latin-1"))
        if client is not None:
            scope["client"] = (client, 0)
        scope["scheme"] = _SCHEMES.get(given.get(b"x-forwarded-proto", b"").lower(), scope["scheme"])
        pem = self._certificate([value for name, value in scope["headers"] if name == b"client-cert"])
        tls = {"client_cert_chain": [] if pem is None else [pem]}
        scope["extensions"] = {**scope.get("extensions", {}), "tls": tls}

    def _client(self, forwarded: str) -> str | None:
        """The last address that is no proxy of ours; None where there is none, or what stands there is no address."""
        for text in reversed(forwarded.split(",")[-_MOST_HOPS:]):
            address = _address(text.strip())
            if address is None:
                return None
            if not self._is_ours(address):
                return address
        return None

    def _is_ours(self, text: str) -> bool:
        address = parse_address(text)
        return address is not None and any(address in network for network in self._networks)

    def _certificate(self, values: Sequence[bytes]) -> str | None:
        if len(values) != 1:
            return None
        der = _DER.fullmatch(values[0])
        if der is None:
            pem = unquote(values[0].decode("latin-1"))
            return pem if _PEM.fullmatch(pem) else None
        try:
            return self._to_pem(base64.b64decode(der[1], validate=True))
        except binascii.Error:
            return None


def _joined(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers that come several times are one list."""
    given: dict[bytes, bytes] = {}
    for name, value in headers:
        given[name] = given[name] + b"," + value if name in given else value
    return given


def _address(text: str) -> str | None:
    """An address, with or without a port."""
    for one in (text, text.rpartition(":")[0].strip("[]"), text.strip("[]")):
        parsed = parse_address(one)
        if parsed is not None:
            return str(parsed)
    return None
