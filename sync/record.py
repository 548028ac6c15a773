"""A record as the server holds it, and who wrote what when.

`clocks` is None while every field still has the clock of the record's creation (version 1, `stamp`, `author`); once
fields diverge it maps a field to `[version, stamp, author]` of its last write. Existence is a field too, under
`EXISTENCE`; a tag is one under its own name (`sync.tags`).
"""

from dataclasses import dataclass, replace
from typing import Any

from sync.collection import Fields

EXISTENCE = "@"
NEW = -1
"""The `seq` of a record that was never stored."""

ERASED = "system:erasure"
"""The author of what is left of a record that was erased for good (`sync.erasure`)."""

Clock = list[Any]
"""`[version, stamp, author]` of a field's last write; a list, because it is stored as JSON."""


@dataclass(slots=True)
class Record:
    """One record of one collection. `seq` is its place in the tenant's sequence, `version` its own counter.

    A collected tombstone is at place 0, where no pull reads: its id stays taken, its values are gone.
    """

    seq: int
    version: int
    audience: str
    deleted: bool
    stamp: str
    author: str
    clocks: dict[str, Clock] | None
    fields: Fields

    @property
    def collected(self) -> bool:
        """Whether this is what is left of a record deleted long ago."""
        return self.deleted and self.seq == 0

    @property
    def erased(self) -> bool:
        """Whether this is what is left of a record erased for good."""
        return self.deleted and self.author == ERASED

    def clock(self, field: str) -> Clock:
        """The last write of a field."""
        if self.clocks is not None and field in self.clocks:
            return self.clocks[field]
        return [1, self.stamp, self.author]

    def copy(self) -> "Record":
        """An independent copy; field values are never changed in place."""
        clocks = None if self.clocks is None else dict(self.clocks)
        return replace(self, fields=dict(self.fields), clocks=clocks)

    def write(self, field: str, clock: Clock) -> None:
        """Note who wrote a field last."""
        if self.clocks is None:
            self.clocks = {}
        self.clocks[field] = clock

    def forget(self, field: str) -> None:
        """Drop a clock: what it told of is gone."""
        if self.clocks is not None:
            self.clocks.pop(field, None)
