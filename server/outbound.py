"""The one module that makes HTTP clients: for addresses that tenants and providers name, so it trusts none of them.

Rules:

1. HTTPS only, except to this machine itself; and that only where the process was told so (demonstrations, tests).
2. The address that is checked is the address that is connected to: a name is resolved once, at the connection, and any
   private, loopback or otherwise special address among its answers refuses it.
3. No redirect is followed, no cookie kept, no proxy or credential taken from the environment, and of an answer's body
   only so much is read.
4. Whatever goes wrong is an OutboundError with one word for why; no URL, header or body is part of it.
"""

import ipaddress
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Literal, NamedTuple, cast

import anyio
import httpcore
import httpx

MAX_ANSWER_BYTES = 64 * 1024
MAX_CONNECTIONS = 100
CONNECT_S = 5.0
"""How long a connection may take at most, and the wait for a free one: who is there takes us sooner."""

USER_AGENT = "rientro"

Reason = Literal[
    "bad_url",
    "insecure_url",
    "private_address",
    "unsendable",
    "connect",
    "connect_timeout",
    "pool_timeout",
    "tls",
    "write",
    "read",
    "read_timeout",
]

_LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))
_REASONS: tuple[tuple[type[httpx.HTTPError], Reason], ...] = (
    (httpx.ConnectTimeout, "connect_timeout"),
    (httpx.PoolTimeout, "pool_timeout"),
    (httpx.ReadTimeout, "read_timeout"),
    (httpx.WriteTimeout, "write"),
    (httpx.ConnectError, "connect"),
    (httpx.WriteError, "write"),
    (httpx.UnsupportedProtocol, "bad_url"),
    (httpx.LocalProtocolError, "unsendable"),
)


class OutboundError(Exception):
    """A request brought no answer."""

    def __init__(self, reason: Reason) -> None:
        """One word for why."""
        super().__init__(reason)
        self.reason = reason


class _PrivateAddressError(httpcore.ConnectError):
    """The name leads to an address that nobody outside may make us call."""


class Reply(NamedTuple):
    """An answer: its body up to the bound, or None where there was more, or it came compressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class Outbound:
    """Sends requests; made by `open_outbound`."""

    def __init__(self, client: httpx.AsyncClient, *, allow_loopback: bool) -> None:
        """The client is set up by `open_outbound`."""
        self._client, self._allow_loopback = client, allow_loopback

    async def post(self, url: str, content: bytes, headers: Mapping[str, str], timeout_s: float) -> Reply:
        """POST and read the answer. Raises OutboundError.

        `timeout_s` bounds each step: connecting and waiting for a connection (`CONNECT_S` at most), each write, each
        read. The caller bounds the whole.
        """
        self._check(url)
        try:
            request = self._client.build_request(
                "POST", url, content=content, headers=headers, timeout=_steps(timeout_s)
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise OutboundError(_reason(error)) from None
        return await self._send(request, MAX_ANSWER_BYTES)

    async def get(self, url: str, headers: Mapping[str, str], timeout_s: float, limit: int) -> Reply:
        """GET and read the answer, at most `limit` bytes of it; `timeout_s` as for `post`. Raises OutboundError."""
        self._check(url)
        try:
            request = self._client.build_request("GET", url, headers=headers, timeout=_steps(timeout_s))
        except (httpx.InvalidURL, ValueError) as error:
            raise OutboundError(_reason(error)) from None
        return await self._send(request, limit)

    def _check(self, url: str) -> None:
        check_url(url, allow_loopback=self._allow_loopback)

    async def _send(self, request: httpx.Request, limit: int) -> Reply:
        try:
            response = await self._client.send(request, stream=True)
        except (httpx.HTTPError, ValueError) as error:
            raise OutboundError(_reason(error)) from None
        try:
            return Reply(response.status_code, response.headers, await _body(response, limit))
        except httpx.HTTPError as error:
            raise OutboundError(_reason(error)) from None
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only."""

    def __init__(self, *, allow_loopback: bool, inner: httpcore.AsyncNetworkBackend | None = None) -> None:
        """`inner` makes the connections."""
        self._allow_loopback = allow_loopback
        self._inner = inner or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the interface's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve once, check every answer, connect to the first that takes us."""
        with anyio.move_on_after(timeout) as scope:
            addresses = await _resolve(host, port)
        if scope.cancelled_caught:
            raise httpcore.ConnectTimeout
        if not all(self._is_allowed(address) for address in addresses):
            raise _PrivateAddressError
        failure: Exception = httpcore.ConnectError()
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  # the interface's
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise _PrivateAddressError

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)

    def _is_allowed(self, address: str) -> bool:
        ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address):
            ip = ip.ipv4_mapped or ip
        if ip.is_loopback:
            return self._allow_loopback
        return ip.is_global and not ip.is_multicast


def check_url(url: str, *, allow_loopback: bool) -> None:
    """Refuse a URL nobody may configure. Raises OutboundError: bad_url, insecure_url, private_address."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        raise OutboundError("bad_url") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.userinfo:
        raise OutboundError("bad_url")
    here = parsed.host in _LOOPBACK_NAMES
    if here and not allow_loopback:
        raise OutboundError("private_address")
    if parsed.scheme == "http" and not here:
        raise OutboundError("insecure_url")


@asynccontextmanager
async def open_outbound(*, allow_loopback: bool) -> AsyncIterator[Outbound]:
    """Clients for the process's life; connections are kept and shared, nothing else is."""
    context = httpx.create_ssl_context(trust_env=False)
    transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False)
    # httpx has no option for the network backend (encode/httpx#3749), so its pool is replaced by one that has.
    transport._pool = httpcore.AsyncConnectionPool(  # noqa: SLF001
        ssl_context=context,
        max_connections=MAX_CONNECTIONS,
        max_keepalive_connections=MAX_CONNECTIONS // 5,
        keepalive_expiry=5,
        network_backend=GuardedBackend(allow_loopback=allow_loopback),
    )
    async with httpx.AsyncClient(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"},
    ) as client:
        yield Outbound(client, allow_loopback=allow_loopback)


def _steps(timeout_s: float) -> httpx.Timeout:
    soon_s = min(timeout_s, CONNECT_S)
    return httpx.Timeout(timeout_s, connect=soon_s, pool=soon_s)


async def _resolve(host: str, port: int) -> list[str]:
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise httpcore.ConnectError from None
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


async def _body(response: httpx.Response, limit: int) -> bytes | None:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return None
    chunks: list[bytes] = []
    size = 0
    raw = cast("AsyncGenerator[bytes]", response.aiter_raw())
    async with aclosing(raw) as parts:  # left half read, it would end as a task of its own
        async for chunk in parts:
            size += len(chunk)
            if size > limit:
                return None
            chunks.append(chunk)
    return b"".join(chunks)


def _reason(error: Exception) -> Reason:
    causes = list(_causes(error))
    if any(isinstance(cause, _PrivateAddressError) for cause in causes):
        return "private_address"
    if isinstance(error, httpx.ConnectError) and any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "tls"  # later, after the request went out, it is a lost answer like any other
    if not isinstance(error, httpx.HTTPError):
        return "unsendable"
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "read")


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
