"""Push subscriptions of devices that nobody is let in on: they go with the session, key or device they lived by.

A subscription lives while its device is not revoked and lets in whoever made it: a person by an open session of
theirs there, the device itself by a session of nobody's or a key. What reads subscriptions asks for that, too: what
expires by itself, or is deleted a moment later, is told nothing.
"""

from server.storage.statement import Statement
from server.storage.writer import Writing

_SESSION = """EXISTS (SELECT 1 FROM sessions AS s WHERE s.tenant_id = n.tenant_id AND s.device_id = n.device_id
         AND s.ended_at IS NULL AND s.expires_at > :now AND """
LIVES = f"""EXISTS (SELECT 1 FROM devices AS d WHERE d.tenant_id = n.tenant_id AND d.device_id = n.device_id
       AND d.revoked_at IS NULL AND ((n.person_id IS NULL AND (
         {_SESSION} s.person_id IS NULL)
         OR EXISTS (SELECT 1 FROM keys AS k WHERE k.tenant_id = n.tenant_id AND k.device_id = n.device_id
           AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > :now))))
       OR EXISTS (SELECT 1 FROM people AS p WHERE p.tenant_id = n.tenant_id AND p.person_id = n.person_id
         AND p.disabled_at IS NULL AND (p.role = 'owner' OR p.shop = d.shop)
         AND {_SESSION} s.person_id = p.person_id))))"""  # noqa: S608  # our own text
"""A condition on a subscription `n`, at `:now`."""

_FORGET = Statement(f"DELETE FROM webpush_subscriptions AS n WHERE n.tenant_id = :tenant_id AND NOT {LIVES}")  # noqa: S608
_FORGET_NOTICES = Statement(
    """DELETE FROM webpush_notices WHERE tenant_id = :tenant_id AND NOT EXISTS (SELECT 1 FROM webpush_subscriptions AS n
       WHERE n.tenant_id = webpush_notices.tenant_id AND n.device_id = webpush_notices.device_id)"""
)


async def forget_unheard(writing: Writing, tenant_id: str) -> None:
    """Forget a merchant's subscriptions that live no more, in the transaction that ended a session, key or device."""
    if await writing.tx.execute(_FORGET, {"tenant_id": tenant_id, "now": writing.now}):
        await writing.tx.execute(_FORGET_NOTICES, {"tenant_id": tenant_id})
