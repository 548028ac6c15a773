"""merge: a mutation and a record give an outcome. Pure.

Rules (the protocol's, in the order they are asked):

1. A write is *seen* by a mutation if its version is at or below `base_version`, or its author is the same client, both
   within the current epoch. Only unseen writes are concurrent.
2. A newcomer that saw the stored write wins whatever its timestamp. Between concurrent writes the field's policy
   decides.
3. What is stored for a winner is the later of its own timestamp and the previous plus 1 ms.
4. Existence is a field: a delete, update or restore that saw the other wins; concurrent ones follow the collection.
5. Values and increments that meet a tombstone are kept in it and return with a restore.
6. Nothing is silently discarded: a losing value comes back as a `Loser`, a refused mutation as a rejection.

A client never conflicts with itself: rule 1 sees to it, however many edits it queued offline.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from sync.clock import clamp, later
from sync.collection import Collection, Fields
from sync.policy import Policy
from sync.protocol import Mutation, Status
from sync.record import EXISTENCE, Clock, Record
from sync.wire import decimal_text, units_of


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


@dataclass(slots=True)
class Outcome:
    """What a mutation did. `record` is the new state, or None where nothing changed."""

    status: Status
    record: Record | None = None
    code: str | None = None
    message: str | None = None
    superseded: Sequence[str] = ()
    losers: Sequence[Loser] = ()
    clamped: bool = False


def rejected(code: str, message: str) -> Outcome:
    """The mutation breaks a rule; it is kept whole by the caller."""
    return Outcome("rejected", code=code, message=message)


def merge(collection: Collection, have: Record | None, mutation: Mutation, writer: Writer) -> Outcome:
    """What `mutation` makes of `have` (None: not known here). Never raises for what a client can send."""
    stamp, clamped = clamp(mutation["timestamp"], writer.now)
    op = mutation["op"]
    if op == "noop":
        return Outcome("applied")
    if op == "create":
        outcome = _create(collection, have, mutation, stamp, writer)
    elif have is None:
        outcome = rejected("unknown_record", "no such record here")
    elif op == "update":
        outcome = _Merging(collection, have, mutation, stamp, writer).update()
    elif op == "delete" and collection.options.fact:
        outcome = rejected("fact_not_deletable", "what happened can be voided, not deleted")
    else:
        outcome = _Merging(collection, have, mutation, stamp, writer).set_existence(deleted=op == "delete")
    outcome.clamped = clamped
    return outcome


def increment(record: Record, collection: Collection, name: str, delta: int) -> str | None:
    """Add to a counter in place; a reason where the sum leaves the field's range."""
    wire = collection.fields[name].wire
    units = units_of(record.fields[name], wire.places) + delta
    if abs(units) >= 10**wire.digits:
        return f"{name}: the sum leaves DECIMAL({wire.digits},{wire.places})"
    record.fields[name] = decimal_text(units, wire.places)
    return None


def _create(collection: Collection, have: Record | None, mutation: Mutation, stamp: str, writer: Writer) -> Outcome:
    given = mutation.get("fields", {})
    if not (writer.server or collection.server_owned.isdisjoint(given)):
        return _owned(collection, given)
    if not given.keys() >= collection.required:
        missing = sorted(collection.required - given.keys())
        return rejected("missing_field", f"a creation needs {', '.join(missing)}")
    fields = {**collection.defaults, **given}
    record = Record(0, 1, "", deleted=False, stamp=stamp, author=writer.author, clocks=None, fields=fields)
    for name, delta in mutation.get("increments", {}).items():
        reason = increment(record, collection, name, units_of(delta, collection.counters[name]))
        if reason:
            return rejected("out_of_range", reason)
    if have is None:
        return _checked(collection, None, Outcome("applied", record))
    if have.deleted:
        return rejected("record_deleted", "this record was deleted; restore it instead")
    counts = any(fields[name] != collection.defaults[name] for name in collection.counters)
    same = not counts and all(have.fields[name] == value for name, value in given.items())
    return Outcome("applied") if same else rejected("already_exists", "this id already names another record")


def _owned(collection: Collection, given: Mapping[str, Any]) -> Outcome:
    names = sorted(collection.server_owned & given.keys())
    return rejected("server_owned", f"only the server writes {', '.join(names)}")


def _checked(collection: Collection, before: Fields | None, outcome: Outcome) -> Outcome:
    """The class's own rule over the merged record."""
    rule = collection.options.rule
    if rule is None or outcome.record is None:
        return outcome
    reason = rule(before, outcome.record.fields)
    return rejected("rule_broken", reason) if reason else outcome


class _Merging:
    """One mutation on one known record."""

    def __init__(self, collection: Collection, have: Record, mutation: Mutation, stamp: str, writer: Writer) -> None:
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

    def seen(self, clock: Clock) -> bool:
        return self.same_epoch and (clock[0] <= self.base or clock[2] == self.writer.author)

    def wins(self, clock: Clock) -> bool:
        """The newcomer saw the stored write, or is concurrent and later; ties go by author, then by who comes later."""
        return self.seen(clock) or (self.stamp, self.writer.author) >= (clock[1], clock[2])

    def update(self) -> Outcome:
        refusal = self._refusal() or self._increments()
        if refusal:
            return refusal
        for name, value in self.mutation.get("fields", {}).items():
            policy = self.collection.policies[name]
            if self.have.fields[name] == value:
                self._affirm(name, policy)
            elif refusal := self._field(name, value, policy):
                return refusal
        self._revive()
        return self._outcome()

    def set_existence(self, *, deleted: bool) -> Outcome:
        if self.mutation.get("fields") or self.mutation.get("increments"):
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
        return _owned(self.collection, given)

    def _increments(self) -> Outcome | None:
        for name, delta in self.mutation.get("increments", {}).items():
            units = units_of(delta, self.collection.counters[name])
            reason = increment(self.new, self.collection, name, units)
            if reason:
                return rejected("out_of_range", reason)
            self.changed = self.changed or units != 0
        return None

    def _field(self, name: str, value: Any, policy: Policy) -> Outcome | None:
        match policy.name:
            case "immutable":
                return rejected("immutable", f"{name}: set at creation, not changed after")
            case "last_writer" | "manual" | "tag_set":
                self._last_writer(name, value)
            case "server_owned":
                self._set(name, value, self.have.clock(name))
            case "counter":
                return rejected("counter", f"{name}: add to it, do not set it")
            case _:
                assert_never(policy.name)
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
        if not self.have.deleted or not self.mutation.get("fields"):
            return
        seen = self.seen(self.have.clock(EXISTENCE))
        if seen or self.collection.options.concurrent_delete == "update_wins":
            self._exist(deleted=False)

    def _exist(self, *, deleted: bool) -> None:
        previous = self.have.clock(EXISTENCE)
        self.new.deleted = deleted
        self.new.write(EXISTENCE, [self.new.version, later(self.stamp, previous[1]), self.writer.author])
        self.changed = True

    def _last_write(self) -> Clock:
        """The newest write a deletion would undo and did not see, if there is one; else the newest at all."""
        clocks = [[1, self.have.stamp, self.have.author], *(self.have.clocks or {}).values()]
        return max((c for c in clocks if not self.seen(c)), default=clocks[0], key=lambda c: c[0])

    def _met_others(self) -> bool:
        if self.have.version <= self.base and self.same_epoch:
            return False
        clocks = [[1, self.have.stamp, self.have.author], *(self.have.clocks or {}).values()]
        return any(not self.seen(clock) for clock in clocks)

    def _outcome(self) -> Outcome:
        status: Status = "merged" if self.superseded or self._met_others() else "applied"
        record = self.new if self.changed else None
        outcome = Outcome(status, record, superseded=self.superseded, losers=self.losers)
        return _checked(self.collection, self.have.fields, outcome)
