"""People as the provider knows them, kept as it told last.

Rules:

1. Role, shop and name are what the newest token said: one that was made before it changes nothing. What a sign-in
   says holds against a bearer of the same second.
2. A role that was taken away there is taken away here, the last owner's too: the provider decides who owns.
3. Who belongs to another merchant by now, or to none, has no session left where they were, and no bearer made before.
"""

from functools import partial
from typing import NamedTuple

from server.audit import Actor, Entry, note
from server.auth.errors import AccessError
from server.auth.jobs import submit
from server.auth.made import revoke_made
from server.auth.oidc.mapping import Told
from server.auth.people import Change, NewPerson, People, Person
from server.auth.sessions import Sessions
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Writer, Writing
from sync.clock import encode_instant

_HEARD = Statement("SELECT heard_at FROM people WHERE tenant_id = :tenant_id AND person_id = :person_id")
_HEAR = Statement("UPDATE people SET heard_at = :heard_at WHERE tenant_id = :tenant_id AND person_id = :person_id")
_EVERYWHERE = Statement(
    """/* across tenants */ SELECT tenant_id, person_id FROM people WHERE issuer = :issuer AND subject = :subject
       ORDER BY tenant_id"""
)
_IS_HERE = Statement(
    """SELECT 1 FROM people AS p WHERE p.tenant_id = :tenant_id AND p.person_id = :person_id
       AND (p.left_at IS NULL OR p.heard_at > p.left_at OR EXISTS (SELECT 1 FROM sessions AS s
         WHERE s.tenant_id = p.tenant_id AND s.person_id = p.person_id AND s.ended_at IS NULL))"""
)
_LEAVE = Statement("UPDATE people SET left_at = :left_at WHERE tenant_id = :tenant_id AND person_id = :person_id")


class Membership(NamedTuple):
    """Somebody of the provider's at a merchant's."""

    tenant_id: str
    person_id: str


class Leaving(NamedTuple):
    """Somebody of whom a token made at `made_s`, seconds since 1970, says where they belong, or that they do not."""

    subject: str
    made_s: int


class ProviderPeople:
    """Keeps the people of one issuer."""

    def __init__(self, database: Database, writer: Writer, people: People, sessions: Sessions, issuer: str) -> None:
        """All of one process."""
        self._database, self._writer, self._people, self._sessions = database, writer, people, sessions
        self._issuer = issuer

    async def hear(self, writing: Writing, told: Told, actor: Actor, *, at_sign_in: bool) -> Person:
        """The person of what was told, made or changed by it. Raises AccessError (disabled)."""
        new = NewPerson(told.name, told.role, told.shop)
        person = await self._people.put_external(writing, told.tenant_id, self._issuer, told.subject, new, actor)
        at = {"tenant_id": told.tenant_id, "person_id": person.person_id}
        ((heard_at,),) = await writing.tx.fetch(_HEARD, at)
        told_at = encode_instant(told.made_s * 1000)
        if heard_at is not None and (told_at < heard_at or (told_at == heard_at and not at_sign_in)):
            return person
        await writing.tx.execute(_HEAR, {**at, "heard_at": told_at})
        if (person.name, person.role, person.shop) == (told.name, told.role, told.shop):
            return person
        change = Change(told.name, told.role, told.shop)
        return await self._people.put_change(writing, told.tenant_id, person.person_id, change, actor, by_provider=True)

    async def leave(self, leaving: Leaving, but: str | None, actor: Actor, refusal: AccessError | None = None) -> None:
        """End what somebody has everywhere `but` at the merchant they belong to now."""
        for known in await self._everywhere(leaving.subject):
            if known.tenant_id != but:
                left_at = encode_instant(leaving.made_s * 1000)
                await submit(self._writer, known.tenant_id, partial(self._end, known, left_at, actor, refusal))

    async def refused(self, tenant_id: str, actor: Actor, refusal: AccessError) -> None:
        """Keep that somebody was not let in at a merchant's."""

        async def job(writing: Writing) -> None:
            entry = Entry("session.open", actor, outcome="refused", reason=refusal.code)
            await note(writing, tenant_id, entry)

        await submit(self._writer, tenant_id, job)

    async def _end(
        self, known: Membership, left_at: str, actor: Actor, refusal: AccessError | None, writing: Writing
    ) -> None:
        if await writing.tx.fetch(_IS_HERE, known._asdict()):
            writing.tenant(known.tenant_id).revision += 1
            await writing.tx.execute(_LEAVE, {**known._asdict(), "left_at": left_at})
            await self._sessions.end_for_person(writing, known.tenant_id, known.person_id, "provider")
            await revoke_made(writing, known.tenant_id, known.person_id, actor)
            entry = Entry("session.end", actor, "person", known.person_id, reason="provider")
            await note(writing, known.tenant_id, entry)
        if refusal is not None:
            entry = Entry("session.open", actor, "person", known.person_id, "refused", refusal.code)
            await note(writing, known.tenant_id, entry)

    async def _everywhere(self, subject: str) -> list[Membership]:
        async def work(tx: Tx) -> list[Membership]:
            return [Membership(*row) for row in await tx.fetch(_EVERYWHERE, (self._issuer, subject))]

        return await self._database.read(work)
