"""What may be connected to: addresses are named by tenants and providers, and none of them is trusted.

Rules:

1. HTTPS only, except to this machine itself; and that only where the process was told so (demonstrations, tests).
2. The address that is checked is the address that is connected to: a name is resolved once, at the connection, and any
   private, loopback or otherwise special address among its answers refuses it, also one that is wrapped in IPv6; and
   of IPv6 itself only what is given to the public, 2000::/3: gateways may unwrap more than any list knows.
3. Whatever goes wrong is an OutboundError with one word for why; no URL, header or body is part of it.
"""

import ipaddress
import socket
import ssl
from collections.abc import Iterable
from typing import Any, Literal

import anyio
import httpcore
import httpx

Reason = Literal[
    "bad_url",
    "insecure_url",
    "private_address",
    "unsendable",
    "unresolved",
    "connect",
    "connect_timeout",
    "pool_timeout",
    "tls",
    "certificate_refused",
    "write",
    "read",
    "read_timeout",
    "not_sent",
]


class NotSentError(httpx.TransportError):
    """The request was only to be looked at."""


_LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_REASONS: tuple[tuple[type[httpx.HTTPError], Reason], ...] = (
    (httpx.ConnectTimeout, "connect_timeout"),
    (httpx.PoolTimeout, "pool_timeout"),
    (httpx.ReadTimeout, "read_timeout"),
    (httpx.WriteTimeout, "write"),
    (httpx.ConnectError, "connect"),
    (httpx.WriteError, "write"),
    (httpx.UnsupportedProtocol, "bad_url"),
    (httpx.LocalProtocolError, "unsendable"),
    (NotSentError, "not_sent"),
)
# Alerts a server sends about our certificate. Under TLS 1.3 they arrive after our side of the handshake, as the first
# thing read: the request may have left by then, but a server that refuses the handshake has not looked at it.
_CERTIFICATE_ALERTS = (
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_CERTIFICATE_",
    "ALERT_UNKNOWN_CA",
    "ALERT_ACCESS_DENIED",
)


class OutboundError(Exception):
    """A request brought no answer."""

    def __init__(self, reason: Reason) -> None:
        """One word for why."""
        super().__init__(reason)
        self.reason = reason


class _PrivateAddressError(httpcore.ConnectError):
    """The name leads to an address that nobody outside may make us call."""


class _UnresolvedError(httpcore.ConnectError):
    """Nobody knows an address for the name."""


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
            except AttributeError:  # cut off while it was made: it has no peer by then, which anyio asks it for
                failure = httpcore.ConnectError()
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
            ip = _wrapped(ip) or ip
        if ip.is_loopback:
            return self._allow_loopback
        if isinstance(ip, ipaddress.IPv6Address) and ip not in _PUBLIC_IPV6:
            return False
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


async def _resolve(host: str, port: int) -> list[str]:
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _UnresolvedError from None
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _wrapped(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address a gateway on the way would unwrap: mapped, 6to4 or NAT64."""
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour


def reason_of(error: Exception) -> Reason:
    """Why a request brought no answer."""
    causes = list(_causes(error))
    if any(isinstance(cause, _PrivateAddressError) for cause in causes):
        return "private_address"
    if any(isinstance(cause, _UnresolvedError) for cause in causes):
        return "unresolved"
    refusals = [cause for cause in causes if isinstance(cause, ssl.SSLError)]
    if any(word in str(refusal.reason) for refusal in refusals for word in _CERTIFICATE_ALERTS):
        return "certificate_refused"
    if isinstance(error, httpx.ConnectError) and refusals:
        return "tls"  # later, after the request went out, it is a lost answer like any other
    if not isinstance(error, httpx.HTTPError | ssl.SSLError):
        return "connect" if isinstance(error, AttributeError) else "unsendable"
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "read")


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
