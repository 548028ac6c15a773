"""The merge once more, in a page: last writers' fields replayed in the order the server committed, from the rules alone.

It is written from 03-sync.md, not from the kernel, and knows nothing of it. A write is seen by a mutation that names
its version or has its author; who saw the stored write wins, else the later timestamp does, ties by author. To write
again the value one saw is no write: somebody who saved a form did not mean every line of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tests.simulation.ledger import Told
from tests.simulation.standing import Key

SERVERS_OWN = frozenset(("flags", "forward_status", "forward_reference"))
_UNSAID = {"done": False, "status": "completed"}
"""What a creation means by saying nothing, where that is not null."""

Slot = tuple[Key, str]
"""A field of a record."""


class Loss(NamedTuple):
    """A value that must be in the list of superseded ones, noted by a mutation."""

    uid: str
    slot: Slot
    value: str
    author: str


class Write(NamedTuple):
    """A field's last write."""

    value: Any
    version: int
    stamp: str
    author: str


@dataclass
class Model:
    """`fields` as they must be, `losses` as they must be listed; `empty` are (uid, field) that wrote nothing."""

    fields: dict[Slot, Write] = field(default_factory=dict)
    losses: set[Loss] = field(default_factory=set)
    empty: set[tuple[str, str]] = field(default_factory=set)
    _created: dict[Key, Write] = field(default_factory=dict)

    def replay(self, history: Iterable[Told]) -> None:
        """Take over accepted mutations in order."""
        for told in history:
            if told.mutation["op"] == "create":
                self._create(told)
            for name, value in told.mutation.get("fields", {}).items():
                if told.mutation["op"] == "update" and name not in SERVERS_OWN:
                    self._write(told, name, value)

    def _create(self, told: Told) -> None:
        stamp = min(told.mutation["timestamp"], told.limit)
        self._created[told.key] = Write(None, 1, stamp, told.author)
        for name, value in told.mutation["fields"].items():
            self.fields[told.key, name] = Write(value, 1, stamp, told.author)

    def _write(self, told: Told, name: str, value: Any) -> None:
        have = self._have(told.key, name)
        stamp = min(told.mutation["timestamp"], told.limit)
        seen = told.author == have.author or told.mutation.get("base_version", 0) >= have.version
        wins = seen or (stamp, told.author) >= (have.stamp, have.author)
        uid, slot = told.verdict["uid"], (told.key, name)
        if have.value == value and (seen or not wins):
            self.empty.add((uid, name))
        elif not wins:
            self.losses.add(Loss(uid, slot, repr(value), told.author))
        else:
            if not seen and have.value != value:
                self.losses.add(Loss(uid, slot, repr(have.value), have.author))
            self.fields[slot] = Write(value, told.verdict["version"], max(stamp, _after(have.stamp)), told.author)

    def _have(self, key: Key, name: str) -> Write:
        return self.fields.get((key, name)) or self._created[key]._replace(value=_UNSAID.get(name))


def _after(stamp: str) -> str:
    later = datetime.fromisoformat(stamp) + timedelta(milliseconds=1)
    return later.isoformat(timespec="milliseconds")[:23] + "Z"
