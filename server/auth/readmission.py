"""A device that comes back: paired again as the device it was, so that the queue it still holds is let in with it.

Whatever let it in before does so no more: its sessions end and its keys are revoked, for it may be back because one of
them was in somebody else's hands. A device that was revoked is one again; it takes an owner to say so.
"""

from server.audit import Actor, Entry, note
from server.auth.errors import AccessError
from server.auth.subscribed import forget_unheard
from server.storage.statement import Statement
from server.storage.writer import Writing

_BACK = Statement("UPDATE devices SET revoked_at = NULL WHERE tenant_id = :tenant_id AND device_id = :device_id")
_KEYS = Statement(
    "UPDATE keys SET revoked_at = :now WHERE tenant_id = :tenant_id AND device_id = :device_id AND revoked_at IS NULL"
)
_SESSIONS = Statement(
    """UPDATE sessions SET ended_at = :now, ended_why = 'paired_again'
       WHERE tenant_id = :tenant_id AND device_id = :device_id AND ended_at IS NULL"""
)
_KNOWN = Statement("SELECT role, shop FROM devices WHERE tenant_id = :tenant_id AND device_id = :device_id")


async def standing_of(writing: Writing, tenant_id: str, device_id: str) -> tuple[str, str]:
    """Role and shop of a device, revoked or not. Raises AccessError (no_such_device)."""
    rows = await writing.tx.fetch(_KNOWN, {"tenant_id": tenant_id, "device_id": device_id})
    if not rows:
        raise AccessError("no_such_device", "There is no such device: pair it as a new one.", status=404)
    return rows[0][0], rows[0][1]


async def readmit(writing: Writing, tenant_id: str, device_id: str, actor: Actor) -> None:
    """Take a device back. Raises AccessError (no_such_device)."""
    await standing_of(writing, tenant_id, device_id)
    named = {"tenant_id": tenant_id, "device_id": device_id, "now": writing.now}
    for statement in (_SESSIONS, _KEYS, _BACK):
        await writing.tx.execute(statement, named)
    await forget_unheard(writing, tenant_id)  # before it is let in anew: what was subscribed may be another's browser
    writing.tenant(tenant_id).revision += 1
    await note(writing, tenant_id, Entry("device.readmit", actor, "device", device_id))
