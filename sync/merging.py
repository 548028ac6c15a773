"""One mutation on one known record: which of its values win, lose, or are for a person to weigh."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sync.clock import later
from sync.collection import Collection
from sync.outcome import WHOLE, Clash, Loser, Outcome, Writer, rejected
from sync.policy import MANUAL, Policy
from sync.protocol import Mutation, Status
from sync.record import EXISTENCE, Clock, Record
from sync.tags import add, remove
from sync.wire import decimal_text, units_of

PARTS = ("fields", "increments", "adds", "removes")
"""What a mutation says of a record's values."""


def increment(record: Record, collection: Collection, name: str, delta: int) -> str | None:
    """Add to a counter in place; a reason where the sum leaves the field's range."""
    wire = collection.fields[name].wire
    units = units_of(record.fields[name], wire.places) + delta
    if abs(units) >= 10**wire.digits:
        return f"{name}: the sum leaves DECIMAL({wire.digits},{wire.places})"
    record.fields[name] = decimal_text(units, wire.places)
    return None


def owned(collection: Collection, given: Mapping[str, Any]) -> Outcome:
    """A client wrote what is the server's."""
    names = sorted(collection.server_owned & given.keys())
    return rejected("server_owned", f"only the server writes {', '.join(names)}")


class Merging:
    """A mutation of a record that is here; the rules are those of `sync.merge`."""

    def __init__(
        self,
        collection: Collection,
        have: Record,
        mutation: Mutation,
        stamp: str,
        writer: Writer,
        *,
        revives: bool = True,
    ) -> None:
        """`stamp` is the mutation's timestamp, no further ahead than is allowed.

        `revives`: setting a field of a record whose deletion was seen brings it back.
        """
        self.revives = revives
        self.collection, self.have, self.mutation, self.writer = collection, have, mutation, writer
        self.stamp = stamp
        self.base = mutation.get("base_version", 0)
        epoch = mutation.get("epoch")
        self.same_epoch = epoch is None or epoch == writer.epoch  # None: made before the first contact
        self.new = have.copy()
        self.new.version = have.version + 1
        self.changed = False
        self.superseded: list[str] = []
        self.losers: list[Loser] = []
        self.clashes: list[Clash] = []

    def seen(self, clock: Clock) -> bool:
        """Whether the mutation was made in the knowledge of that write."""
        own: bool = clock[2] == self.writer.author
        return own or (self.same_epoch and clock[0] <= self.base)

    def wins(self, clock: Clock) -> bool:
        """The newcomer saw the stored write, or is concurrent and later; ties go by author, then by who comes later."""
        return self.seen(clock) or (self.stamp, self.writer.author) >= (clock[1], clock[2])

    def update(self) -> Outcome:
        """Set fields, add to counters, change tags."""
        refusal = self._refusal() or self._increments() or self._tags()
        if refusal:
            return refusal
        given = self.mutation.get("fields", {})
        units: dict[str, dict[str, Any]] = {}
        for name, value in given.items():
            unit = self.collection.unit_of.get(name)
            if unit is not None:
                units.setdefault(unit, {})[name] = value
            elif refusal := self._field(name, value):
                return refusal
        for unit, values in units.items():
            self._unit(unit, values)
        self._revive()
        return self._outcome()

    def set_existence(self, *, deleted: bool) -> Outcome:
        """Delete or restore."""
        if any(self.mutation.get(part) for part in PARTS):
            return rejected("invalid", f"a {self.mutation['op']} carries no values")
        if self.have.deleted == deleted:
            if not self.seen(self.have.clock(EXISTENCE)):  # kept against who sees only the other's write
                self._exist(deleted=deleted)
            return self._outcome()
        last = self._last_write() if deleted else self.have.clock(EXISTENCE)
        wins_concurrently = (self.collection.options.concurrent_delete == "delete_wins") == deleted
        if self.seen(last) or wins_concurrently:
            self._exist(deleted=deleted)
        else:
            self._lose(EXISTENCE, deleted, self.stamp, self.writer.author, mine=True)
        return self._outcome()

    def _refusal(self) -> Outcome | None:
        given = self.mutation.get("fields", {})
        if self.writer.server or self.collection.server_owned.isdisjoint(given):
            return None
        return owned(self.collection, given)

    def _increments(self) -> Outcome | None:
        for name, delta in self.mutation.get("increments", {}).items():
            units = units_of(delta, self.collection.counters[name])
            reason = increment(self.new, self.collection, name, units)
            if reason:
                return rejected("out_of_range", reason)
            self.changed = self.changed or units != 0
        return None

    def _tags(self) -> Outcome | None:
        """Removes before adds: who names a tag in both wants it."""
        for name, tags in self.mutation.get("removes", {}).items():
            changed, kept = remove(self.new, name, tags, self.seen)
            self.changed = self.changed or changed
            if kept:
                self._lose(name, {"removes": kept}, self.stamp, self.writer.author, mine=True)
        for name, tags in self.mutation.get("adds", {}).items():
            self.changed |= add(self.new, name, tags, [self.new.version, self.stamp, self.writer.author])
            most = self.collection.fields[name].wire.length
            if len(self.new.fields[name]) > most:
                return rejected("out_of_range", f"{name}: more than {most}")
        return None

    def _field(self, name: str, value: Any) -> Outcome | None:
        policy = self.collection.policies[name]
        if self.have.fields[name] == value:
            self._affirm(name, policy)
            return None
        match policy.name:
            case "immutable":
                return rejected("immutable", f"{name}: set at creation, not changed after")
            case "last_writer":
                self._last_writer(name, value)
            case "manual":
                self._manual(name, {name: value})
            case "server_owned":
                self._set(name, value, self.have.clock(name))
            case _:
                return rejected("not_a_field", f"{name}: add to it, do not set it")
        return None

    def _affirm(self, name: str, policy: Policy) -> None:
        """The same value written later by somebody who had not seen it keeps it against writes in between."""
        clock = self.have.clock(name)
        if policy.name == "last_writer" and not self.seen(clock) and self.wins(clock):
            self._set(name, self.have.fields[name], clock)

    def _last_writer(self, name: str, value: Any) -> None:
        clock = self.have.clock(name)
        if not self.wins(clock):
            self._lose(name, value, self.stamp, self.writer.author, mine=True)
            return
        if not self.seen(clock):
            self._lose(name, self.have.fields[name], clock[1], clock[2], mine=False)
        self._set(name, value, clock)

    def _unit(self, unit: str, values: dict[str, Any]) -> None:
        """Fields that must agree win or lose together; who gives only some of them must have seen the others."""
        names = self.collection.options.units[unit]
        if all(self.have.fields[name] == value for name, value in values.items()):
            for name in values:
                self._affirm(name, self.collection.policies[name])
        elif self.collection.policies[names[0]] is MANUAL:
            self._manual(unit, values)
        else:
            self._whole_unit(names, values)

    def _whole_unit(self, names: Sequence[str], values: dict[str, Any]) -> None:
        unseen = [name for name in names if not self.seen(self.have.clock(name))]
        complete = len(values) == len(names)
        if unseen and not (complete and all(self.wins(self.have.clock(name)) for name in unseen)):
            for name, value in values.items():
                self._lose(name, value, self.stamp, self.writer.author, mine=True)
            return
        for name, value in values.items():
            clock = self.have.clock(name)
            if name in unseen and self.have.fields[name] != value:
                self._lose(name, self.have.fields[name], clock[1], clock[2], mine=False)
            self._set(name, value, clock)

    def _manual(self, label: str, values: dict[str, Any]) -> None:
        names = self.collection.options.units.get(label, (label,))
        if self.writer.server or all(self.seen(self.have.clock(name)) for name in names):
            for name, value in values.items():
                self._set(name, value, self.have.clock(name))
            return
        have = {name: self.have.fields[name] for name in names}
        current, candidate = (have, values) if label not in names else (have[label], values[label])
        version, stamp, author = self._newest(names)
        self.clashes.append(Clash(label, current, version, stamp, author, candidate))

    def _set(self, name: str, value: Any, previous: Clock) -> None:
        self.new.fields[name] = value
        self.new.write(name, [self.new.version, later(self.stamp, previous[1]), self.writer.author])
        self.changed = True

    def _lose(self, name: str, value: Any, stamp: str, author: str, *, mine: bool) -> None:
        self.losers.append(Loser(name, value, stamp, author))
        if mine:
            self.superseded.append(name)

    def _revive(self) -> None:
        """An update that saw the deletion, or wins over it by the collection's rule, brings the record back."""
        if not (self.revives and self.have.deleted and self.mutation.get("fields")):
            return
        seen = self.seen(self.have.clock(EXISTENCE))
        if seen or self.collection.options.concurrent_delete == "update_wins":
            self._exist(deleted=False)

    def _exist(self, *, deleted: bool) -> None:
        previous = self.have.clock(EXISTENCE)
        self.new.deleted = deleted
        self.new.write(EXISTENCE, [self.new.version, later(self.stamp, previous[1]), self.writer.author])
        self.changed = True

    def _newest(self, names: Iterable[str]) -> Clock:
        return max((self.have.clock(name) for name in names), key=lambda clock: clock[0])

    def _writes(self) -> list[Clock]:
        return [[1, self.have.stamp, self.have.author], *(self.have.clocks or {}).values()]

    def _last_write(self) -> Clock:
        """The newest write a deletion would undo and did not see, if there is one; else the newest at all."""
        clocks = self._writes()
        return max((c for c in clocks if not self.seen(c)), default=clocks[0], key=lambda c: c[0])

    def _met_others(self) -> bool:
        if self.have.version <= self.base and self.same_epoch:
            return False
        return any(not self.seen(clock) for clock in self._writes())

    def _outcome(self) -> Outcome:
        met = self._met_others()
        rule = self.collection.options.rule
        reason = rule(self.have.fields, self.new.fields) if rule is not None and self.changed else None
        if reason:
            return self._broken(reason, met=met)
        status: Status = "merged" if self.superseded or met else "applied"
        return Outcome(
            "conflict" if self.clashes else status,
            self.new if self.changed else None,
            superseded=self.superseded,
            losers=self.losers,
            clashes=self.clashes,
        )

    def _broken(self, reason: str, *, met: bool) -> Outcome:
        """By the mutation itself: it is refused. By it and writes it had not seen: a person must weigh them."""
        if not met or self.writer.server:
            return rejected("rule_broken", reason)
        said = {part: self.mutation.get(part) for part in PARTS if self.mutation.get(part)}
        current = {"fields": {name: self.have.fields[name] for name in self.mutation.get("fields", {})}}
        version, stamp, author = max(self._writes(), key=lambda clock: clock[0])
        return Outcome(
            "conflict",
            code="rule_broken",
            message=reason,
            clashes=[Clash(WHOLE, current, version, stamp, author, said)],
        )
