"""Puts on a request what proves who sends it: a token or key first, then the signature that covers it.

A refused access token (401) is renewed and the request sent once more: a 401 says that nothing took effect, and the
body is the same bytes. What cannot be put on a request fails as `unsendable`, before it has left.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Protocol

import httpx

from server.outbound.form import Credentials
from server.outbound.guard import OutboundError
from server.outbound.signing import SigningKeyError, sign
from server.ports import Account


class Authorizing(Protocol):
    """Gives access tokens, and has the only right to renew them."""

    async def token(self, account: Account, refused: str | None = None) -> str:
        """An access token that should be good; never `refused`, which the provider just turned down.

        Raises a DeliveryError where none can be had now, or without a person.
        """


class AccountAuth(httpx.Auth):
    """The credentials of one account."""

    requires_request_body = True

    def __init__(
        self, account: Account, credentials: Credentials, tokens: Authorizing, clock_s: Callable[[], int]
    ) -> None:
        """`clock_s` gives seconds since 1970, for signatures."""
        self._account, self._credentials, self._tokens, self._clock_s = account, credentials, tokens, clock_s

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """httpx's: yield a request, be given its response."""
        if self._credentials.oauth_grant is None:
            yield self._finished(request)
            return
        token = await self._tokens.token(self._account)
        response = yield self._finished(request, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            await _discard(response)
            yield self._finished(request, await self._tokens.token(self._account, refused=token))

    def _finished(self, request: httpx.Request, token: str | None = None) -> httpx.Request:
        try:
            return self._proven(request, token)
        except (SigningKeyError, ValueError, TypeError):
            raise OutboundError("unsendable") from None

    def _proven(self, request: httpx.Request, token: str | None) -> httpx.Request:
        known = self._credentials
        if known.api_key is not None:
            key, header = known.api_key.get_secret_value(), known.api_key_header
            request.headers[header] = f"Bearer {key}" if header.lower() == "authorization" else key
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        if known.signing_key is not None and known.signing_key_id is not None:
            for header in ("Signature", "Signature-Input", "Content-Digest"):
                request.headers.pop(header, None)
            sign(request, known.signing_key.get_secret_value(), known.signing_key_id, self._clock_s())
        return request


async def _discard(response: httpx.Response) -> None:
    """Drop a body unread: httpx would read all of it before it sends again, and it may have no end."""
    if isinstance(response.stream, httpx.AsyncByteStream):
        await response.stream.aclose()
    response.stream = httpx.ByteStream(b"")
