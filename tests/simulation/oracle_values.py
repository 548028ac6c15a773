"""The oracle's clauses about values: none is lost without a trace, and nobody loses to themselves.

A value that was accepted is in the record, or was overwritten by a write that saw it, or is in the list of superseded
ones, or is part of a conflict. Who saw what is worked out here from versions and authors, as 03-sync.md says it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tests.simulation.case import Case
from tests.simulation.ledger import Told
from tests.simulation.model import MANUAL, Loss, Model
from tests.simulation.standing import Key, require

_EXISTENCE = "@"

Writes = Mapping[tuple[Key, str], list[Told]]
"""Accepted writes of a field that were not superseded on arrival."""


def no_value_is_lost(case: Case) -> None:
    """Every accepted value can be found, or whoever overwrote it had seen it."""
    model, kept = _model(case), _kept(case)
    writes = _writes(case, model.clashes)
    by_value: dict[tuple[Key, str, str], list[Told]] = defaultdict(list)
    for told, name, value in _values(case):
        if (told.verdict["uid"], name) not in model.empty:
            by_value[told.key, name, repr(value)].append(told)
    for (key, name, text), tellers in by_value.items():
        row = case.server.records.get(key)
        require("no value is lost", row is not None, f"{key} is gone")
        assert row is not None
        if row.collected or repr(row.fields[name]) == text or (key, name, text) in kept:
            continue
        seen = any(_overwritten(told, writes[key, name]) for told in tellers)
        uids = [told.verdict["uid"] for told in tellers]
        require("no value is lost", seen, f"{key} {name} = {text} of {uids}: now {row.fields[name]!r}")


def fields_are_as_the_rules_give_them(case: Case) -> None:
    """Fields, tags and superseded values, worked out by a model of its own; what a person decided is not followed."""
    model = _model(case)
    for (key, name), write in model.fields.items():
        row = case.server.records[key]
        have = row.fields[name]
        if (key, name) not in model.decided and not row.collected:
            require("the rules", have == write.value, f"{key} {name} is {have!r} instead of {write.value!r}")
    for key, tags in model.tags.items():
        row = case.server.records[key]
        have = row.fields.get("tags", [])
        require("the rules", row.collected or have == sorted(tags), f"{key} is tagged {have} instead of {sorted(tags)}")
    listed = {
        Loss(lost.uid, (lost.key, lost.field), repr(lost.value), lost.author)
        for lost in case.superseded()
        if lost.field != _EXISTENCE and lost.field not in MANUAL.get(lost.key[0], ())
    }
    require(
        "the rules",
        listed == model.losses,
        f"superseded: only listed {listed - model.losses}, only by the rules {model.losses - listed}",
    )


def a_clash_is_for_a_person(case: Case) -> None:
    """A conflict opens for each price that two set unseen, and for nothing else; it says so in the verdict."""
    model = _model(case)
    clashed = {uid for uid, _ in model.clashes}
    unclear = {key for key, _ in model.decided}
    for uid, told in case.accepted().items():
        if told.key[0] != "conflicts" and told.key not in unclear:
            said = told.verdict["status"] == "conflict"
            require("conflicts", said == (uid in clashed), f"{uid}: {told.verdict}, {told.mutation}")
            conflict = case.server.records.get(("conflicts", told.verdict.get("conflict_id") or ""))
            about = None if conflict is None else (conflict.fields["collection"], conflict.fields["record_id"])
            require("conflicts", not said or about == told.key, f"{uid}: its conflict is about {about}")


def nobody_loses_to_themselves(case: Case) -> None:
    """A value lost on arrival lost to somebody else's."""
    writers: dict[tuple[Key, str], set[str]] = defaultdict(set)
    anyone: dict[Key, set[str]] = defaultdict(set)
    creators: dict[Key, set[str]] = defaultdict(set)  # their defaults are writes, too
    for told in case.accepted().values():
        anyone[told.key].add(told.author)
        if told.mutation["op"] == "create":
            creators[told.key].add(told.author)
        for name in (*told.mutation.get("fields", {}), *(["tags"] * ("adds" in told.mutation))):
            writers[told.key, name].add(told.author)
    for lost in case.server.superseded:
        told = case.ledger.told[lost.uid]
        if lost.field in MANUAL.get(lost.key[0], ()):
            continue  # not chosen by a person
        wrote = anyone[lost.key] if lost.field == _EXISTENCE else writers[lost.key, lost.field] | creators[lost.key]
        require(
            "no client conflicts with itself", wrote - {told.author}, f"{lost.key} {lost.field}: {told.author} alone"
        )
        mine = lost.author == told.author
        in_verdict = lost.field in told.verdict["superseded"]
        require("no client conflicts with itself", mine == in_verdict, f"{lost} and {told.verdict}")


def deletions_hold_until_undone(case: Case) -> None:
    """A record is deleted by somebody's deletion, and lives where that was undone, lost, or never was."""
    deletions: dict[Key, list[Told]] = defaultdict(list)
    revivals: dict[Key, list[Told]] = defaultdict(list)
    lost = {(one.uid, one.field) for one in case.superseded()}
    for uid, told in case.accepted().items():
        if told.mutation["op"] == "delete" and (uid, _EXISTENCE) not in lost:
            deletions[told.key].append(told)
        elif told.mutation["op"] != "create":
            revivals[told.key].append(told)
    for key, row in case.server.records.items():
        last = max((told.verdict["version"] for told in deletions[key]), default=None)
        require("deletions", not row.deleted or last is not None, f"{key} was deleted by nobody")
        if last is not None and not row.deleted:
            undone = any(told.verdict["version"] > last for told in revivals[key])
            require("deletions", undone, f"{key} lives again, and nobody brought it back")


def clocks_ahead_are_clamped(case: Case) -> None:
    """A timestamp more than five minutes ahead of the server is not believed, and the verdict says so."""
    for uid, told in case.accepted().items():
        if uid in case.ledger.made and told.mutation["op"] != "noop":
            expected = told.mutation["timestamp"] > told.limit
            require(
                "clamped", told.verdict["clamped"] == expected, f"{uid}: {told.mutation['timestamp']}, {told.limit}"
            )


def _model(case: Case) -> Model:
    model = Model()
    subjects = {
        key: ((row.fields["collection"], row.fields["record_id"]), row.fields["field"])
        for key, row in case.server.records.items()
        if key[0] == "conflicts"
    }
    model.replay(case.accepted().values(), subjects)
    return model


def _values(case: Case) -> Iterator[tuple[Told, str, Any]]:
    for told in case.accepted().values():
        if told.key[0] != "conflicts":  # the decision, whose effect is on another record
            for name, value in told.mutation.get("fields", {}).items():
                yield told, name, value


def _writes(case: Case, clashes: set[tuple[str, str]]) -> Writes:
    found: dict[tuple[Key, str], list[Told]] = defaultdict(list)
    for told, name, _ in _values(case):
        labels = [label for label, names in MANUAL.get(told.key[0], {}).items() if name in names]
        clashed = any((told.verdict["uid"], label) in clashes for label in labels)
        if name not in told.verdict["superseded"] and not clashed:
            found[told.key, name].append(told)
    return found


def _kept(case: Case) -> set[tuple[Key, str, str]]:
    """Values that lie elsewhere: superseded, or in a conflict, alone or as part of a unit."""
    kept: set[tuple[Key, str, str]] = set()
    for lost in case.superseded():
        kept |= {(lost.key, name, text) for name, text in _parts(lost.field, lost.value)}
    for (collection, _), row in case.server.records.items():
        if collection == "conflicts":
            key = (row.fields["collection"], row.fields["record_id"])
            sides = [row.fields["current"], *row.fields["candidates"]]
            kept |= {(key, name, text) for side in sides for name, text in _parts(row.fields["field"], side["value"])}
    return kept


def _parts(label: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        yield from ((name, repr(part)) for name, part in value.items())
    else:
        yield label, repr(value)


def _overwritten(told: Told, writes: list[Told]) -> bool:
    """Whether a later write had seen this one: it names its version, or is of the same author."""
    version = told.verdict["version"]
    return any(
        later.verdict["version"] > version
        and (later.author == told.author or later.mutation.get("base_version", 0) >= version)
        for later in writes
    )
