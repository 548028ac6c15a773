"""People: who they are to a merchant, and that there is always an owner who can come in.

Rules:

1. A person has one role and one shop; an owner sees all shops. What they may do on a device is theirs, not its.
2. The last owner who can come in is neither disabled nor given another role: a shop that nobody can open is lost.
   Somebody can come in who has a password, a passkey or an OpenID provider; an invitation that nobody took does not
   count.
3. Who is disabled, or moved to another role or shop, is out at once where they no longer belong: sessions end with the
   first, and any change moves the tenant's revision. Links for them, and all codes that pair devices, are void then.
   What an owner made that lets in without them is out when they are one no more.
4. Role and shop of an OpenID provider's person are its to say, the last owner's too.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from server.audit import Actor, Entry, note
from server.auth.errors import AccessError
from server.auth.jobs import submit
from server.auth.made import revoke_made
from server.auth.names import checked_login, checked_name, checked_role, put_shop
from server.auth.sessions import Sessions
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Writer, Writing

_HAS_PASSKEY = "EXISTS (SELECT 1 FROM passkeys AS k WHERE k.tenant_id = p.tenant_id AND k.person_id = p.person_id)"
_COLUMNS = f"""p.person_id, p.name, p.role, p.shop, p.login, p.issuer, p.created_at, p.disabled_at,
       p.password IS NOT NULL, {_HAS_PASSKEY}"""
_LIST = Statement(
    f"SELECT {_COLUMNS} FROM people AS p WHERE p.tenant_id = :tenant_id ORDER BY p.created_at, p.person_id"  # noqa: S608
)
_ONE = Statement(f"SELECT {_COLUMNS} FROM people AS p WHERE p.tenant_id = :tenant_id AND p.person_id = :person_id")  # noqa: S608
_BY_LOGIN = Statement(f"SELECT {_COLUMNS} FROM people AS p WHERE p.tenant_id = :tenant_id AND p.login = :login")  # noqa: S608
_EXTERNAL = Statement(
    f"""SELECT {_COLUMNS} FROM people AS p WHERE p.tenant_id = :tenant_id AND p.issuer = :issuer
       AND p.subject = :subject"""  # noqa: S608  # our own text
)
_OTHER_OWNERS = Statement(
    f"""SELECT count(*) FROM people AS p WHERE p.tenant_id = :tenant_id AND p.person_id <> :person_id
       AND p.role = 'owner' AND p.disabled_at IS NULL
       AND (p.password IS NOT NULL OR p.issuer IS NOT NULL OR {_HAS_PASSKEY})"""  # noqa: S608  # our own text
)
_INSERT = Statement(
    """INSERT INTO people (tenant_id, person_id, name, role, shop, login, issuer, subject, failures, created_at)
       VALUES (:tenant_id, :person_id, :name, :role, :shop, :login, :issuer, :subject, 0, :now)"""
)
_UPDATE = Statement(
    """UPDATE people SET name = :name, role = :role, shop = :shop, login = :login
       WHERE tenant_id = :tenant_id AND person_id = :person_id"""
)
_DISABLE = Statement(
    """UPDATE people SET disabled_at = CASE WHEN :disabled THEN coalesce(disabled_at, :now) END
       WHERE tenant_id = :tenant_id AND person_id = :person_id""",
    postgresql="""UPDATE people SET disabled_at =
       CASE WHEN CAST(:disabled AS boolean) THEN coalesce(disabled_at, CAST(:now AS timestamptz)) END
       WHERE tenant_id = :tenant_id AND person_id = :person_id""",
)
_VOID = Statement(
    """DELETE FROM invites WHERE tenant_id = :tenant_id AND used_at IS NULL
       AND (person_id = :person_id OR kind = 'pair')"""
)


class NewPerson(NamedTuple):
    """A person to be added; without a login they sign in by passkey or an OpenID provider."""

    name: str
    role: str
    shop: str
    login: str | None = None


class Person(NamedTuple):
    """A person as they are listed. Moments as the wire writes them."""

    person_id: str
    name: str
    role: str
    shop: str
    login: str | None
    issuer: str | None
    created_at: str
    disabled_at: str | None
    has_password: bool
    has_passkey: bool


class Change(NamedTuple):
    """What is to be another; None leaves it."""

    name: str | None = None
    role: str | None = None
    shop: str | None = None
    login: str | None = None


class People:
    """Adds, lists, changes and disables people."""

    def __init__(self, database: Database, writer: Writer, sessions: Sessions, new_id: Callable[[], str]) -> None:
        """`new_id` gives uuids of version 7."""
        self._database, self._writer, self._sessions, self._new_id = database, writer, sessions, new_id

    async def add(self, tenant_id: str, new: NewPerson, actor: Actor) -> str:
        """A new person's id. Raises AccessError (login_taken, bad_name, bad_login, bad_shop, unknown_role)."""
        return await submit(self._writer, tenant_id, lambda writing: self.put(writing, tenant_id, new, actor))

    async def put(self, writing: Writing, tenant_id: str, new: NewPerson, actor: Actor) -> str:
        """Add a person in the transaction that invites them. Raises what `add` raises."""
        login = None if new.login is None else await _free_login(writing.tx, tenant_id, new.login)
        return await self._insert(writing, tenant_id, new._replace(login=login), actor)

    async def put_external(
        self, writing: Writing, tenant_id: str, issuer: str, subject: str, new: NewPerson, actor: Actor
    ) -> Person:
        """The person an OpenID issuer calls `subject`, made where they are new here.

        One who is known is left as they are. Raises AccessError (disabled) where they are let in no more.
        """
        at = {"tenant_id": tenant_id, "issuer": issuer, "subject": subject}
        found = await writing.tx.fetch(_EXTERNAL, at)
        if not found:
            await self._insert(writing, tenant_id, new._replace(login=None), actor, issuer, subject)
            found = await writing.tx.fetch(_EXTERNAL, at)
        person = _person(found[0])
        if person.disabled_at is not None:
            raise AccessError("disabled", "This person is let in no more: ask the shop's owner.", status=403)
        return person

    async def list(self, tenant_id: str) -> list[Person]:
        """Everybody, who is disabled too."""

        async def work(tx: Tx) -> list[Person]:
            return [_person(row) for row in await tx.fetch(_LIST, (tenant_id,))]

        return await self._database.read(work)

    async def find(self, tenant_id: str, person_id: str) -> Person | None:
        """One person."""
        return await self._read(_ONE, {"tenant_id": tenant_id, "person_id": person_id})

    async def change(self, tenant_id: str, person_id: str, change: Change, actor: Actor) -> Person:
        """Another name, role, shop or login. Raises AccessError (no_such_person, last_owner, login_taken, …)."""

        async def job(writing: Writing) -> Person:
            return await self.put_change(writing, tenant_id, person_id, change, actor)

        return await submit(self._writer, tenant_id, job)

    async def put_change(
        self,
        writing: Writing,
        tenant_id: str,
        person_id: str,
        change: Change,
        actor: Actor,
        *,
        by_provider: bool = False,
    ) -> Person:
        """The same, in the transaction that gives the reason. `by_provider`: their OpenID provider says so.

        Raises AccessError (kept_by_provider) too.
        """
        person = await one(writing.tx, tenant_id, person_id)
        if not by_provider:
            _refuse_kept(person, change)
        if change.role not in {None, "owner"} and not by_provider:
            await _refuse_last_owner(writing.tx, tenant_id, person)
        login = person.login if change.login is None else checked_login(change.login)
        if login is not None and login != person.login:
            await _free_login(writing.tx, tenant_id, login)
        changed = person._replace(
            name=checked_name(change.name or person.name),
            role=checked_role(change.role or person.role),
            shop=await put_shop(writing, tenant_id, change.shop or person.shop),
            login=login,
        )
        if (changed.role, changed.shop) != (person.role, person.shop):
            await writing.tx.execute(_VOID, (tenant_id, person_id))
        if changed.role != person.role == "owner":
            await revoke_made(writing, tenant_id, person_id, actor)
        writing.tenant(tenant_id).revision += 1
        await writing.tx.execute(_UPDATE, {"tenant_id": tenant_id, **changed._asdict()})
        await note(writing, tenant_id, Entry("person.change", actor, "person", person_id))
        return changed

    async def disable(self, tenant_id: str, person_id: str, actor: Actor) -> None:
        """Let a person in no more, at once and everywhere. Raises AccessError (no_such_person, last_owner)."""

        async def job(writing: Writing) -> None:
            person = await one(writing.tx, tenant_id, person_id)
            await _refuse_last_owner(writing.tx, tenant_id, person)
            await self._sessions.end_for_person(writing, tenant_id, person_id, "disabled")
            await writing.tx.execute(_VOID, (tenant_id, person_id))
            await revoke_made(writing, tenant_id, person_id, actor)
            await self._set_disabled(writing, tenant_id, person_id, disabled=True)
            await note(writing, tenant_id, Entry("person.disable", actor, "person", person_id))

        await submit(self._writer, tenant_id, job)

    async def enable(self, tenant_id: str, person_id: str, actor: Actor) -> None:
        """Let a person in again; they sign in anew. Raises AccessError (no_such_person)."""

        async def job(writing: Writing) -> None:
            await one(writing.tx, tenant_id, person_id)
            await self._set_disabled(writing, tenant_id, person_id, disabled=False)
            await note(writing, tenant_id, Entry("person.enable", actor, "person", person_id))

        await submit(self._writer, tenant_id, job)

    async def _insert(
        self,
        writing: Writing,
        tenant_id: str,
        new: NewPerson,
        actor: Actor,
        issuer: str | None = None,
        subject: str | None = None,
    ) -> str:
        person_id = self._new_id()
        row = {
            "tenant_id": tenant_id,
            "person_id": person_id,
            "name": checked_name(new.name),
            "role": checked_role(new.role),
            "shop": await put_shop(writing, tenant_id, new.shop),
            "login": new.login,
            "issuer": issuer,
            "subject": subject,
            "now": writing.now,
        }
        writing.tenant(tenant_id).revision += 1
        await writing.tx.execute(_INSERT, row)
        await note(writing, tenant_id, Entry("person.add", actor, "person", person_id))
        return person_id

    async def _set_disabled(self, writing: Writing, tenant_id: str, person_id: str, *, disabled: bool) -> None:
        writing.tenant(tenant_id).revision += 1
        named = {"tenant_id": tenant_id, "person_id": person_id, "now": writing.now, "disabled": disabled}
        await writing.tx.execute(_DISABLE, named)

    async def _read(self, statement: Statement, named: dict[str, str]) -> Person | None:
        async def work(tx: Tx) -> Person | None:
            rows = await tx.fetch(statement, named)
            return _person(rows[0]) if rows else None

        return await self._database.read(work)


async def one(tx: Tx, tenant_id: str, person_id: str) -> Person:
    """A person, in a transaction. Raises AccessError (no_such_person)."""
    rows = await tx.fetch(_ONE, {"tenant_id": tenant_id, "person_id": person_id})
    if not rows:
        raise AccessError("no_such_person", "There is no such person here.", status=404)
    return _person(rows[0])


async def _free_login(tx: Tx, tenant_id: str, login: str) -> str:
    plain = checked_login(login)
    if await tx.fetch(_BY_LOGIN, {"tenant_id": tenant_id, "login": plain}):
        raise AccessError("login_taken", "Somebody here signs in by this name already: choose another.", status=409)
    return plain


async def _refuse_last_owner(tx: Tx, tenant_id: str, person: Person) -> None:
    if person.role != "owner" or person.disabled_at is not None:
        return
    ((others,),) = await tx.fetch(_OTHER_OWNERS, {"tenant_id": tenant_id, "person_id": person.person_id})
    if not others:
        message = "Nobody else here could come in as an owner: let another one in first."
        raise AccessError("last_owner", message, status=409)


def _refuse_kept(person: Person, change: Change) -> None:
    """Their provider says it anew at each sign-in: a change here would not last."""
    wanted = (change.role or person.role, change.shop or person.shop)
    if person.issuer is not None and wanted != (person.role, person.shop):
        message = "The sign-in service says which role and shop this person has: change it there."
        raise AccessError("kept_by_provider", message, status=409)


def _person(row: Sequence[Any]) -> Person:
    *told, has_password, has_passkey = row
    return Person._make((*told, bool(has_password), bool(has_passkey)))
