"""The words a merchant gives: names of people and devices, logins, roles and shops; checked in one place.

Rules:

1. A name is what people read: it moves no cursor, and both databases can hold it.
2. A login is plain letters and signs, in small letters: nobody's looks like somebody else's.
3. A shop exists from when somebody first belongs to it.
"""

import re

from server.auth.errors import AccessError
from server.collections.roles import ROLES
from server.storage.statement import Statement
from server.storage.writer import Writing

LONGEST_NAME = 200
_SHOP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,47}")  # an audience adds roles to it, in 80 characters
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,79}")
_HANDLE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")
_PUT_SHOP = Statement("INSERT INTO shops (tenant_id, shop) VALUES (:tenant_id, :shop) ON CONFLICT DO NOTHING")


def checked_name(name: str) -> str:
    """A name without spaces around it. Raises AccessError (bad_name)."""
    shown = name.strip()
    if not shown or len(shown) > LONGEST_NAME or not shown.isprintable():
        raise AccessError("bad_name", "A name has 1 to 200 characters, all of which can be seen.", status=422)
    return shown


def checked_login(login: str) -> str:
    """A login in its one form. Raises AccessError (bad_login)."""
    plain = login.strip().lower()
    if not _LOGIN.fullmatch(plain):
        raise AccessError("bad_login", "A login is plain letters, digits and . _ @ + -, at most 80.", status=422)
    return plain


def checked_handle(handle: str) -> str:
    """A merchant's short name in its one form. Raises AccessError (bad_handle)."""
    plain = handle.strip().lower()
    if not _HANDLE.fullmatch(plain):
        raise AccessError("bad_handle", "A handle is plain letters, digits and dashes, at most 48.", status=422)
    return plain


def checked_role(role: str) -> str:
    """A role there is. Raises AccessError (unknown_role)."""
    if role not in ROLES:
        raise AccessError("unknown_role", f"There is no such role: use one of {', '.join(ROLES)}.", status=422)
    return role


async def put_shop(writing: Writing, tenant_id: str, shop: str) -> str:
    """See that a shop is there. Raises AccessError (bad_shop)."""
    if not _SHOP.fullmatch(shop):
        message = "A shop's name is letters, digits, dots and dashes, at most 48 of them."
        raise AccessError("bad_shop", message, status=422)
    await writing.tx.execute(_PUT_SHOP, (tenant_id, shop))
    return shop
