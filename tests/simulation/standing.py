"""What is judged, as plain data: the server's rows, and what each device's database holds. Knows no server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Key = tuple[str, str]
"""(collection, record id)."""


class Row(NamedTuple):
    """A record of the server's, tombstones included; `fields` in wire form. Of a `collected` one the id is left."""

    version: int
    deleted: bool
    collected: bool
    audience: str
    fields: Mapping[str, Any]


class Lost(NamedTuple):
    """A value in the list of superseded ones: noted by mutation `uid`, written by `author`."""

    uid: str
    field: str
    key: Key
    value: Any
    author: str


class Remembered(NamedTuple):
    """What the server remembers of a mutation; `verdict` is None where it was plainly applied."""

    client_id: str
    mutation_id: int
    version: int | None
    verdict: Mapping[str, Any] | None


class Delivery(NamedTuple):
    """A row of the outbox."""

    route: str
    key: Key
    uid: str
    event: str


@dataclass(frozen=True)
class Standing:
    """The server at the end."""

    records: Mapping[Key, Row]
    superseded: Sequence[Lost]
    rejected: frozenset[str]
    held: Mapping[tuple[str, str, str], int]
    digests: Mapping[tuple[str, str], int]
    mutations: Mapping[str, Remembered]
    deliveries: Sequence[Delivery]


class Held(NamedTuple):
    """A record in a device's base, tombstones included."""

    version: int
    deleted: bool
    fields: Mapping[str, Any]


class OwnMutation(NamedTuple):
    """A mutation in a device's journal."""

    uid: str
    state: str
    verdict: Mapping[str, Any] | None


@dataclass(frozen=True)
class Seen:
    """A device at the end: what it may see, what it was given, what a person sees, and its journal.

    `copied`: its database was copied or set back, so its receipt numbers may double. `differences` is how often the
    server's digest was not its own.
    """

    name: str
    role: str
    audiences: frozenset[str]
    copied: bool
    differences: int
    base: Mapping[Key, Held]
    view: Mapping[Key, Mapping[str, Any]]
    journal: Sequence[OwnMutation]

    def sees(self, audience: str) -> bool:
        """Whether it may see a bucket: `shop:centro`, or narrowed to roles `shop:centro/clerk+owner`."""
        wide, _, roles = audience.partition("/")
        return wide in self.audiences and (not roles or self.role in roles.split("+"))


class Violation(Exception):  # noqa: N818  # the field's word
    """What must be true is not; `clause` names which."""

    def __init__(self, clause: str, message: str) -> None:
        super().__init__(f"{clause}: {message}")
        self.clause = clause


def require(clause: str, condition: object, message: str) -> None:
    """Raise Violation where a condition does not hold."""
    if not condition:
        raise Violation(clause, message)
