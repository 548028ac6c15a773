"""The directory: who is signed in where, as people are shown it."""

from typing import Any, NamedTuple

from server.ports import Principal
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from sync.clock import encode_instant

_SESSIONS = Statement(
    """SELECT s.session_id, s.device_id, d.name, s.created_at, s.rotated_at, s.expires_at FROM sessions AS s
       JOIN devices AS d ON d.tenant_id = s.tenant_id AND d.device_id = s.device_id AND d.revoked_at IS NULL
       WHERE s.tenant_id = :tenant_id AND s.person_id = :person_id AND s.ended_at IS NULL AND s.expires_at > :now
       ORDER BY s.created_at, s.session_id"""
)
_ME = Statement(
    """SELECT t.name, t.handle, d.name, p.name, p.login FROM tenants AS t
       JOIN devices AS d ON d.tenant_id = t.tenant_id AND d.device_id = :device_id
       LEFT JOIN people AS p ON p.tenant_id = t.tenant_id AND p.person_id = :person_id
       WHERE t.tenant_id = :tenant_id"""
)


class OpenSession(NamedTuple):
    """Somebody signed in on a device; `rotated_at` is when it was last renewed."""

    session_id: str
    device_id: str
    device_name: str
    created_at: str
    rotated_at: str
    expires_at: str


class Directory:
    """Looks up."""

    def __init__(self, database: Database) -> None:
        """Reads only."""
        self._database = database

    async def sessions(self, tenant_id: str, person_id: str, now_ms: int) -> list[OpenSession]:
        """Where a person is signed in."""
        named = {"tenant_id": tenant_id, "person_id": person_id, "now": encode_instant(now_ms)}

        async def work(tx: Tx) -> list[OpenSession]:
            return [OpenSession(*row) for row in await tx.fetch(_SESSIONS, named)]

        return await self._database.read(work)

    async def me(self, who: Principal) -> dict[str, Any]:
        """Who is asking, in words a page can show."""
        named = {"tenant_id": who.tenant_id, "device_id": who.device_id, "person_id": who.person_id}

        async def work(tx: Tx) -> Any:
            return (await tx.fetch(_ME, named))[0]

        merchant, handle, device, person, login = await self._database.read(work)
        shown = None if who.person_id is None else {"person_id": who.person_id, "name": person, "login": login}
        return {
            "merchant": {"tenant_id": who.tenant_id, "name": merchant, "handle": handle},
            "device": {"device_id": who.device_id, "name": device},
            "person": shown,
            "role": who.role,
            "shop": who.shop,
            "shops": sorted(who.shops),
            "permissions": None if who.permissions is None else sorted(who.permissions),
        }
