"""Signing in by password, and giving oneself another one.

Rules:

1. Whatever is wrong, the merchant, the name, the password, or a lock before it, the answer is the same, and comes as
   late. Only a password that was compared and was wrong is noted as such: the lock keeps those few. The others anybody
   can bring about as often as they like; they are gathered with all that is refused.
2. A password that was compared lets in only where it is still the one that is stored when the session is opened.
3. A right password is no wrong try, though its person is not let in where they stand.
4. Another password ends the person's other sessions, and voids their codes and links: whoever knew the old one is out.
"""

from contextlib import suppress
from typing import NamedTuple

from server.audit import Actor, Entry, note
from server.auth.entrance import Entrance, Place
from server.auth.errors import AccessError
from server.auth.jobs import submit
from server.auth.lockout import Try, count_nobodys, count_try, forget_tries
from server.auth.passwords import Passwords, Verified
from server.auth.sessions import Issued, Sessions
from server.storage.database import DatabaseError
from server.storage.statement import Statement
from server.storage.writer import Writer, Writing

_STORED = Statement(
    "SELECT password, login FROM people WHERE tenant_id = :tenant_id AND person_id = :person_id AND disabled_at IS NULL"
)
_SET = Statement("UPDATE people SET password = :password WHERE tenant_id = :tenant_id AND person_id = :person_id")


class Shown(NamedTuple):
    """What somebody shows: who they say they are, and the password."""

    login: str
    password: str


class SignIn:
    """Lets people in by password."""

    def __init__(self, writer: Writer, passwords: Passwords, entrance: Entrance, sessions: Sessions) -> None:
        """All of one process."""
        self._writer, self._passwords, self._entrance, self._sessions = writer, passwords, entrance, sessions

    async def by_password(self, tenant_id: str | None, shown: Shown, place: Place, actor: Actor) -> Issued:
        """A session; None is a merchant nobody knows.

        Raises AccessError (not_signed_in, busy, not_this_device, other_shop), DatabaseError.
        """
        tried, verified = await self._compare(tenant_id, shown)
        if tenant_id is None:
            raise _not_signed_in()
        person_id = tried.person_id
        if person_id is None or tried.locked or not verified.good:
            raise await self._refuse(tenant_id, tried, actor)

        async def job(writing: Writing) -> Issued | AccessError:
            await self._settle(writing, tenant_id, person_id, tried, verified)
            try:
                return await self._entrance.enter(writing, tenant_id, person_id, place, actor, "password")
            except AccessError as refusal:
                return refusal

        issued = await submit(self._writer, tenant_id, job)
        if isinstance(issued, AccessError):
            raise issued
        return issued

    async def change_password(self, at: tuple[str, str, str | None], old: str, new: str, actor: Actor) -> None:
        """Another password for a signed-in person, `at` their tenant, themselves and the session that stays.

        Raises AccessError (not_signed_in, weak_password, no_password, busy), DatabaseError.
        """
        tenant_id, person_id, session_id = at
        hashed = await self._passwords.hash(new)
        login = await submit(self._writer, tenant_id, lambda w: _login(w, tenant_id, person_id))
        tried, verified = await self._compare(tenant_id, Shown(login, old))
        if tried.person_id != person_id or tried.locked or not verified.good:
            raise await self._refuse(tenant_id, tried, actor)

        async def job(writing: Writing) -> None:
            await self._settle(writing, tenant_id, person_id, tried, verified)
            await self.set_password(writing, tenant_id, person_id, hashed, actor, but=session_id)

        await submit(self._writer, tenant_id, job)

    async def set_password(
        self, writing: Writing, tenant_id: str, person_id: str, hashed: str, actor: Actor, *, but: str | None = None
    ) -> None:
        """Store a password in the transaction that allows it; all sessions end `but` one."""
        writing.tenant(tenant_id).revision += 1
        await writing.tx.execute(_SET, {"tenant_id": tenant_id, "person_id": person_id, "password": hashed})
        await forget_tries(writing, tenant_id, person_id)
        await self._sessions.end_for_person(writing, tenant_id, person_id, "password", but=but)
        await note(writing, tenant_id, Entry("password.set", actor, "person", person_id))

    async def _compare(self, tenant_id: str | None, shown: Shown) -> tuple[Try, Verified]:
        """Count the try, then compare: as long for nobody as for somebody."""
        self._passwords.check_room()
        login, tried = shown.login.strip().lower(), Try()
        if tenant_id is not None:
            try:
                tried = await submit(self._writer, tenant_id, lambda w: count_try(w, tenant_id, login))
            except AccessError:  # a merchant's id that is nobody's
                tried = Try()
        return tried, await self._passwords.verify(tried.stored, shown.password)

    async def _refuse(self, tenant_id: str, tried: Try, actor: Actor) -> AccessError:
        async def job(writing: Writing) -> None:
            if tried.person_id is None or tried.locked:
                await count_nobodys(writing, tenant_id)
                return
            entry = Entry("session.open", actor, "person", tried.person_id, "refused", "wrong_password")
            await note(writing, tenant_id, entry)

        with suppress(AccessError, DatabaseError):  # the refusal stands, kept or not
            await submit(self._writer, tenant_id, job)
        return _not_signed_in()

    async def _settle(self, writing: Writing, tenant_id: str, person_id: str, tried: Try, verified: Verified) -> None:
        rows = await writing.tx.fetch(_STORED, (tenant_id, person_id))
        if not rows or rows[0][0] != tried.stored:
            raise _not_signed_in()
        await forget_tries(writing, tenant_id, person_id)
        if verified.rehashed is not None:
            named = {"tenant_id": tenant_id, "person_id": person_id, "password": verified.rehashed}
            await writing.tx.execute(_SET, named)


async def _login(writing: Writing, tenant_id: str, person_id: str) -> str:
    rows = await writing.tx.fetch(_STORED, (tenant_id, person_id))
    if not rows or rows[0][0] is None or rows[0][1] is None:
        message = "There is no password to change: have the owner send a link that sets one."
        raise AccessError("no_password", message, status=409)
    login: str = rows[0][1]
    return login


def _not_signed_in() -> AccessError:
    message = (
        "Name or password are not right, or there were too many tries: wait up to an hour, sign in by passkey, "
        "or have the owner send a link."
    )
    return AccessError("not_signed_in", message)
