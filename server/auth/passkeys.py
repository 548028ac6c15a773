"""Passkeys: registered by who is signed in, and enough to sign in by on any device.

Rules:

1. A challenge is for one ceremony, and a registration's for one person; it is spent by the first answer that is good
   otherwise, and by nothing else.
2. A counter that did not grow is a copied authenticator: refused and noted. Those that do not count, as passkeys that
   are kept in step between devices, say zero for ever.
3. The last way in of a person is not removed: a password, another passkey or a provider must be left.
4. A lock before somebody's password is none before their passkey.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic_core import to_json

from server.audit import Actor, Entry, note
from server.auth.ceremonies import Assertion, Owner, Site, assertion_of, bad_passkey, challenge_of
from server.auth.challenges import Challenges
from server.auth.entrance import Entrance, Place
from server.auth.errors import AccessError
from server.auth.jobs import submit
from server.auth.names import checked_name
from server.auth.people import one
from server.auth.sessions import Issued
from server.auth.spent import spend
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Writer, Writing

MOST = 20
LONGEST_ID = 1400
_SIGN_IN = "sign in"

_INSERT = Statement(
    """INSERT INTO passkeys
       (tenant_id, credential_id, person_id, name, public_key, sign_count, transports, created_at)
       VALUES (:tenant_id, :credential_id, :person_id, :name, :public_key, :sign_count, :transports, :now)
       ON CONFLICT DO NOTHING"""
)
_LISTED = "credential_id, name, created_at, used_at"
_LIST = Statement(
    f"""SELECT {_LISTED} FROM passkeys WHERE tenant_id = :tenant_id AND person_id = :person_id
       ORDER BY created_at, credential_id"""  # noqa: S608  # our own text
)
_KEY = Statement(
    """SELECT public_key FROM passkeys
       WHERE tenant_id = :tenant_id AND credential_id = :credential_id AND person_id = :person_id"""
)
_USED = Statement(
    """UPDATE passkeys SET sign_count = :sign_count, used_at = :now
       WHERE tenant_id = :tenant_id AND credential_id = :credential_id
       AND (sign_count < :sign_count OR (sign_count = 0 AND :sign_count = 0))"""
)
_REMOVE = Statement(
    """DELETE FROM passkeys
       WHERE tenant_id = :tenant_id AND credential_id = :credential_id AND person_id = :person_id"""
)


class Passkey(NamedTuple):
    """A passkey as it is listed."""

    credential_id: str
    name: str
    created_at: str
    used_at: str | None


class Passkeys:
    """Registers, lists and removes passkeys, and lets in by them."""

    def __init__(
        self, database: Database, writer: Writer, site: Site, challenges: Challenges, entrance: Entrance
    ) -> None:
        """All of one process."""
        self._database, self._writer, self._site = database, writer, site
        self._challenges, self._entrance = challenges, entrance

    async def begin(self, owner: Owner) -> dict[str, Any]:
        """What the browser is asked with to make a passkey. Raises AccessError (no_such_person)."""

        async def work(tx: Tx) -> str:
            person = await one(tx, *owner)
            return person.login or person.name

        name = await self._database.read(work)
        known = [passkey.credential_id for passkey in await self.list(owner)]
        return self._site.registration(owner, name, self._challenges.make(_for(owner)), known)

    async def register(self, owner: Owner, name: str, credential: Mapping[str, Any], origin: str, actor: Actor) -> str:
        """Keep a passkey that was made; its id. Raises AccessError (bad_passkey, too_many_passkeys, bad_name)."""
        shown, challenge = checked_name(name), challenge_of(credential)
        ends_ms = self._challenges.ends_at(challenge, _for(owner))
        if ends_ms is None:
            raise bad_passkey()
        made = self._site.registered(credential, challenge, origin)
        if len(made.credential_id) > LONGEST_ID:
            raise bad_passkey()

        async def job(writing: Writing) -> str:
            person = await one(writing.tx, *owner)
            known = await writing.tx.fetch(_LIST, owner)
            if len(known) >= MOST:
                raise AccessError("too_many_passkeys", "Remove a passkey before you add another one.", status=409)
            row = {**owner._asdict(), **made._asdict(), "transports": to_json(made.transports).decode(), "name": shown}
            fresh = await spend(writing, owner.tenant_id, challenge.hex(), ends_ms)
            if person.disabled_at is not None or not fresh:
                raise bad_passkey()
            if not await writing.tx.execute(_INSERT, {**row, "now": writing.now}):
                raise bad_passkey()
            await note(writing, owner.tenant_id, Entry("passkey.add", actor, "person", owner.person_id))
            return made.credential_id

        return await submit(self._writer, owner.tenant_id, job)

    def options(self) -> dict[str, Any]:
        """What the browser is asked with to sign in."""
        return self._site.authentication(self._challenges.make(_SIGN_IN))

    async def sign_in(self, credential: Mapping[str, Any], origin: str, place: Place, actor: Actor) -> Issued:
        """Let in who has a passkey. Raises AccessError (bad_passkey, disabled, not_this_device, other_shop)."""
        told = assertion_of(credential)
        ends_ms = self._challenges.ends_at(told.challenge, _SIGN_IN)
        public_key = await self._public_key(told)
        if ends_ms is None or public_key is None:
            raise bad_passkey()
        sign_count = self._counter(told, public_key, origin)

        async def job(writing: Writing) -> Issued | AccessError:
            if sign_count is None:
                return await _refuse(writing, told, actor, "signature")
            if not await spend(writing, told.owner.tenant_id, told.challenge.hex(), ends_ms):
                return await _refuse(writing, told, actor, "reused")
            named = {"tenant_id": told.owner.tenant_id, "credential_id": told.credential_id}
            if not await writing.tx.execute(_USED, {**named, "sign_count": sign_count, "now": writing.now}):
                return await _refuse(writing, told, actor, "counter")
            return await self._entrance.enter(writing, *told.owner, place, actor, "passkey")

        issued = await submit(self._writer, told.owner.tenant_id, job)
        if isinstance(issued, AccessError):
            raise issued
        return issued

    async def list(self, owner: Owner) -> list[Passkey]:
        """A person's passkeys."""

        async def work(tx: Tx) -> list[Passkey]:
            return [Passkey(*row) for row in await tx.fetch(_LIST, owner)]

        return await self._database.read(work)

    async def remove(self, owner: Owner, credential_id: str, actor: Actor) -> None:
        """Let in by this one no more. Raises AccessError (no_such_passkey, last_way_in)."""

        async def job(writing: Writing) -> None:
            if not await writing.tx.execute(_REMOVE, {**owner._asdict(), "credential_id": credential_id}):
                raise AccessError("no_such_passkey", "There is no such passkey of yours.", status=404)
            left = await one(writing.tx, *owner)
            if not (left.has_passkey or left.has_password or left.issuer):
                message = "This is the last way in: set a password or add another passkey first."
                raise AccessError("last_way_in", message, status=409)
            await note(writing, owner.tenant_id, Entry("passkey.remove", actor, "person", owner.person_id))

        await submit(self._writer, owner.tenant_id, job)

    def _counter(self, told: Assertion, public_key: str, origin: str) -> int | None:
        try:
            return self._site.asserted(told, public_key, origin)
        except AccessError:
            return None

    async def _public_key(self, told: Assertion) -> str | None:
        async def work(tx: Tx) -> str | None:
            rows = await tx.fetch(_KEY, {**told.owner._asdict(), "credential_id": told.credential_id})
            return rows[0][0] if rows else None

        return await self._database.read(work)


async def _refuse(writing: Writing, told: Assertion, actor: Actor, reason: str) -> AccessError:
    """Returned and not raised: that it was noted must stand, and that the challenge is spent."""
    entry = Entry("session.open", actor, "person", told.owner.person_id, "refused", reason)
    await note(writing, told.owner.tenant_id, entry)
    return bad_passkey()


def _for(owner: Owner) -> str:
    return f"register {owner.tenant_id} {owner.person_id}"
