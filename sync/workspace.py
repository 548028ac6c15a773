"""The records one transaction touches: what was loaded, what became of it, and what it did to others.

Effects are differences: what a record contributed before is taken back, what it contributes now is added. So a void, a
deletion and a restore need no code of their own. A counter whose record is not here yet waits as a held increment, and
joins when the record is created: a sale may arrive before its product.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sync.collection import Collection, Fields, Increment
from sync.conflicts import CONFLICTS, aims, conflict_id, labels, subject
from sync.merging import increment
from sync.outcome import WHOLE
from sync.protocol import Mutation, Registry, Unusable
from sync.record import Record
from sync.scope import narrow

Key = tuple[str, str]
"""(collection, record id)."""

Counter = tuple[str, str, str]
"""(collection, record id, field)."""

Held = dict[Counter, int]
"""Sums of increments, in the counter's smallest unit, that wait for their record."""


def needed(registry: Registry, mutations: Iterable[Mutation | Unusable], *, look: bool) -> set[Key]:
    """The records mutations name, and the conflicts they could open or move.

    Without `look`, a creation is taken for new: the unique key tells.
    """
    keys: set[Key] = set()
    for mutation in mutations:
        if isinstance(mutation, Unusable) or mutation["op"] == "noop" or (mutation["op"] == "create" and not look):
            continue
        name, record_id = mutation["collection"], mutation["record_id"]
        keys.add((name, record_id))
        if mutation["op"] == "update":
            collection = registry.collections[name]
            keys.update((CONFLICTS, conflict_id(name, record_id, label)) for label in labels(collection, mutation))
    return keys if CONFLICTS in registry.collections else {key for key in keys if key[0] != CONFLICTS}


def _add_targets(keys: set[Key], collection: Collection, fields: Fields) -> None:
    options = collection.options
    for name, target in options.references.items():
        if fields.get(name) is not None:
            keys.add((target, fields[name]))
    if options.effects is not None:
        for effect in options.effects(fields):
            keys.add((effect.collection, effect.record_id))


class Workspace:
    """Records in hand.

    `changed` holds those to store, in the order of their last change, `before` what each of them was; `created` those
    among them to insert; `moved` the audiences that records left, each with the record's version then. `held` are
    increments to keep for records not here yet, `joined` those whose record came.
    """

    def __init__(self, registry: Registry, loaded: Mapping[Key, Record], waiting: Held | None = None) -> None:
        """`loaded` is what the database has of what is `needed`; `waiting` the increments held for what is touched."""
        self.registry = registry
        self._records: dict[Key, Record] = dict(loaded)
        self._asked: set[Key] = set(loaded)
        self._waiting: Held = waiting or {}
        self.changed: dict[Key, Record] = {}
        self.before: dict[Key, Record | None] = {}
        self.created: set[Key] = set()
        self.moved: list[tuple[Key, str, int]] = []
        self.held: Held = defaultdict(int)
        self.joined: list[Counter] = []

    def targets(self, mutations: Iterable[Mutation | Unusable], implied: Mapping[str, Any]) -> set[Key]:
        """Records that the named ones touch, as they stand or as they would become, and that were not asked for yet.

        `implied` are fields that a creation may leave out. What is loaded may touch more: ask until there is nothing.
        """
        fields: dict[Key, Fields] = {key: record.fields for key, record in self._records.items()}
        keys: set[Key] = set()
        for mutation in mutations:
            if isinstance(mutation, Unusable) or mutation["op"] == "noop":
                continue
            key, said = (mutation["collection"], mutation["record_id"]), mutation.get("fields", {})
            if key[0] != CONFLICTS:
                self._touched(key, said, implied, fields, keys)
            elif key in self._records:
                keys.add(subject(self._records[key]))
                for aim in aims(self.registry, self._records[key], mutation):
                    self._touched(subject(self._records[key]), aim.get("fields", {}), {}, fields, keys)
        return self.missing(keys)

    def missing(self, keys: Iterable[Key]) -> set[Key]:
        """Those that were not asked for yet; from now on they were."""
        missing = set(keys) - self._asked - self._records.keys()
        self._asked |= missing
        return missing

    def _touched(
        self, key: Key, said: Fields, implied: Mapping[str, Any], fields: dict[Key, Fields], keys: set[Key]
    ) -> None:
        """Add to `keys` what a record refers to and has effects on, before and after it is written; note it so."""
        collection = self.registry.collections[key[0]]
        if collection.options.effects is None and not collection.options.references:
            return
        before = fields.get(key)
        after = {**collection.defaults, **implied, **said} if before is None else {**before, **said}
        if after.keys() >= collection.required:
            _add_targets(keys, collection, after)
            if before is not None:
                _add_targets(keys, collection, before)
            fields[key] = after

    def add_loaded(self, loaded: Mapping[Key, Record], waiting: Held) -> None:
        """What was loaded in a further step; what is here already has moved on."""
        self._records = {**loaded, **self._records}
        self._waiting = {**waiting, **self._waiting}

    def get(self, key: Key) -> Record | None:
        """The record as it stands now in this transaction."""
        return self._records.get(key)

    def put(self, key: Key, record: Record, collection: Collection) -> None:
        """Take over a new state, which knows its audience, with its effects and flags."""
        before = self._records.get(key)
        self.take(key, record)
        if before is None:
            self._join(key, record, collection)
        elif before.audience != record.audience:
            self._move_conflicts(key, record, collection)
        flags = [*self._apply_effects(collection, before, record), *self._dangling(collection, record)]
        if flags and "flags" in collection.fields:
            record.fields["flags"] = sorted({*record.fields["flags"], *flags})

    def take(self, key: Key, record: Record) -> None:
        """Take over a new state as it is."""
        before = self._records.get(key)
        if before is None:
            self.created.add(key)
        elif before.audience != record.audience:
            self.moved.append((key, before.audience, record.version))
        self._store(key, record)

    def _move_conflicts(self, key: Key, record: Record, collection: Collection) -> None:
        for label in (*collection.manual, WHOLE):
            conflict = (CONFLICTS, conflict_id(*key, label))
            have = self._records.get(conflict)
            if have is not None:
                moved = have.copy()
                moved.version, moved.audience = have.version + 1, narrow(record.audience, collection.writers)
                self.take(conflict, moved)

    def _store(self, key: Key, record: Record) -> None:
        if self.changed.pop(key, None) is None:
            self.before[key] = self._records.get(key)
        self._records[key] = record
        self.changed[key] = record

    def _join(self, key: Key, record: Record, collection: Collection) -> None:
        for name in collection.counters:
            counter = (*key, name)
            units = self._release(counter)
            if units and increment(record, collection, name, units):
                self.held[counter] = units

    def _release(self, counter: Counter) -> int:
        """Take out what is held for a counter, to be added or held again."""
        if counter in self._waiting:
            self.joined.append(counter)
        return self._waiting.pop(counter, 0) + self.held.pop(counter, 0)

    def _apply_effects(self, collection: Collection, before: Record | None, after: Record) -> Iterable[str]:
        effects = collection.options.effects
        differences = _difference(effects, before, after) if effects is not None else None
        if not differences:
            return ()
        flags = [self._add(counter, delta) for counter, delta in differences.items()]
        return [flag for flag in flags if flag]

    def _add(self, counter: Counter, delta: int) -> str | None:
        """Add to another record's counter; a flag where that is worth a look."""
        name, record_id, field = counter
        have = self._records.get((name, record_id))
        if have is None or have.collected:  # of a collected one no sum is left to add to, and its place must stay
            self.held[counter] += delta
            return f"unknown_{name}"
        record = have.copy()
        units = delta + self._release(counter)
        if increment(record, self.registry.collections[name], field, units):
            self.held[counter] += units
            return f"{field}_out_of_range"
        record.version += 1
        self._store((name, record_id), record)
        return f"{field}_negative" if record.fields[field].startswith("-") else None

    def _dangling(self, collection: Collection, record: Record) -> list[str]:
        found: list[str] = []
        for name, target in collection.options.references.items():
            value = record.fields.get(name)
            there = None if value is None else self._records.get((target, value))
            if value is not None and (there is None or there.deleted):
                found.append(f"unknown_{target}")
        return found


def _difference(
    effects: Callable[[Fields], Iterable[Increment]], before: Record | None, after: Record
) -> dict[Counter, int]:
    """What changed in a record's contribution to the counters of others."""
    sums: dict[Counter, int] = {}
    for record, sign in ((before, -1), (after, 1)):
        if record is not None and not record.deleted:
            for effect in effects(record.fields):
                counter = (effect.collection, effect.record_id, effect.field)
                sums[counter] = sums.get(counter, 0) + sign * effect.delta
    return {counter: delta for counter, delta in sums.items() if delta} if sums else sums
