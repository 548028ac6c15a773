"""What merging takes and gives: on whose behalf, and what became of a mutation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sync.protocol import Status
from sync.record import Record

WHOLE = "record"
"""The label of a conflict about a whole record: its merged values would break the collection's rule."""


@dataclass(frozen=True, slots=True)
class Writer:
    """On whose behalf a mutation is merged, and when. `server` may write what only the server owns."""

    author: str
    epoch: str
    now: str
    server: bool = False


@dataclass(frozen=True, slots=True)
class Loser:
    """A value that was not kept in the record: it is recorded, listed and can be restored."""

    field: str
    value: Any
    stamp: str
    author: str


@dataclass(frozen=True, slots=True)
class Clash:
    """A value that a person must weigh against the one that stays.

    `label` is a field, a unit, or `WHOLE`. `current` was written at `version`, by `author` at `stamp`; `candidate` is
    the mutation's. A unit's values are an object of its fields; a whole record's one of a mutation's parts.
    """

    label: str
    current: Any
    version: int
    stamp: str
    author: str
    candidate: Any


@dataclass(slots=True)
class Outcome:
    """What a mutation did. `record` is the new state, or None where nothing changed."""

    status: Status
    record: Record | None = None
    code: str | None = None
    message: str | None = None
    superseded: Sequence[str] = ()
    losers: Sequence[Loser] = ()
    clashes: Sequence[Clash] = ()
    conflict_id: str | None = None
    clamped: bool = False


def rejected(code: str, message: str) -> Outcome:
    """The mutation breaks a rule; it is kept whole by the caller."""
    return Outcome("rejected", code=code, message=message)
