"""Conflicts: records that hold what people must weigh, and the decision that ends one.

Rules:

1. One record for each (collection, record, label), under an id made of the three; a label is a field, a unit, or the
   whole record. A further candidate is appended to an open one, and opens a decided one anew.
2. It lies in its record's bucket, narrowed to the roles that may update the record, and moves with it.
3. A decision is an ordinary update of `decision`. The first one wins, a second is rejected as `already_decided`: a
   conflict never conflicts.
4. `theirs` keeps the value that stayed, `mine` takes a candidate, `value` sets a third, which is checked like any
   update; the record is written as by somebody who saw all of it. What was not chosen, and what is overwritten, is kept
   as a losing value.
5. Where the record moved since, by another hand, nothing is decided: the conflict stays open with what stands now.
6. Open conflicts never expire, and keep the `MOST` newest candidates; older ones become losing values.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync.collection import Collection, Fields
from sync.merging import PARTS
from sync.outcome import WHOLE, Clash, Loser, Outcome, Writer, rejected
from sync.protocol import Mutation, Registry, Unusable
from sync.record import NEW, Record
from sync.scope import narrow

CONFLICTS = "conflicts"
AUTHOR = "system:conflicts"
MOST = 50

_SPACE = uuid.UUID("6f1f2c1e-4f6a-5c0e-9d5b-6b1c8a0e7d42")


def conflict_id(collection: str, record_id: str, label: str) -> str:
    """The id of the conflict about a record's field, unit or whole."""
    return str(uuid.uuid5(_SPACE, f"{collection}\n{record_id}\n{label}"))


def labels(collection: Collection, mutation: Mutation) -> Sequence[str]:
    """The labels under which a mutation could open a conflict, or must move one."""
    if mutation["op"] != "update":
        return ()
    whole = (WHOLE,) if collection.options.rule is not None else ()
    if collection.options.audience.kind != "tenant":  # it may move, and all of its conflicts with it
        return (*collection.manual, *whole)
    given = {collection.unit_of.get(name, name) for name in mutation.get("fields", ())}
    return (*(label for label in collection.manual if label in given), *whole)


def aims(registry: Registry, have: Record, mutation: Mutation) -> Iterator[Mutation]:
    """The updates that a decision may come to, of the record the conflict `have` is about; what is none is left out."""
    said = mutation.get("fields", {}).get("value")
    for value in (*(one["value"] for one in have.fields["candidates"]), said):
        update = update_of(registry, have, mutation, parts(registry, have, value))
        if not isinstance(update, Unusable):
            yield update


def update_of(registry: Registry, have: Record, mutation: Mutation, said: Mapping[str, Any]) -> Mutation | Unusable:
    """What a decision says of the record, as an update that is checked like any: nobody checked it as such before."""
    collection, record_id = subject(have)
    known = {name: mutation[name] for name in ("uid", "timestamp")}
    made = {**known, "mutation_id": 1, "op": "update", "collection": collection, "record_id": record_id}
    return registry.parse_mutation({**made, **said})


def parts(registry: Registry, have: Record, value: Any) -> Mapping[str, Any]:
    """A side's value as the parts of a mutation; of the whole it says its parts, or plainly fields."""
    label = have.fields["field"]
    if label == WHOLE:
        return value if isinstance(value, dict) and value and value.keys() <= set(PARTS) else {"fields": value}
    units = registry.collections[have.fields["collection"]].options.units
    return {"fields": value if label in units else {label: value}}


def subject(have: Record) -> tuple[str, str]:
    """The key of the record a conflict is about."""
    return have.fields["collection"], have.fields["record_id"]


@dataclass(frozen=True, slots=True)
class About:
    """What a conflict is about, and which mutation brings a candidate."""

    collection: Collection
    record_id: str
    audience: str
    mutation: Mutation
    stamp: str

    def conflict_id(self, label: str) -> str:
        """The id of its conflict under a label."""
        return conflict_id(self.collection.name, self.record_id, label)


def opened(have: Record | None, about: About, clash: Clash, writer: Writer) -> tuple[Record, list[tuple[str, Loser]]]:
    """The conflict with the clash's candidate in it, and what had to leave it: (uid, losing value)."""
    current = {"value": clash.current, "version": clash.version, "at": clash.stamp, "author": clash.author}
    candidate = {
        "uid": about.mutation["uid"],
        "value": clash.candidate,
        "at": about.stamp,
        "author": writer.author,
        "actor": about.mutation.get("actor"),
    }
    earlier = have.fields["candidates"] if have is not None and have.fields["status"] == "open" else []
    candidates = [*earlier, candidate]
    fields: Fields = {
        "collection": about.collection.name,
        "record_id": about.record_id,
        "field": clash.label,
        "status": "open",
        "current": current,
        "candidates": candidates[-MOST:],
        "opened_at": have.fields["opened_at"] if have is not None and earlier else writer.now,
        "decision": None,
        "candidate": None,
        "value": None,
        "decided_by": None,
        "decided_at": None,
    }
    audience = narrow(about.audience, about.collection.writers)
    record = _written(have, fields, audience, writer.now)
    return record, [(lost["uid"], _loser(clash.label, lost)) for lost in candidates[:-MOST]]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided: the update that writes it (None: what stands stays), and the candidates not chosen."""

    update: Mutation | None
    losers: Sequence[tuple[str, Loser]]


def decision(registry: Registry, have: Record, mutation: Mutation) -> Decision | Outcome:
    """The decision that a mutation of the conflict `have` makes, or why it makes none."""
    given = mutation.get("fields", {})
    label, candidates = have.fields["field"], have.fields["candidates"]
    match given.get("decision"):
        case "theirs":
            return Decision(None, [(lost["uid"], _loser(label, lost)) for lost in candidates])
        case "mine":
            chosen = _chosen(candidates, given.get("candidate"))
            if chosen is None:
                return rejected("no_decision", "there is no such candidate: name the uid of one of them")
            value = chosen["value"]
        case "value" if "value" in given:
            chosen, value = None, given["value"]
        case _:
            return rejected("no_decision", "a decision is `mine`, `theirs`, or `value` with a value")
    update = update_of(registry, have, mutation, parts(registry, have, value))
    if isinstance(update, Unusable):
        return rejected(update.code, update.message)
    names = registry.collections[have.fields["collection"]].options.units.get(label, (label,))
    if label != WHOLE and not set(names) >= set(update.get("fields", {})):
        return rejected("no_decision", f"this conflict is about {', '.join(names)}, and nothing else")
    return Decision(update, [(other["uid"], _loser(label, other)) for other in candidates if other is not chosen])


def standing(collection: Collection, record: Record, have: Record, update: Mutation | None = None) -> dict[str, Any]:
    """What a conflict says of its record, as the record stands now; of the whole, what an `update` would write."""
    label = have.fields["field"]
    if label == WHOLE:
        names = have.fields["current"]["value"]["fields"] if update is None else update.get("fields", {})
        value: Any = {"fields": {name: record.fields[name] for name in names}}
        clock = max([[1, record.stamp, record.author], *(record.clocks or {}).values()], key=lambda one: one[0])
    else:
        names = collection.options.units.get(label, (label,))
        value = {name: record.fields[name] for name in names} if label not in names else record.fields[label]
        clock = max((record.clock(name) for name in names), key=lambda one: one[0])
    return {"value": value, "version": clock[0], "at": clock[1], "author": clock[2]}


def reopened(have: Record, current: Mapping[str, Any], now: str) -> Record:
    """The conflict, still open, with what stands now."""
    return _written(have, {**have.fields, "current": dict(current)}, have.audience, now)


def decided(have: Record, mutation: Mutation, writer: Writer) -> Record:
    """The conflict with its end, and of what was said only what counted."""
    given = mutation.get("fields", {})
    chosen = given["decision"]
    ended = {
        "status": "decided",
        "decision": chosen,
        "candidate": given.get("candidate") if chosen == "mine" else None,
        "value": given["value"] if chosen == "value" else None,
        "decided_by": writer.author,
        "decided_at": writer.now,
    }
    return _written(have, {**have.fields, **ended}, have.audience, writer.now)


def _written(have: Record | None, fields: Fields, audience: str, now: str) -> Record:
    if have is None:
        return Record(NEW, 1, audience, deleted=False, stamp=now, author=AUTHOR, clocks=None, fields=fields)
    record = have.copy()
    record.version, record.audience, record.fields = have.version + 1, audience, fields
    return record


def _chosen(candidates: Sequence[Mapping[str, Any]], uid: str | None) -> Mapping[str, Any] | None:
    named = [one for one in candidates if uid is None or one["uid"] == uid]
    return named[-1] if named else None


def _loser(label: str, side: Mapping[str, Any]) -> Loser:
    return Loser(label, side["value"], side["at"], side["author"])
