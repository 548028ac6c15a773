"""One-time links: the first owner's, an invited person's, and the one that sets a password anew.

Rules:

1. A link is good once and for a day. It is spent by the very transaction that lets somebody in: what is refused, for a
   login that is taken or a weak password, spends nothing.
2. Setting up makes the merchant, its first owner's row and a link in one transaction. The owner is somebody who can
   come in from when the link was taken.
3. A newer link of a person's makes the older ones void.
4. A link that sets a password ends the person's sessions; one that does not, for somebody who will add a passkey, only
   lets them in.
"""

from collections.abc import Callable
from typing import NamedTuple

from server.audit import Actor, Entry, note
from server.auth.codes import Codes, Link
from server.auth.entrance import Entrance, Place
from server.auth.errors import AccessError
from server.auth.jobs import submit
from server.auth.keys import DAY_MS
from server.auth.passwords import Passwords
from server.auth.people import Change, People, one
from server.auth.sessions import Issued
from server.auth.sign_in import SignIn
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Writer, Writing
from sync.clock import encode_instant

LIFE_MS = DAY_MS

_INSERT = Statement(
    """INSERT INTO invites (tenant_id, code_hash, kind, role, shop, person_id, made_by, created_at, expires_at)
       VALUES (:tenant_id, :code_hash, 'invite', :role, :shop, :person_id, :made_by, :now, :expires_at)"""
)
_VOID = Statement(
    """DELETE FROM invites
       WHERE tenant_id = :tenant_id AND kind = 'invite' AND (person_id = :person_id OR expires_at < :now)"""
)
_FIND = Statement(
    """SELECT person_id FROM invites WHERE tenant_id = :tenant_id AND code_hash = :code_hash AND kind = 'invite'
       AND used_at IS NULL AND expires_at > :now"""
)
_SPEND = Statement(
    """UPDATE invites SET used_at = :now WHERE tenant_id = :tenant_id AND code_hash = :code_hash AND kind = 'invite'
       AND used_at IS NULL AND expires_at > :now"""
)


class Invite(NamedTuple):
    """A link just made; its token is shown once. `link` is a path of the application, whose fragment no server sees."""

    person_id: str
    link: str
    expires_at: str


class Taking(NamedTuple):
    """What whoever takes a link gives: how they are called, and how they will sign in."""

    name: str | None = None
    login: str | None = None
    password: str | None = None


class Doors(NamedTuple):
    """What lets somebody in who has a link."""

    people: People
    sign_in: SignIn
    entrance: Entrance
    passwords: Passwords


class Invites:
    """Makes links and takes them."""

    def __init__(
        self, database: Database, writer: Writer, codes: Codes, doors: Doors, clock: Callable[[], int]
    ) -> None:
        """`clock` gives milliseconds."""
        self._database, self._writer, self._codes, self._doors, self._clock = database, writer, codes, doors, clock

    async def make(self, tenant_id: str, person_id: str, actor: Actor) -> Invite:
        """A link for a person. Raises AccessError (no_such_person, disabled)."""

        async def job(writing: Writing) -> Invite:
            person = await one(writing.tx, tenant_id, person_id)
            if person.disabled_at is not None:
                raise AccessError("disabled", "This person is let in no more: enable them first.", status=409)
            token, code_hash = self._codes.new_token(tenant_id)
            at = {"tenant_id": tenant_id, "person_id": person_id, "now": writing.now}
            expires_at = encode_instant(writing.now_ms + LIFE_MS)
            await writing.tx.execute(_VOID, at)
            made_by = actor.id if actor.kind in {"person", "device"} else None
            more = {"role": person.role, "shop": person.shop, "made_by": made_by, "expires_at": expires_at}
            await writing.tx.execute(_INSERT, {**at, "code_hash": code_hash, **more})
            await note(writing, tenant_id, Entry("person.invite", actor, "person", person_id))
            return Invite(person_id, f"/#setup={token}", expires_at)

        return await submit(self._writer, tenant_id, job)

    async def take(self, token: str, taking: Taking, place: Place, actor: Actor) -> Issued:
        """Let in who has a link. Raises AccessError (link_over, login_needed, login_taken, weak_password, …)."""
        link = self._codes.read_token(token)
        if link is None or not await self._is_good(link):
            raise _over()
        hashed = None if taking.password is None else await self._doors.passwords.hash(taking.password)

        async def job(writing: Writing) -> Issued:
            person_id = await _spend(writing, link)
            theirs = actor._replace(kind="person", id=person_id)
            await self._become(writing, link.tenant_id, person_id, taking, theirs)
            if hashed is not None:
                await self._set_password(writing, link.tenant_id, person_id, hashed, theirs)
            return await self._doors.entrance.enter(writing, link.tenant_id, person_id, place, theirs, "link")

        return await submit(self._writer, link.tenant_id, job)

    async def _is_good(self, link: Link) -> bool:
        """Looked at before a password is hashed: who has no link costs nothing."""
        now = encode_instant(self._clock())

        async def work(tx: Tx) -> bool:
            found = [await tx.fetch(_FIND, _at(link, code_hash, now)) for code_hash in link.hashes]
            return any(found)

        return await self._database.read(work)

    async def _become(self, writing: Writing, tenant_id: str, person_id: str, taking: Taking, actor: Actor) -> None:
        if taking.name is not None or taking.login is not None:
            change = Change(name=taking.name, login=taking.login)
            await self._doors.people.put_change(writing, tenant_id, person_id, change, actor)

    async def _set_password(self, writing: Writing, tenant_id: str, person_id: str, hashed: str, actor: Actor) -> None:
        if (await one(writing.tx, tenant_id, person_id)).login is None:
            raise AccessError("login_needed", "A password needs a login: choose the name to sign in by.", status=422)
        await self._doors.sign_in.set_password(writing, tenant_id, person_id, hashed, actor)


async def _spend(writing: Writing, link: Link) -> str:
    """Whose link it was. Raises AccessError (link_over)."""
    for code_hash in link.hashes:
        rows = await writing.tx.fetch(_FIND, _at(link, code_hash, writing.now))
        if rows and await writing.tx.execute(_SPEND, _at(link, code_hash, writing.now)):
            person_id: str = rows[0][0]
            return person_id
    raise _over()


def _at(link: Link, code_hash: str, now: str) -> dict[str, str]:
    return {"tenant_id": link.tenant_id, "code_hash": code_hash, "now": now}


def _over() -> AccessError:
    return AccessError("link_over", "This link was used or is too old: ask for another one.", status=410)
