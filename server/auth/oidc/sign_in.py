"""Signing in by the provider: authorization code, PKCE, state and nonce (OpenID Connect Core 3.1, RFC 9700).

Rules:

1. A state is good once and in the browser it was begun in; it is spent before its code is exchanged, whatever comes
   of that. Only who brings a sealed sign-in of ours makes us write.
2. An answer must come from the issuer that was asked, where that one names itself (RFC 9207).
3. Whoever the provider vouches for is mapped anew. Who is somebody here no more loses what was open.
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlencode

import structlog

from server.audit import Actor
from server.auth.entrance import Entrance, Place
from server.auth.errors import AccessError
from server.auth.jobs import submit
from server.auth.oidc import begun as kept
from server.auth.oidc.begun import LIFE_MS, Begun, Sealing, checked_path
from server.auth.oidc.claims import Asked, Opened, TokenRefusedError, check_id_token
from server.auth.oidc.discovery import Metadata
from server.auth.oidc.exchange import exchange_code
from server.auth.oidc.mapping import Mapper, Told
from server.auth.oidc.people import Leaving, ProviderPeople
from server.auth.oidc.proofs import DeviceProofs
from server.auth.oidc.source import Source
from server.auth.sessions import Issued
from server.auth.spent import spend
from server.storage.database import DatabaseError
from server.storage.writer import Job, Writer, Writing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_NO_MERCHANT = "00000000-0000-0000-0000-000000000000"
"""Under which states are spent: which merchant it is about, nobody knows yet."""


class Wish(NamedTuple):
    """What is asked for beside signing in: where to go then, and OpenID Connect's own `prompt` and `max_age`."""

    then: str | None = None
    prompt: str | None = None
    max_age_s: int | None = None


class Start(NamedTuple):
    """Where to send the person, and what their browser keeps meanwhile."""

    url: str
    sealed: str


class Entered(NamedTuple):
    """Who came in, and the path they wanted to."""

    issued: Issued
    then: str | None


class Doors(NamedTuple):
    """What a sign-in goes through."""

    writer: Writer
    mapper: Mapper
    people: ProviderPeople
    entrance: Entrance
    proofs: DeviceProofs


class OidcSignIn:
    """Begins sign-ins and ends them."""

    def __init__(self, source: Source, doors: Doors, sealing: Sealing, clock: Callable[[], int]) -> None:
        """`clock` gives milliseconds."""
        self._source, self._doors, self._sealing, self._clock = source, doors, sealing, clock

    @property
    def issuer(self) -> str:
        """Whose people sign in here."""
        return self._source.provider.issuer

    async def begin(self, place: Place, wish: Wish, refresh_token: str | None = None) -> Start:
        """Where to go first; a refresh token that the browser has proves its device.

        Raises AccessError (oidc_unavailable, bad_path), DatabaseError.
        """
        then = None if wish.then is None else checked_path(wish.then)
        metadata, provider = await self._source.metadata(), self._source.provider
        place = place._replace(proven=await self._doors.proofs.proven_by(refresh_token))
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        asked = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": provider.redirect_uri,
            "scope": provider.scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
            **({} if wish.prompt is None else {"prompt": wish.prompt}),
            **({} if wish.max_age_s is None else {"max_age": str(wish.max_age_s)}),
        }
        begun = Begun(nonce, verifier, self._clock() + LIFE_MS, place, then, wish.max_age_s)
        divider = "&" if "?" in metadata.authorization_endpoint else "?"
        url = f"{metadata.authorization_endpoint}{divider}{urlencode(asked)}"
        return Start(url, kept.seal(self._sealing, state, begun))

    async def end(self, answer: Mapping[str, str], sealed: str | None, actor: Actor) -> Entered:
        """A session for who came back.

        Raises AccessError (unknown_state, wrong_issuer, denied, no_code, exchange_failed, id_token_refused,
        unknown_merchant, unknown_role, unknown_shop, disabled, not_this_device, other_shop, oidc_unavailable),
        DatabaseError.
        """
        state = answer.get("state", "")
        begun = kept.unseal(self._sealing, state, sealed, self._clock)
        metadata = await self._source.metadata()
        await self._spend(state, begun)
        opened, subject = await self._vouched(_code(answer, metadata, self.issuer), begun, metadata)
        told = await self._told(opened, subject, actor)
        return Entered(await self._enter(told, begun.place, actor), begun.then)

    async def _spend(self, state: str, begun: Begun) -> None:
        async def job(writing: Writing) -> bool:
            return await spend(writing, _NO_MERCHANT, f"oidc state {state}", begun.expires_ms)

        if not await self._doors.writer.submit(Job([], job)):
            raise kept.unknown_state()

    async def _vouched(self, code: str, begun: Begun, metadata: Metadata) -> tuple[Opened, str]:
        provider = self._source.provider
        tokens = await exchange_code(self._source.outbound, provider, metadata, code, begun.verifier)
        asked = Asked(provider.issuer, provider.client_id, begun.nonce, tokens.access_token, begun.max_age_s)
        try:
            opened = await self._source.open(tokens.id_token)
            return opened, check_id_token(opened, asked, self._clock() // 1000)
        except TokenRefusedError as error:
            log.warning("oidc_id_token_refused", reason=error.reason)
            message = f"The sign-in service vouched for nobody that we could believe: start again. ({error.reason})"
            raise AccessError("id_token_refused", message, status=502) from None

    async def _told(self, opened: Opened, subject: str, actor: Actor) -> Told:
        people, leaving = self._doors.people, Leaving(subject, int(opened.claims["iat"]))
        try:
            told = await self._doors.mapper.told(opened.claims, subject)
        except AccessError as error:
            log.info("oidc_sign_in_refused", reason=error.code)
            await people.leave(leaving, None, actor, error)
            raise
        await people.leave(leaving, told.tenant_id, actor)
        return told

    async def _enter(self, told: Told, place: Place, actor: Actor) -> Issued:
        if place.proven is not None and place.proven.tenant_id != told.tenant_id:
            place = place._replace(proven=None)  # the browser was another merchant's until now

        async def hear(writing: Writing) -> str:
            return (await self._doors.people.hear(writing, told, actor, at_sign_in=True)).person_id

        async def enter(writing: Writing) -> Issued:
            return await self._doors.entrance.enter(writing, told.tenant_id, person_id, place, actor, "oidc")

        try:
            # In two steps: what the provider takes away is taken away, also where the second one is refused.
            person_id = await submit(self._doors.writer, told.tenant_id, hear)
            return await submit(self._doors.writer, told.tenant_id, enter)
        except AccessError as error:
            with suppress(AccessError, DatabaseError):  # the refusal stands, kept or not
                await self._doors.people.refused(told.tenant_id, actor, error)
            raise


def _code(answer: Mapping[str, str], metadata: Metadata, issuer: str) -> str:
    """The code of an answer. Raises AccessError (wrong_issuer, denied, no_code)."""
    named = answer.get("iss")
    if named != issuer and (named is not None or metadata.sends_issuer):
        message = "The answer did not come from the sign-in service that was asked: start again."
        raise AccessError("wrong_issuer", message, status=400)
    if "error" in answer:
        raise AccessError("denied", "The sign-in service says that you were not signed in: start again.", status=403)
    if not answer.get("code"):
        raise AccessError("no_code", "The sign-in service sent no code: start again.", status=400)
    return answer["code"]


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
