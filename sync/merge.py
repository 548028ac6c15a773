"""merge: a mutation and a record give an outcome. Pure.

Rules (the protocol's, in the order they are asked):

1. A write is *seen* by a mutation if its author is the same client, or its version is at or below `base_version` within
   the current epoch. Only unseen writes are concurrent.
2. A newcomer that saw the stored write wins whatever its timestamp. Between concurrent writes the field's policy
   decides; the fields of a unit are one field here.
3. What is stored for a winner is the later of its own timestamp and the previous plus 1 ms.
4. Existence is a field: a delete, update or restore that saw the other wins; concurrent ones follow the collection.
5. Values, increments and tags that meet a tombstone are kept in it and return with a restore.
6. Nothing is silently discarded: a losing value comes back as a `Loser`, one that a person must weigh as a `Clash`, a
   refused mutation as a rejection; one on a record not known yet waits.
7. Where concurrent writes together would break the collection's rule, nothing applies, and the whole is a clash.

A client never conflicts with itself: rule 1 sees to it, however many edits it queued offline.
"""

from sync.clock import clamp
from sync.collection import Collection, Fields
from sync.merging import Merging, increment, owned
from sync.outcome import Outcome, Writer, rejected
from sync.protocol import Mutation
from sync.record import NEW, Record
from sync.tags import add
from sync.wire import units_of

COLLECTED = rejected("record_deleted", "this record was deleted long ago; nothing of it is left to write to")


def merge(
    collection: Collection, have: Record | None, mutation: Mutation, writer: Writer, blank: Fields | None = None
) -> Outcome:
    """What `mutation` makes of `have` (None: not known here). Never raises for what a client can send.

    `blank` is what a creation need not say (None: the collection's defaults).
    """
    stamp, clamped = clamp(mutation["timestamp"], writer.now)
    op = mutation["op"]
    if op == "noop":
        return Outcome("applied")
    if op == "create":
        fields = {**(blank or collection.defaults), **mutation.get("fields", {})}
        record = Record(NEW, 1, "", deleted=False, stamp=stamp, author=writer.author, clocks=None, fields=fields)
        outcome = _create(collection, have, mutation, record, writer)
    elif have is None:
        outcome = rejected("unknown_record", "no such record here") if writer.server else Outcome("waiting")
    elif have.collected:
        return COLLECTED
    elif op == "update":
        outcome = Merging(collection, have, mutation, stamp, writer).update()
    elif op == "delete" and collection.options.fact:
        outcome = rejected("fact_not_deletable", "what happened can be voided, not deleted")
    else:
        outcome = Merging(collection, have, mutation, stamp, writer).set_existence(deleted=op == "delete")
    outcome.clamped = clamped
    return outcome


def _create(collection: Collection, have: Record | None, mutation: Mutation, record: Record, writer: Writer) -> Outcome:
    """A creation; `record` is what it says, filled up with what it need not say."""
    given = mutation.get("fields", {})
    if not (writer.server or given.keys().isdisjoint(collection.server_owned)):
        return owned(collection, given)
    if len(record.fields) < len(collection.names):
        missing = sorted(collection.required - record.fields.keys())
        return rejected("missing_field", f"a creation needs {', '.join(missing)}")
    refusal = _added(collection, record, mutation)
    if refusal is not None:
        return refusal
    if have is None:
        return _checked(collection, record)
    if have.deleted:
        return rejected("record_deleted", "this record was deleted; restore it instead")
    counts = any(record.fields[name] != collection.defaults[name] for name in collection.adding)
    said = collection.required | given.keys()
    same = not counts and all(have.fields[name] == record.fields[name] for name in said)
    return Outcome("applied") if same else rejected("already_exists", "this id already names another record")


def _added(collection: Collection, record: Record, mutation: Mutation) -> Outcome | None:
    """Counters and tags that a creation begins with."""
    for name, delta in mutation.get("increments", {}).items():
        reason = increment(record, collection, name, units_of(delta, collection.counters[name]))
        if reason:
            return rejected("out_of_range", reason)
    for name, tags in mutation.get("adds", {}).items():
        add(record, name, tags, [1, record.stamp, record.author])
        record.clocks = None  # they came with the record
    return None


def _checked(collection: Collection, record: Record) -> Outcome:
    """The class's own rule over a new record."""
    rule = collection.options.rule
    reason = rule(None, record.fields) if rule is not None else None
    return rejected("rule_broken", reason) if reason else Outcome("applied", record)
