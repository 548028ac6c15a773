"""Sessions: a person, or nobody, signed in on a device; renewed by refresh tokens of which one at a time is good.

Rules:

1. A refresh spends its token and gives the next one. Which attempt spent it is kept, hashed: an answer that was lost is
   given again, for as long as the next token was not used, to whoever knows the attempt.
2. A spent token that comes in any other way was copied: the session ends, for nobody can say who of the two is whose.
3. A session that was ended lets nobody in from that moment on, and moves the tenant's revision, which tells open
   streams and other processes.
4. One that is not renewed for `LIFE_MS` is over.
5. Where somebody was thrown out, what they made to come in again by is void too; who only signed out made it in peace.
6. A token of ours that is newer than what is stored proves that a backup was put back: it is taken, and the session
   goes on from it.
"""

import hmac
from collections.abc import Callable
from typing import NamedTuple

from server.audit import Actor, Entry, note
from server.auth.errors import AccessError
from server.auth.signer import ACCESS_S, Signer
from server.auth.subscribed import forget_unheard
from server.auth.tokens import Refresh, RefreshTokens, hash_secret
from server.auth.void import void_of_person, void_of_session
from server.storage.statement import Statement
from server.storage.writer import Job, UnknownTenantError, Writer, Writing
from sync.clock import encode_instant

LIFE_MS = 180 * 24 * 3_600_000
"""A till may stand in a drawer for a season."""

_OPEN = Statement(
    """INSERT INTO sessions
       (tenant_id, session_id, device_id, person_id, generation, rotated_at, created_at, expires_at)
       VALUES (:tenant_id, :session_id, :device_id, :person_id, 0, :now, :now, :expires_at)"""
)
_FIND = Statement(
    """SELECT s.device_id, s.person_id, s.generation, s.attempt_hash FROM sessions AS s
       JOIN devices AS d ON d.tenant_id = s.tenant_id AND d.device_id = s.device_id AND d.revoked_at IS NULL
       WHERE s.tenant_id = :tenant_id AND s.session_id = :session_id AND s.ended_at IS NULL AND s.expires_at > :now"""
)
_ROTATE = Statement(
    """UPDATE sessions SET generation = :following, attempt_hash = :attempt_hash, rotated_at = :now,
       expires_at = :expires_at WHERE tenant_id = :tenant_id AND session_id = :session_id AND generation = :generation
       AND ended_at IS NULL"""
)
_END = Statement(
    """UPDATE sessions SET ended_at = :now, ended_why = :why WHERE tenant_id = :tenant_id AND session_id = :session_id
       AND ended_at IS NULL"""
)
_END_PERSONS = Statement(
    """UPDATE sessions SET ended_at = :now, ended_why = :why WHERE tenant_id = :tenant_id AND person_id = :person_id
       AND session_id <> :but AND ended_at IS NULL"""
)
_THROWN_OUT = frozenset(("reuse", "ended"))
_NONE = "00000000-0000-0000-0000-000000000000"


class Issued(NamedTuple):
    """What a sign-in or a refresh gives. Both tokens are shown here and stored nowhere."""

    access_token: str
    expires_in: int
    refresh_token: str
    tenant_id: str
    session_id: str
    device_id: str
    person_id: str | None


class _Found(NamedTuple):
    device_id: str
    person_id: str | None
    generation: int
    attempt_hash: str | None


class Sessions:
    """Opens, renews and ends sessions."""

    def __init__(self, writer: Writer, signer: Signer, tokens: RefreshTokens, new_id: Callable[[], str]) -> None:
        """`new_id` gives uuids of version 7."""
        self._writer, self._signer, self._tokens, self._new_id = writer, signer, tokens, new_id

    async def open(self, writing: Writing, tenant_id: str, device_id: str, person_id: str | None) -> Issued:
        """A new session, in the transaction that lets somebody in."""
        session_id = self._new_id()
        row = {"tenant_id": tenant_id, "session_id": session_id, "device_id": device_id, "person_id": person_id}
        await writing.tx.execute(_OPEN, {**row, "now": writing.now, "expires_at": _until(writing)})
        return self._issue(Refresh(tenant_id, session_id, 0), device_id, person_id)

    async def refresh(self, text: str, attempt: str, actor: Actor) -> Issued:
        """Spend a refresh token. Raises AccessError (invalid_refresh, reused_refresh), DatabaseError.

        `attempt` is made up by the client before it asks, kept until it is answered, and sent again with the same
        token.
        """
        refresh = self._tokens.read(text)
        if refresh is None:
            raise _invalid()
        try:
            issued = await self._writer.submit(
                Job([refresh.tenant_id], lambda w: self._spend(w, refresh, attempt, actor))
            )
        except UnknownTenantError:
            raise _invalid() from None
        if isinstance(issued, AccessError):
            raise issued
        return issued

    async def sign_out(self, text: str, actor: Actor) -> None:
        """End the session of a refresh token, whichever of its family. Raises AccessError (invalid_refresh)."""
        refresh = self._tokens.read(text)
        if refresh is None:
            raise _invalid()
        await self.end(refresh.tenant_id, refresh.session_id, "signed_out", actor)

    async def end(self, tenant_id: str, session_id: str, why: str, actor: Actor) -> bool:
        """Sign out; False where that was done before. Raises DatabaseError."""

        async def job(writing: Writing) -> bool:
            return await _end(writing, Refresh(tenant_id, session_id, 0), why, actor)

        try:
            return await self._writer.submit(Job([tenant_id], job))
        except UnknownTenantError:
            return False

    async def end_for_person(
        self, writing: Writing, tenant_id: str, person_id: str, why: str, *, but: str | None = None
    ) -> None:
        """Sign a person out everywhere `but` in one session, in the transaction that gives the reason.

        The caller moves the revision.
        """
        named = {"tenant_id": tenant_id, "person_id": person_id, "why": why, "now": writing.now, "but": but or _NONE}
        await writing.tx.execute(_END_PERSONS, named)
        await void_of_person(writing, tenant_id, person_id)
        await forget_unheard(writing, tenant_id)

    async def _spend(self, writing: Writing, refresh: Refresh, attempt: str, actor: Actor) -> Issued | AccessError:
        """Returned and not raised where it is a refusal: the end of a session must stand."""
        at = {"tenant_id": refresh.tenant_id, "session_id": refresh.session_id, "now": writing.now}
        rows = await writing.tx.fetch(_FIND, at)
        if not rows:
            return _invalid()
        found, attempt_hash = _Found(*rows[0]), hash_secret(attempt)
        following = refresh._replace(generation=refresh.generation + 1)
        if refresh.generation >= found.generation:
            spent = {"generation": found.generation, "following": following.generation, "attempt_hash": attempt_hash}
            await writing.tx.execute(_ROTATE, {**at, **spent, "expires_at": _until(writing)})
        elif not _is_asked_again(refresh, found, attempt_hash):
            await _end(writing, refresh, "reuse", actor)
            return AccessError("reused_refresh", "This sign-in was used from two places and is over: sign in again.")
        return self._issue(following, found.device_id, found.person_id)

    def _issue(self, refresh: Refresh, device_id: str, person_id: str | None) -> Issued:
        access = self._signer.make(refresh.tenant_id, refresh.session_id, person_id or device_id)
        text = self._tokens.make(refresh)
        return Issued(access, ACCESS_S, text, refresh.tenant_id, refresh.session_id, device_id, person_id)


def _is_asked_again(refresh: Refresh, found: _Found, attempt_hash: str) -> bool:
    """Whether this very attempt spent the token before this one, and nobody used what it was answered with."""
    last = refresh.generation == found.generation - 1
    return last and found.attempt_hash is not None and hmac.compare_digest(found.attempt_hash, attempt_hash)


async def _end(writing: Writing, refresh: Refresh, why: str, actor: Actor) -> bool:
    named = {"tenant_id": refresh.tenant_id, "session_id": refresh.session_id, "why": why, "now": writing.now}
    if not await writing.tx.execute(_END, named):
        return False
    if why in _THROWN_OUT:
        await void_of_session(writing, refresh.tenant_id, refresh.session_id)
    await forget_unheard(writing, refresh.tenant_id)
    writing.tenant(refresh.tenant_id).revision += 1
    entry = Entry("session.end", actor, "session", refresh.session_id, "refused" if why == "reuse" else "done", why)
    await note(writing, refresh.tenant_id, entry)
    return True


def _until(writing: Writing) -> str:
    return encode_instant(writing.now_ms + LIFE_MS)


def _invalid() -> AccessError:
    return AccessError("invalid_refresh", "This sign-in is over: sign in again; what was not sent yet stays here.")
