"""The merge once more, in a page: fields and tags replayed in the order the server committed, from the rules alone.

It is written from 03-sync.md, not from the kernel, and knows nothing of it. A write is seen by a mutation of its
author, or one that names its version in its epoch. Who saw the stored write wins; else the later timestamp does, ties
by author (last writers), or a person must decide (prices and the like, in units), or both stay (tags). To write again
the value one saw is no write: somebody who saved a form did not mean every line of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tests.simulation.ledger import Told
from tests.simulation.standing import Key

SERVERS_OWN = frozenset(("flags", "forward_status", "forward_reference"))
MANUAL: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "products": {"pricing": ("price", "vat_rate")},
    "customers": {"invoicing": ("vat_number", "tax_code", "sdi_code")},
    "errands": {"budget": ("budget",)},
}
"""Collection → label of a conflict → the fields a person decides about together."""

_BY_HAND = {(name, part) for name, units in MANUAL.items() for parts in units.values() for part in parts}
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
    """`fields` and `tags` as they must be, `losses` as they must be listed, `clashes` (uid, label) for a person.

    `empty` are (uid, field) that wrote nothing. `decided` are fields a person decided about: what stands there since is
    not followed.
    """

    fields: dict[Slot, Write] = field(default_factory=dict)
    tags: dict[Key, dict[str, Write]] = field(default_factory=dict)
    losses: set[Loss] = field(default_factory=set)
    clashes: set[tuple[str, str]] = field(default_factory=set)
    empty: set[tuple[str, str]] = field(default_factory=set)
    decided: set[Slot] = field(default_factory=set)
    _created: dict[Key, Write] = field(default_factory=dict)

    def replay(self, history: Iterable[Told], subjects: Mapping[Key, tuple[Key, str]]) -> None:
        """Take over accepted mutations in order; `subjects` says which record and label a conflict is about."""
        for told in history:
            if told.mutation["op"] == "create":
                self._create(told)
            elif told.key[0] == "conflicts":
                key, label = subjects[told.key]
                self.decided |= {(key, name) for name in MANUAL[key[0]][label]}
            elif told.mutation["op"] == "update":
                self._update(told)

    def _create(self, told: Told) -> None:
        made = Write(None, 1, _stamp(told), told.author)
        self._created[told.key] = made
        for name, value in told.mutation["fields"].items():
            self.fields[told.key, name] = made._replace(value=value)
        self.tags[told.key] = dict.fromkeys(told.mutation.get("adds", {}).get("tags", ()), made)

    def _update(self, told: Told) -> None:
        given = told.mutation.get("fields", {})
        for name, value in given.items():
            if name not in SERVERS_OWN and (told.key[0], name) not in _BY_HAND:
                self._write(told, name, value)
        for label, names in MANUAL.get(told.key[0], {}).items():
            values = {name: given[name] for name in names if name in given}
            if values:
                self._by_hand(told, label, names, values)
        self._tag(told)

    def _write(self, told: Told, name: str, value: Any) -> None:
        have = self._have(told.key, name)
        seen = _saw(told, have)
        wins = seen or (_stamp(told), told.author) >= (have.stamp, have.author)
        uid, slot = told.verdict["uid"], (told.key, name)
        if have.value == value and (seen or not wins):
            self.empty.add((uid, name))
        elif not wins:
            self.losses.add(Loss(uid, slot, repr(value), told.author))
        else:
            if not seen and have.value != value:
                self.losses.add(Loss(uid, slot, repr(have.value), have.author))
            self._set(told, name, value)

    def _by_hand(self, told: Told, label: str, names: tuple[str, ...], values: Mapping[str, Any]) -> None:
        have = {name: self._have(told.key, name) for name in names}
        if all(have[name].value == value for name, value in values.items()):
            self.empty |= {(told.verdict["uid"], name) for name in values}
        elif ":" in told.author or all(_saw(told, write) for write in have.values()):
            for name, value in values.items():
                self._set(told, name, value)
        else:
            self.clashes.add((told.verdict["uid"], label))

    def _tag(self, told: Told) -> None:
        """An add wins over a remove that did not see it; who names a tag in both wants it."""
        there = self.tags[told.key]
        removes = there.keys() & set(told.mutation.get("removes", {}).get("tags", ()))
        kept = sorted(tag for tag in removes if not _saw(told, there[tag]))
        if kept:
            slot = (told.key, "tags")
            self.losses.add(Loss(told.verdict["uid"], slot, repr({"removes": kept}), told.author))
        for tag in removes - set(kept):
            del there[tag]
        for tag in told.mutation.get("adds", {}).get("tags", ()):
            there[tag] = Write(None, told.verdict["version"], _stamp(told), told.author)

    def _set(self, told: Told, name: str, value: Any) -> None:
        stamp = max(_stamp(told), _after(self._have(told.key, name).stamp))
        self.fields[told.key, name] = Write(value, told.verdict["version"], stamp, told.author)

    def _have(self, key: Key, name: str) -> Write:
        return self.fields.get((key, name)) or self._created[key]._replace(value=_UNSAID.get(name))


def _saw(told: Told, write: Write) -> bool:
    same_epoch = told.mutation.get("epoch") in (None, told.epoch)
    return told.author == write.author or (same_epoch and told.mutation.get("base_version", 0) >= write.version)


def _stamp(told: Told) -> str:
    made: str = told.mutation["timestamp"]
    return min(made, told.limit)


def _after(stamp: str) -> str:
    later = datetime.fromisoformat(stamp) + timedelta(milliseconds=1)
    return later.isoformat(timespec="milliseconds")[:23] + "Z"
