"""Scope: what a caller may touch.

An audience is written `tenant`, `shop:<shop>` or `role:<role>`. One that is narrowed to roles has them after a slash,
joined by plus signs: `shop:centro/clerk+owner` are the clerks and the owner of one shop.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

_NARROW = "/"
_AND = "+"


class Scope(NamedTuple):
    """A role, the audiences it belongs to, and what its creations are filled in with."""

    role: str
    audiences: frozenset[str]
    defaults: Mapping[str, str] = {}

    def sees(self, audience: str) -> bool:
        """Whether records of this audience are the caller's business."""
        if audience in self.audiences:
            return True
        wide, _, roles = audience.partition(_NARROW)
        return wide in self.audiences and self.role in roles.split(_AND)

    def of_kind(self, kind: str, narrowings: Iterable[str]) -> frozenset[str]:
        """The caller's audiences of a kind; of the kind `record`, all of them within each narrowing to its role."""
        if kind != "record":
            return frozenset(audience for audience in self.audiences if audience.split(":")[0] == kind)
        mine = [roles for roles in narrowings if self.role in roles.split(_AND)]
        return frozenset(narrow(wide, roles) for wide in self.audiences for roles in mine)


def narrowing(roles: Iterable[str]) -> str:
    """The roles as an audience writes them."""
    return _AND.join(sorted(roles))


def narrow(audience: str, roles: str) -> str:
    """An audience's part that has one of the roles."""
    return f"{audience}{_NARROW}{roles}"
