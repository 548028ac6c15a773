"""The entrance: somebody who has shown who they are gets a session, on a device.

Rules:

1. A device that is proven, by a key or a session of its own, is signed in on. One that is only named must be one this
   person was signed in on before: a browser that lost its session keeps its queue. Anything else is a new device.
2. A new device has the role and shop of whoever made it.
3. A person of one shop does not sign in on a device of another one; an owner signs in everywhere.
"""

from collections.abc import Callable
from typing import NamedTuple

from server.audit import Actor, Entry, note
from server.auth.admin import Admin, Device
from server.auth.errors import AccessError
from server.auth.people import Person, one
from server.auth.sessions import Issued, Sessions
from server.storage.statement import Statement
from server.storage.writer import Writing

_DEVICE = Statement(
    "SELECT shop FROM devices WHERE tenant_id = :tenant_id AND device_id = :device_id AND revoked_at IS NULL"
)
_WAS_HERE = Statement(
    """SELECT 1 FROM sessions
       WHERE tenant_id = :tenant_id AND device_id = :device_id AND person_id = :person_id LIMIT 1"""
)


class Proven(NamedTuple):
    """A device that a request bears a key or a session of."""

    tenant_id: str
    device_id: str


class Place(NamedTuple):
    """Where somebody signs in: a device that is proven, one that is named, or a new one of this name."""

    device_name: str
    proven: Proven | None = None
    named: str | None = None


class Entrance:
    """Opens sessions for people."""

    def __init__(self, admin: Admin, sessions: Sessions, new_id: Callable[[], str]) -> None:
        """`new_id` gives uuids of version 7."""
        self._admin, self._sessions, self._new_id = admin, sessions, new_id

    async def enter(
        self, writing: Writing, tenant_id: str, person_id: str, place: Place, actor: Actor, how: str
    ) -> Issued:
        """Let a person in; `how` is a stable word. Raises AccessError (disabled, not_this_device, other_shop)."""
        person = await one(writing.tx, tenant_id, person_id)
        if person.disabled_at is not None:
            raise AccessError("disabled", "This person is let in no more: ask the shop's owner.", status=403)
        actor = actor._replace(kind="person", id=person_id)
        device_id = await self._device(writing, tenant_id, person, place, actor)
        issued = await self._sessions.open(writing, tenant_id, device_id, person_id)
        await note(writing, tenant_id, Entry("session.open", actor, "session", issued.session_id, reason=how))
        return issued

    async def _device(self, writing: Writing, tenant_id: str, person: Person, place: Place, actor: Actor) -> str:
        if place.proven is None and place.named is None:
            device = Device(self._new_id(), place.device_name, person.role, person.shop)
            await self._admin.put_device(writing, tenant_id, device, actor)
            return device.device_id
        device_id = place.proven.device_id if place.proven is not None else place.named
        rows = await writing.tx.fetch(_DEVICE, {"tenant_id": tenant_id, "device_id": device_id})
        if not rows or not await _is_known(writing, tenant_id, person, place):
            message = "This device is not known as yours: sign in without naming it."
            raise AccessError("not_this_device", message, status=403)
        if person.role != "owner" and rows[0][0] != person.shop:
            message = "This device belongs to another shop: sign in on one of yours."
            raise AccessError("other_shop", message, status=403)
        assert device_id is not None
        return device_id


async def _is_known(writing: Writing, tenant_id: str, person: Person, place: Place) -> bool:
    if place.proven is not None:
        return place.proven.tenant_id == tenant_id and place.named in {None, place.proven.device_id}
    named = {"tenant_id": tenant_id, "device_id": place.named, "person_id": person.person_id}
    return bool(await writing.tx.fetch(_WAS_HERE, named))
