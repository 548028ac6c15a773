"""Who was thrown out: what a restore of an older backup must not forget.

A backup knows nobody who was put out after it: a till stolen since then would be let in again. So a restore takes from
the database it replaces, where that can still be read, who is out there, and puts them out of the restored one, too.
A person's role and password are as they were last, for each was changed for a reason. Nothing is added by this: what
was set up since the backup must be set up again.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from server.audit import Actor, Entry, note
from server.storage.database import Database, DatabaseError, Tx
from server.storage.statement import Statement
from server.storage.writer import Writing

_SYSTEM = Actor("system")


_DEVICES = Statement(
    "/* across tenants */ SELECT tenant_id, device_id, revoked_at, NULL FROM devices WHERE revoked_at IS NOT NULL"
)
_DEVICE = Statement(
    "UPDATE devices SET revoked_at = :at WHERE tenant_id = :tenant_id AND device_id = :id AND revoked_at IS NULL"
)
_KEYS = Statement(
    "/* across tenants */ SELECT tenant_id, key_id, revoked_at, NULL FROM keys WHERE revoked_at IS NOT NULL"
)
_KEY = Statement(
    "UPDATE keys SET revoked_at = :at WHERE tenant_id = :tenant_id AND key_id = :id AND revoked_at IS NULL"
)
_SESSIONS = Statement(
    "/* across tenants */ SELECT tenant_id, session_id, ended_at, ended_why FROM sessions WHERE ended_at IS NOT NULL"
)
_SESSION = Statement(
    """UPDATE sessions SET ended_at = :at, ended_why = :why
       WHERE tenant_id = :tenant_id AND session_id = :id AND ended_at IS NULL"""
)
_INVITES = Statement(
    "/* across tenants */ SELECT tenant_id, code_hash, used_at, NULL FROM invites WHERE used_at IS NOT NULL"
)
_INVITE = Statement(
    "UPDATE invites SET used_at = :at WHERE tenant_id = :tenant_id AND code_hash = :id AND used_at IS NULL"
)
_PEOPLE = Statement("/* across tenants */ SELECT tenant_id, person_id, role, password, disabled_at FROM people")
_PERSON = Statement(
    """UPDATE people SET role = :role, password = :password, disabled_at = coalesce(disabled_at, :disabled_at)
       WHERE tenant_id = :tenant_id AND person_id = :person_id"""
)


class _Kind(NamedTuple):
    """One kind of what can be put out: how it is found, put out, and what the audit calls that, if anything."""

    find: Statement
    end: Statement
    action: str | None = None


_KINDS = {
    "device": _Kind(_DEVICES, _DEVICE, "device.revoke"),
    "key": _Kind(_KEYS, _KEY, "key.revoke"),
    "session": _Kind(_SESSIONS, _SESSION),
    "invite": _Kind(_INVITES, _INVITE),
}


class _Out(NamedTuple):
    """Somebody or something that is out, since when, and why."""

    tenant_id: str
    id: str
    at: str
    why: str | None


class _Person(NamedTuple):
    """How a person stood last."""

    tenant_id: str
    person_id: str
    role: str
    password: str | None
    disabled_at: str | None


class Outcasts(NamedTuple):
    """Who is out, by kind; and how people stood."""

    out: Mapping[str, Sequence[_Out]]
    people: Sequence[_Person]


NOBODY = Outcasts({}, ())


async def known_outcasts(database: Database) -> Outcasts:
    """Who is out in a database; nobody where it cannot be read, which may be why somebody restores."""

    async def work(tx: Tx) -> Outcasts:
        out = {name: [_Out(*row) for row in await tx.fetch(kind.find)] for name, kind in _KINDS.items()}
        return Outcasts(out, [_Person(*row) for row in await tx.fetch(_PEOPLE)])

    try:
        return await database.read(work)
    except DatabaseError:
        return NOBODY


def kept_out(outcasts: Outcasts) -> Callable[[str, Writing], Awaitable[None]]:
    """What a restore writes into each tenant, so that who was out stays out; the audit names devices and keys anew."""

    async def write(tenant_id: str, writing: Writing) -> None:
        for name, kind in _KINDS.items():
            for one in outcasts.out.get(name, ()):
                if one.tenant_id == tenant_id and await writing.tx.execute(kind.end, one._asdict()) and kind.action:
                    await note(writing, tenant_id, Entry(kind.action, _SYSTEM, name, one.id, reason="restore"))
        for person in outcasts.people:
            if person.tenant_id == tenant_id:
                await writing.tx.execute(_PERSON, person._asdict())

    return write
