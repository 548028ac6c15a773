"""Who was let in: the device behind a request, and what it may see."""

from typing import NamedTuple

from sync.scope import Scope


class Principal(NamedTuple):
    """A device that was let in. `shops` are those it may see: its own, or all of them for an owner."""

    tenant_id: str
    device_id: str
    role: str
    shop: str
    shops: frozenset[str]

    def scope(self) -> Scope:
        """What it may touch, and what its creations are filled in with."""
        audiences = {"tenant", f"role:{self.role}", *(f"shop:{shop}" for shop in self.shops)}
        return Scope(self.role, frozenset(audiences), {"shop": self.shop})
