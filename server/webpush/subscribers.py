"""Who is told: a merchant's subscriptions that live, what each wants, and what its person may see."""

from collections.abc import Collection
from typing import NamedTuple

from pydantic_core import from_json

from server.auth.guard import both, make_principal
from server.auth.subscribed import LIVES
from server.ports import NOTICE_KINDS, NoticeKind, Principal
from server.storage.database import Tx
from server.webpush.quiet import Quiet, parse_quiet

_LIVING = both(
    f"""SELECT n.device_id, d.name, coalesce(w.role, d.role), d.shop, {{shops}}, n.person_id, n.endpoint_id,
         k.public_key, n.lang, n.kinds, n.quiet_from, n.quiet_to, n.created_at, n.changed_at
       FROM webpush_subscriptions AS n
       JOIN devices AS d ON d.tenant_id = n.tenant_id AND d.device_id = n.device_id
       LEFT JOIN people AS w ON w.tenant_id = n.tenant_id AND w.person_id = n.person_id
       JOIN webpush_keys AS k ON k.tenant_id = n.tenant_id AND k.key_id = n.key_id
       WHERE n.tenant_id = :tenant_id AND {LIVES} ORDER BY n.device_id"""  # noqa: S608  # our own text
)
_ROLES: dict[NoticeKind, Collection[str]] = {
    "invoice": ("owner", "clerk"),  # those who may mark one read
    "conflict": ("owner", "clerk", "terminal"),
    "closing": ("owner", "clerk"),
    "died": ("owner",),
}


def kinds_for(role: str) -> list[NoticeKind]:
    """What a role may be told of."""
    return [kind for kind in NOTICE_KINDS if role in _ROLES[kind]]


class Subscriber(NamedTuple):
    """A device that wants to be told, and who is on it; nothing secret. `kinds`: None for all its role may have."""

    principal: Principal
    device_name: str
    endpoint_id: str
    public_key: str
    lang: str
    kinds: list[str] | None
    quiet: Quiet | None
    created_at: str
    changed_at: str

    def wants(self, kind: NoticeKind) -> bool:
        """Whether it asked for this kind, and its role may have it."""
        return (self.kinds is None or kind in self.kinds) and kind in kinds_for(self.principal.role)

    def hears(self, kind: NoticeKind, audience: str) -> bool:
        """Whether it wants this kind, and its person may see what is for that audience."""
        return self.wants(kind) and self.principal.scope().sees(audience)


async def living(tx: Tx, tenant_id: str, now: str) -> dict[str, Subscriber]:
    """By device."""
    rows = await tx.fetch(_LIVING, {"tenant_id": tenant_id, "now": now})
    return {str(row[0]): _subscriber(tenant_id, *row) for row in rows}


def _subscriber(tenant_id: str, device_id: str, name: str, role: str, shop: str, *rest: str | None) -> Subscriber:
    shops, person_id, endpoint_id, public_key, lang, kinds, start, end, created_at, changed_at = rest
    principal = make_principal(tenant_id, device_id, role, shop, shops)._replace(person_id=person_id)
    wanted = None if kinds is None else from_json(kinds)
    at = (endpoint_id or "", public_key or "", lang or "it", wanted, parse_quiet(start, end))
    return Subscriber(principal, name, *at, created_at or "", changed_at or "")
