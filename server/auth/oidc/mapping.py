"""From claims to a merchant, a role, a shop and a name.

Rules:

1. Merchant, role and shop are what the provider says, among those there are here; what is missing, unknown or not one
   alone is refused, never guessed.
2. A claim may be a text or a list, and lie deeper (`realm_access.roles`). Of a list of roles, those count that are
   roles here: providers put others beside them.
3. Where the settings name no claim for the merchant, it is the only one of this installation.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from server.auth.admin import Admin
from server.auth.errors import AccessError
from server.auth.names import LONGEST_NAME
from server.auth.oidc.form import ClaimNames
from server.collections.roles import ROLES
from server.storage.database import Database, Tx
from server.storage.statement import Statement

_TENANT = Statement("SELECT 1 FROM tenants WHERE tenant_id = :tenant_id")
_SHOP = Statement("SELECT 1 FROM shops WHERE tenant_id = :tenant_id AND shop = :shop")
_SAYS = {
    "unknown_merchant": "The sign-in service does not say which merchant of this server you belong to: ask its people.",
    "unknown_role": "The sign-in service gives you no role here, or several: ask its people for exactly one.",
    "unknown_shop": "The sign-in service gives you no shop that is known here, or several: ask its people for one.",
}


class Told(NamedTuple):
    """Who somebody is here, by what the provider told at `made_s`, seconds since 1970."""

    tenant_id: str
    subject: str
    role: str
    shop: str
    name: str
    made_s: int


class Words(NamedTuple):
    """The words of the claims, unchecked against what is stored."""

    tenant: str | None
    role: str
    shop: str
    name: str


class Mapper:
    """Finds the merchant, role and shop that claims name."""

    def __init__(self, database: Database, admin: Admin, names: ClaimNames) -> None:
        """`names` are the claims' names."""
        self._database, self._admin, self._names = database, admin, names

    async def told(self, claims: Mapping[str, Any], subject: str) -> Told:
        """Who it is. Raises AccessError (unknown_merchant, unknown_role, unknown_shop), DatabaseError."""
        words = read_words(claims, self._names, subject)
        tenant_id = await self._admin.find_tenant(words.tenant)
        if tenant_id is None or not await self._is_there(_TENANT, {"tenant_id": tenant_id}):
            raise refusal("unknown_merchant")
        if not await self._is_there(_SHOP, {"tenant_id": tenant_id, "shop": words.shop}):
            raise refusal("unknown_shop")
        return Told(tenant_id, subject, words.role, words.shop, words.name, int(claims["iat"]))

    async def _is_there(self, statement: Statement, named: dict[str, str]) -> bool:
        async def work(tx: Tx) -> bool:
            return bool(await tx.fetch(statement, named))

        return await self._database.read(work)


def read_words(claims: Mapping[str, Any], names: ClaimNames, subject: str) -> Words:
    """What the claims name. Raises AccessError (unknown_merchant, unknown_role, unknown_shop)."""
    tenant = None
    if names.tenant is not None:
        tenant = _one(_texts(claims, names.tenant), "unknown_merchant")
    role = _one([text for text in _texts(claims, names.role) if text in ROLES], "unknown_role")
    shop = _one(_texts(claims, names.shop), "unknown_shop")
    name = next(iter(_texts(claims, names.name)), "").strip()
    shown = name if name.isprintable() and 0 < len(name) <= LONGEST_NAME else subject[:LONGEST_NAME]
    return Words(tenant, role, shop, shown)


def refusal(code: str) -> AccessError:
    """Somebody whom the provider knows and who is nobody here."""
    return AccessError(code, _SAYS[code], status=403)


def _one(texts: list[str], code: str) -> str:
    found = set(texts)
    if len(found) != 1:
        raise refusal(code)
    return found.pop()


def _texts(claims: Mapping[str, Any], name: str) -> list[str]:
    value = claims[name] if name in claims else _deeper(claims, name)
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str) and 0 < len(one) <= LONGEST_NAME and one.isprintable()]


def _deeper(claims: Any, name: str) -> Any:
    for part in name.split("."):
        claims = claims.get(part) if isinstance(claims, Mapping) else None
    return claims
