"""OAuth 2.0 as a client: what is asked, and how answers are read. No storage here, and no decision when to ask.

Authorization code with PKCE (RFC 7636), refresh and client credentials (RFC 6749); the forms are Authlib's, the
transport is the one way out, so that addresses are checked and answers bounded like all others.
"""

import json
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from server.outbound import Credentials, Outbound, OutboundError, Reply

DEFAULT_LIFETIME_S = 3600
"""For how long a token is taken to be good whose provider does not say, where it can be renewed."""

_LONGEST_LIFETIME_S = 10 * 365 * 86_400
"""Where it cannot, there is nothing to do but use it until it is refused: many providers give tokens without an end."""

_LONGEST_TOKEN = 16 * 1024
_TIMEOUT_S = 10
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}
_NOT_SENT = frozenset(
    ("bad_url", "insecure_url", "private_address", "unsendable", "connect", "connect_timeout", "pool_timeout", "tls")
)


class Granted(NamedTuple):
    """What a token endpoint gave; `lifetime_s` is the access token's."""

    access_token: str
    refresh_token: str | None
    lifetime_s: int


class TokenError(Exception):
    """A token endpoint gave nothing.

    `code` is a stable word, OAuth's own where it said one. `refused`: this grant is no good any more. `maybe_spent`:
    it may have been used up although we were told nothing.
    """

    def __init__(
        self, code: str, *, refused: bool = False, maybe_spent: bool = False, retry_after: str | None = None
    ) -> None:
        """`retry_after` is the header as it stands."""
        super().__init__(code)
        self.code, self.refused, self.maybe_spent, self.retry_after = code, refused, maybe_spent, retry_after


def authorization_url(credentials: Credentials, redirect_uri: str, state: str, verifier: str) -> str:
    """Where to send the person who consents."""
    assert credentials.oauth_authorize_url is not None
    url: str = prepare_grant_uri(
        credentials.oauth_authorize_url,
        client_id=credentials.oauth_client_id or "",
        response_type="code",
        redirect_uri=redirect_uri,
        scope=credentials.oauth_scope,
        state=state,
        code_challenge=create_s256_code_challenge(verifier),  # type: ignore[no-untyped-call]
        code_challenge_method="S256",
    )
    return url


async def exchange_code(
    outbound: Outbound, credentials: Credentials, code: str, redirect_uri: str, verifier: str
) -> Granted:
    """The tokens behind an authorization code. Raises TokenError."""
    asked = {"code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
    return await _ask(outbound, credentials, "authorization_code", asked)


async def refresh(outbound: Outbound, credentials: Credentials, refresh_token: str) -> Granted:
    """New tokens for a refresh token, which may be spent by that. Raises TokenError."""
    return await _ask(outbound, credentials, "refresh_token", {"refresh_token": refresh_token})


async def client_credentials(outbound: Outbound, credentials: Credentials) -> Granted:
    """A token for the client itself; asking twice does no harm. Raises TokenError."""
    asked = {"scope": credentials.oauth_scope} if credentials.oauth_scope else {}
    return await _ask(outbound, credentials, "client_credentials", asked)


async def _ask(outbound: Outbound, credentials: Credentials, grant: str, asked: dict[str, Any]) -> Granted:
    assert credentials.oauth_token_url is not None
    body = prepare_token_request(grant, "", **asked)
    url, headers, body = _client(credentials).prepare(  # type: ignore[no-untyped-call]
        "POST", credentials.oauth_token_url, dict(_HEADERS), body
    )
    try:
        reply = await outbound.ask_for_token(url, body.encode(), headers, _TIMEOUT_S, credentials)
    except OutboundError as error:
        raise TokenError(error.reason, maybe_spent=error.reason not in _NOT_SENT) from None
    return _read(reply, is_renewable=grant != "authorization_code")


def _client(credentials: Credentials) -> ClientAuth:
    """How the client proves itself; in the header both parts are form-encoded (RFC 6749, 2.3.1)."""
    name, secret = credentials.oauth_client_id or "", credentials.oauth_client_secret
    if secret is None:
        return ClientAuth(name, None, "none")
    if credentials.oauth_client_auth == "client_secret_post":
        return ClientAuth(name, secret.get_secret_value(), credentials.oauth_client_auth)
    return ClientAuth(quote_plus(name), quote_plus(secret.get_secret_value()), credentials.oauth_client_auth)


def _read(reply: Reply, *, is_renewable: bool) -> Granted:
    """`is_renewable`: whether the token can be had anew although no refresh token comes with it."""
    document = _document(reply.body)
    if reply.status != 200:  # noqa: PLR2004
        raise _refusal(reply, document)
    access, fresh, lifetime = (document.get(name) for name in ("access_token", "refresh_token", "expires_in"))
    bearer = str(document.get("token_type", "bearer")).lower() == "bearer"
    if not bearer or not _is_token(access) or not (fresh is None or _is_token(fresh)):
        raise TokenError("unreadable_answer", maybe_spent=True)
    unsaid = DEFAULT_LIFETIME_S if is_renewable or fresh is not None else _LONGEST_LIFETIME_S
    return Granted(str(access), None if fresh is None else str(fresh), _lifetime(lifetime, unsaid))


def _refusal(reply: Reply, document: dict[str, Any]) -> TokenError:
    retry_after = reply.headers.get("retry-after")
    if reply.status == 429:  # noqa: PLR2004
        return TokenError("throttled", retry_after=retry_after)
    if reply.status not in {400, 401, 403}:
        return TokenError(f"status_{reply.status}", maybe_spent=True, retry_after=retry_after)
    word = document.get("error")
    known = isinstance(word, str) and word.isascii() and word.isidentifier() and len(word) <= 64  # noqa: PLR2004
    return TokenError(str(word) if known else f"status_{reply.status}", refused=word == "invalid_grant")


def _document(body: bytes | None) -> dict[str, Any]:
    try:
        document: Any = json.loads(body or b"")
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _is_token(value: Any) -> bool:
    """Printable ASCII that fits into a header."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TOKEN and value.isascii() and value.isprintable()


def _lifetime(value: Any, unsaid: int) -> int:
    try:
        return max(1, min(int(value), _LONGEST_LIFETIME_S))
    except (TypeError, ValueError, OverflowError):
        return unsaid
