"""Connecting an account: a person is sent to the provider, and comes back with a code.

Rules:

1. A state is good once, for ten minutes, and for the tenant and endpoint it was made for; it is stored hashed, and
   gone before its code is exchanged, whatever comes of that.
2. PKCE always: the verifier never leaves us before the exchange, and is sealed at rest.
3. Where the endpoint names an issuer, the answer must come from it (RFC 9207).
"""

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Literal, NamedTuple
from uuid import UUID

import anyio

from server.audit import OPERATOR, Actor, Entry, note
from server.credentials.oauth import TokenError, authorization_url, exchange_code
from server.credentials.tokens import Place, TokenStore
from server.credentials.vault import SealedError, Vault
from server.outbound import Credentials, Outbound, OutboundError, check_url
from server.outbound.form import credentials_of
from server.ports import Account, Secrets
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.clock import encode_instant

CALLBACK = "/v1/oauth/callback"
LIFETIME_MS = 600_000
EXCHANGE_S = 15
"""How long a person waits for the provider's answer to a code, in all."""

_SEALED_FOR = "consent"
_HEX = frozenset("0123456789abcdef")

_ENDPOINT = Statement(
    "SELECT provider, settings, sealed FROM endpoints WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"
)
_TIDY = Statement("DELETE FROM consents WHERE tenant_id = :tenant_id AND expires_at <= :now")
_ADD = Statement(
    """INSERT INTO consents (tenant_id, state_hash, endpoint_id, sealed, redirect_uri, expires_at)
       VALUES (:tenant_id, :state_hash, :endpoint_id, :sealed, :redirect_uri, :expires_at)"""
)
_KNOWN = Statement("SELECT 1 FROM consents WHERE tenant_id = :tenant_id AND state_hash = :state_hash")
_TAKE = Statement(
    """DELETE FROM consents WHERE tenant_id = :tenant_id AND state_hash = :state_hash
       RETURNING endpoint_id, sealed, redirect_uri, expires_at"""
)

Why = Literal["unknown_state", "denied", "wrong_issuer", "no_code", "not_oauth", "no_public_url", "exchange_failed"]
_SAYS: Mapping[str, str] = {
    "unknown_state": "This consent is not known, was used, or is older than ten minutes: start again.",
    "denied": "The provider says that consent was not given: start again.",
    "wrong_issuer": "The answer did not come from the provider that was asked: look at oauth_issuer.",
    "no_code": "The provider sent no code: start again.",
    "not_oauth": "There is no such account, or its oauth_grant is not authorization_code.",
    "no_public_url": "Set RIENTRO_PUBLIC_URL to where browsers reach this server: https://…",
    "exchange_failed": "The provider gave no tokens for the code: look at its settings, and start again.",
}


class ConsentError(Exception):
    """An account cannot be connected; the message says what to do, `code` is a stable word."""

    def __init__(self, code: Why, detail: str = "") -> None:
        """`detail` is a word of the provider's or the transport's."""
        super().__init__(_SAYS[code] + (f" ({detail})" if detail else ""))
        self.code = code


class _Begun(NamedTuple):
    endpoint_id: str
    sealed: str
    redirect_uri: str
    expires_at: str


class Consents:
    """Begins consents and ends them."""

    def __init__(self, database: Database, writer: Writer, vault: Vault, secrets_: Secrets, store: TokenStore) -> None:
        """`secrets_` opens endpoints' own secrets."""
        self._database, self._writer, self._vault = database, writer, vault
        self._secrets, self._store = secrets_, store

    async def begin(
        self, place: Place, public_url: str | None, *, allow_loopback: bool = False, actor: Actor = OPERATOR
    ) -> str:
        """Where to send the person. Raises ConsentError."""
        credentials = await self._credentials(place)
        redirect_uri = _redirect_uri(public_url, allow_loopback=allow_loopback)
        state = f"{place.tenant_id.replace('-', '')}.{secrets.token_urlsafe(32)}"
        verifier, hashed = secrets.token_urlsafe(48), _hash(state)
        row = {
            **place._asdict(),
            "state_hash": hashed,
            "sealed": self._vault.seal(place.tenant_id, _SEALED_FOR, hashed, {"verifier": verifier}),
            "redirect_uri": redirect_uri,
        }

        async def job(writing: Writing) -> None:
            await writing.tx.execute(_TIDY, (place.tenant_id, writing.now))
            await writing.tx.execute(_ADD, {**row, "expires_at": encode_instant(writing.now_ms + LIFETIME_MS)})
            await note(writing, place.tenant_id, Entry("consent.begin", actor, "endpoint", place.endpoint_id))

        await self._writer.submit(Job([place.tenant_id], job))
        return authorization_url(credentials, redirect_uri, state, verifier)

    async def end(self, answer: Mapping[str, str], outbound: Outbound, clock: Callable[[], int]) -> Place:
        """Take what the provider sent back by the browser; the account that is now connected. Raises ConsentError."""
        state = answer.get("state", "")
        tenant_id = _tenant(state)
        begun = await self._take(tenant_id, _hash(state))
        place = Place(tenant_id, begun.endpoint_id)
        credentials = await self._credentials(place)
        issuer = credentials.oauth_issuer
        if issuer is not None and not hmac.compare_digest(issuer.encode(), answer.get("iss", "").encode()):
            raise ConsentError("wrong_issuer")
        if "error" in answer:
            raise ConsentError("denied")
        if not answer.get("code"):
            raise ConsentError("no_code")
        verifier = self._vault.unseal(tenant_id, _SEALED_FOR, _hash(state), begun.sealed)["verifier"]
        asked_ms = clock()
        try:
            with anyio.fail_after(EXCHANGE_S):
                granted = await exchange_code(outbound, credentials, answer["code"], begun.redirect_uri, verifier)
        except TokenError as error:
            raise ConsentError("exchange_failed", error.code) from None
        except TimeoutError:
            raise ConsentError("exchange_failed", "timeout") from None
        await self._store.connect(place, granted, asked_ms)
        return place

    async def _take(self, tenant_id: str, state_hash: str) -> _Begun:
        """The consent, which is gone with that. Raises ConsentError."""

        async def look(tx: Tx) -> bool:
            return bool(await tx.fetch(_KNOWN, (tenant_id, state_hash)))

        async def job(writing: Writing) -> _Begun | None:
            rows = await writing.tx.fetch(_TAKE, (tenant_id, state_hash))
            found = _Begun(*rows[0]) if rows else None
            return found if found is not None and writing.now < found.expires_at else None

        # Anybody may come here: only who brings a state of ours makes us write.
        known = await self._database.read(look)
        begun = await self._writer.submit(Job([tenant_id], job)) if known else None
        if begun is None:
            raise ConsentError("unknown_state")
        return begun

    async def _credentials(self, place: Place) -> Credentials:
        async def work(tx: Tx) -> tuple[str, str, str] | None:
            rows = await tx.fetch(_ENDPOINT, place)
            return (rows[0][0], rows[0][1], rows[0][2]) if rows else None

        found = await self._database.read(work)
        if found is None:
            raise ConsentError("not_oauth")
        provider, settings, sealed = found
        try:
            opened = self._secrets.unseal(place.tenant_id, provider, place.endpoint_id, sealed) if sealed else {}
        except SealedError:
            raise ConsentError("not_oauth", "secrets_do_not_open") from None
        credentials = credentials_of(Account(*place, json.loads(settings), opened))
        if credentials.oauth_grant != "authorization_code":
            raise ConsentError("not_oauth")
        return credentials


def _redirect_uri(public_url: str | None, *, allow_loopback: bool) -> str:
    try:
        check_url(public_url or "", allow_loopback=allow_loopback)
    except OutboundError:
        raise ConsentError("no_public_url") from None
    return (public_url or "").rstrip("/") + CALLBACK


def _tenant(state: str) -> str:
    """The tenant a state names. Raises ConsentError."""
    name, _, _ = state.partition(".")
    if len(name) != 32 or not set(name) <= _HEX:  # noqa: PLR2004
        raise ConsentError("unknown_state")
    return str(UUID(name))


def _hash(state: str) -> str:
    return sha256(state.encode()).hexdigest()
