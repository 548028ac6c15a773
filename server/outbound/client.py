"""The client: sends what providers ask for, to where tenants say, as the account it is for.

Rules:

1. What may be connected to is `server.outbound.guard`'s to say.
2. No redirect is followed, no cookie kept, no proxy or credential taken from the environment, and of an answer's body
   only so much is read.
3. Accounts with a certificate or roots of their own share no connection with others.
"""

import ssl
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from hashlib import sha256
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import NamedTuple, cast

import anyio
import httpcore
import httpx
from pydantic import ValidationError

from server.outbound.auth import AccountAuth, Authorizing
from server.outbound.form import NONE, Credentials, credentials_of
from server.outbound.guard import GuardedBackend, OutboundError, check_url, reason_of
from server.outbound.tls import CertificateError, make_context
from server.ports import Account, Answer

MAX_ANSWER_BYTES = 64 * 1024
MAX_CONNECTIONS = 100
CONNECT_S = 5.0
"""How long a connection may take at most, and the wait for a free one: who is there takes us sooner."""

MAX_IDENTITIES = 64
USER_AGENT = "rientro"

# An alert of TLS that comes after the handshake leaves httpx as the plain SSLError it was.
# AttributeError: on uvloop, a connection that was cut off while it was made has no peer for anyio to ask about.
_FAILURES = (httpx.HTTPError, httpx.InvalidURL, ValueError, ssl.SSLError, AttributeError)


class Reply(NamedTuple):
    """An answer: its body up to the bound, or None where there was more, or it came compressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def is_success(self) -> bool:
        """Whether it is a 2xx."""
        return self.status // 100 == 2  # noqa: PLR2004

    def answer(self, reference: str | None = None, request_id: str | None = None) -> Answer:
        """As outbox and inbox want it, with what it says of when to come again."""
        headers = self.headers
        return Answer(self.status, reference, request_id, headers.get("retry-after"), headers.get("date"))


class NoTokens:
    """Stands where nobody keeps access tokens: accounts that need one cannot send."""

    async def token(self, _account: Account, refused: str | None = None) -> str:
        """None. Raises OutboundError."""
        raise OutboundError("unsendable")


class Outbound:
    """Sends requests; made by `open_outbound`."""

    def __init__(self, clients: "_Clients", *, allow_loopback: bool, clock_s: Callable[[], int]) -> None:
        """`clock_s` gives seconds since 1970, for signatures."""
        self._clients, self._allow_loopback, self._clock_s = clients, allow_loopback, clock_s
        self._tokens: Authorizing = NoTokens()

    def authorize_with(self, tokens: Authorizing) -> None:
        """Take access tokens from there; they are got by this very client, so they come after it."""
        self._tokens = tokens

    async def post(
        self,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        timeout_s: float,
        account: Account | None = None,
        *,
        limit: int = MAX_ANSWER_BYTES,
    ) -> Reply:
        """POST as `account` and read the answer, at most `limit` bytes of it.

        `timeout_s` bounds each step: connecting and waiting for a connection (`CONNECT_S` at most), each write, each
        read. The caller bounds the whole. Raises OutboundError, or a DeliveryError where the
        account has no access token.
        """
        credentials = _credentials(account)
        auth = self._auth(account, credentials)
        return await self._send("POST", url, _Sending(credentials, headers, timeout_s, limit, content, auth))

    async def get(
        self, url: str, headers: Mapping[str, str], timeout_s: float, limit: int, account: Account | None = None
    ) -> Reply:
        """GET as `account` and read the answer, at most `limit` bytes of it. Raises as `post` does."""
        credentials = _credentials(account)
        auth = self._auth(account, credentials)
        return await self._send("GET", url, _Sending(credentials, headers, timeout_s, limit, auth=auth))

    async def delete(
        self, url: str, headers: Mapping[str, str], timeout_s: float, account: Account | None = None
    ) -> Reply:
        """DELETE as `account` and read the answer. Raises as `post` does."""
        credentials = _credentials(account)
        auth = self._auth(account, credentials)
        return await self._send("DELETE", url, _Sending(credentials, headers, timeout_s, auth=auth))

    async def options(self, url: str, timeout_s: float, account: Account) -> Reply:
        """OPTIONS as `account`: asks what could be done there, and does nothing. Raises as `post` does."""
        credentials = _credentials(account)
        auth = self._auth(account, credentials)
        return await self._send("OPTIONS", url, _Sending(credentials, {}, timeout_s, auth=auth))

    async def ask_for_token(
        self, url: str, content: bytes, headers: Mapping[str, str], timeout_s: float, credentials: Credentials
    ) -> Reply:
        """POST to where tokens are given: with the account's certificate, but not with its token or signature."""
        return await self._send("POST", url, _Sending(credentials, headers, timeout_s, content=content))

    def _auth(self, account: Account | None, credentials: Credentials) -> httpx.Auth | None:
        if account is None or credentials is NONE:
            return None
        return AccountAuth(account, credentials, self._tokens, self._clock_s)

    async def _send(self, method: str, url: str, sending: "_Sending") -> Reply:
        check_url(url, allow_loopback=self._allow_loopback)
        async with self._clients.client(sending.credentials) as client:
            try:
                request = client.build_request(
                    method, url, content=sending.content, headers=sending.headers, timeout=_steps(sending.timeout_s)
                )
                response = await client.send(request, stream=True, auth=sending.auth)
            except _FAILURES as error:
                raise OutboundError(reason_of(error)) from None
            try:
                return Reply(response.status_code, response.headers, await _body(response, sending.limit))
            except _FAILURES as error:
                raise OutboundError(reason_of(error)) from None
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()


class _Sending(NamedTuple):
    credentials: Credentials
    headers: Mapping[str, str]
    timeout_s: float
    limit: int = MAX_ANSWER_BYTES
    content: bytes | None = None
    auth: httpx.Auth | None = None


@asynccontextmanager
async def open_outbound(
    *,
    allow_loopback: bool,
    clock_s: Callable[[], int] = lambda: int(time.time()),
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[Outbound]:
    """Clients for the process's life; connections are kept and shared, nothing else is.

    `transport` takes the place of the network, for whoever wants to see requests and not send them.
    """
    clients = _Clients(allow_loopback=allow_loopback, transport=transport)
    try:
        yield Outbound(clients, allow_loopback=allow_loopback, clock_s=clock_s)
    finally:
        await clients.close()


class _Clients:
    """One client for each identity we show; those not used for long make room."""

    def __init__(self, *, allow_loopback: bool, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._allow_loopback, self._transport = allow_loopback, transport
        self._open: OrderedDict[bytes, httpx.AsyncClient] = OrderedDict()
        self._users: dict[httpx.AsyncClient, int] = {}

    @asynccontextmanager
    async def client(self, credentials: Credentials) -> AsyncIterator[httpx.AsyncClient]:
        """The client for one request; it is not closed under it."""
        shown, roots = credentials.client_certificate, credentials.trusted_roots
        identity = None if shown is None else shown.get_secret_value()
        key = sha256(repr((identity, roots)).encode()).digest()
        if key not in self._open:
            context = _context(identity, roots)  # also where nothing is sent: what cannot be used is found here
            self._open[key] = _make_client(self._transport or _guarded(context, allow_loopback=self._allow_loopback))
        client = self._open[key]
        self._open.move_to_end(key)
        self._users[client] = self._users.get(client, 0) + 1
        try:
            await self._make_room()
            yield client
        finally:
            self._users[client] -= 1

    async def _make_room(self) -> None:
        """Close the longest unused; each is looked at only when its turn comes, for closing one takes time."""
        while len(self._open) > MAX_IDENTITIES:
            key = next((key for key, client in self._open.items() if not self._users.get(client)), None)
            if key is None:
                return
            client = self._open.pop(key)
            self._users.pop(client, None)
            with anyio.CancelScope(shield=True):
                await client.aclose()

    async def close(self) -> None:
        """End all connections."""
        while self._open:
            await self._open.popitem()[1].aclose()


def _guarded(context: ssl.SSLContext, *, allow_loopback: bool) -> httpx.AsyncHTTPTransport:
    transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False)
    # httpx has no option for the network backend (encode/httpx#3749), so its pool is replaced by one that has.
    transport._pool = httpcore.AsyncConnectionPool(  # noqa: SLF001
        ssl_context=context,
        max_connections=MAX_CONNECTIONS,
        max_keepalive_connections=MAX_CONNECTIONS // 5,
        keepalive_expiry=5,
        network_backend=GuardedBackend(allow_loopback=allow_loopback),
    )
    return transport


def _make_client(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"},
    )


def _context(identity: str | None, roots: str | None) -> ssl.SSLContext:
    """A TLS context. Raises OutboundError; nothing was sent then."""
    try:
        return make_context(identity, roots)
    except CertificateError:
        raise OutboundError("unsendable") from None
    except OSError:  # no memory, no files: no fault of the account's
        raise OutboundError("connect") from None


def _steps(timeout_s: float) -> httpx.Timeout:
    soon_s = min(timeout_s, CONNECT_S)
    return httpx.Timeout(timeout_s, connect=soon_s, pool=soon_s)


def _credentials(account: Account | None) -> Credentials:
    try:
        return NONE if account is None else credentials_of(account)
    except ValidationError:
        raise OutboundError("unsendable") from None


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
