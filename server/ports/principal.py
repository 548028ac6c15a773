"""Who was let in: the device behind a request, perhaps a person on it, and what they may see."""

from typing import Literal, NamedTuple

from sync.errors import SyncError
from sync.scope import Scope

Permission = Literal[
    "push",  # send mutations
    "pull",  # read records
    "watch",  # see how the integrations do
    "manage",  # people, devices, keys, what was kept and what was noted
]
"""What a key can be narrowed to; a role says what of that it may do."""

PERMISSIONS: tuple[Permission, ...] = ("push", "pull", "watch", "manage")


class NotPermittedError(SyncError):
    """The key was not given this."""

    code = "not_permitted"
    status_hint = 403

    def __init__(self, permission: Permission) -> None:
        """`permission` is the one it lacks."""
        super().__init__(f"this key was not given «{permission}»", permission=permission)


class PrincipalMovedError(Exception):
    """Who was let in may not be any more: the tenant is at another revision than when that was looked up."""

    def __init__(self, revision: int) -> None:
        """`revision` is the one to look it up at."""
        super().__init__(revision)
        self.revision = revision


class Principal(NamedTuple):
    """A device that was let in. `shops` are those it may see: its own, or all of them for an owner.

    `person_id`: who is signed in on it, if somebody is; the role is then theirs. `permissions`: what its key is
    narrowed to, None for all. `revision` is the tenant's when this was looked up: what relies on it checks that it
    still is.
    """

    tenant_id: str
    device_id: str
    role: str
    shop: str
    shops: frozenset[str]
    person_id: str | None = None
    permissions: frozenset[str] | None = None
    revision: int | None = None

    def scope(self) -> Scope:
        """What it may touch, and what its creations are filled in with."""
        audiences = {"tenant", f"role:{self.role}", *(f"shop:{shop}" for shop in self.shops)}
        return Scope(self.role, frozenset(audiences), {"shop": self.shop})

    def may(self, permission: Permission) -> bool:
        """Whether its key was given this; what its role may do with it is for others to say."""
        return self.permissions is None or permission in self.permissions

    def check(self, revision: int) -> None:
        """Raise PrincipalMovedError where the tenant is at another revision by now."""
        if self.revision not in {None, revision}:
            raise PrincipalMovedError(revision)
