"""decide: a person's decision ends a conflict and writes the record it is about. Pure; the rules are `conflicts`'."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sync.clock import clamp
from sync.conflicts import About, Decision, decided, decision, opened, reopened, standing
from sync.merge import COLLECTED
from sync.merging import Merging, owned
from sync.outcome import Clash, Loser, Outcome, Writer, rejected
from sync.protocol import Mutation, Registry
from sync.record import Record

ALREADY = rejected("already_decided", "somebody decided this before; the record shows how")
MOVED = "the record was changed since: decide again, by what stands there now"


class Decided(NamedTuple):
    """What a decision does: to the conflict, to the record (None: it stays), and which values lost, by their uids."""

    conflict: Outcome
    target: Outcome | None = None
    lost: Sequence[tuple[str, Loser]] = ()


def decide(registry: Registry, have: Record, target: Record, mutation: Mutation, writer: Writer) -> Decided:
    """Decide the conflict `have`, about `target`, as `mutation` says."""
    given = mutation.get("fields", {})
    conflicts = registry.collections[mutation["collection"]]
    if not conflicts.server_owned.isdisjoint(given):
        return Decided(owned(conflicts, given))
    if have.fields["status"] == "decided":
        return Decided(ALREADY)
    wanted = decision(registry, have, mutation)
    if isinstance(wanted, Outcome):
        return Decided(wanted)
    stands = standing(registry.collections[have.fields["collection"]], target, have)
    if stands["version"] != have.fields["current"]["version"] and stands["author"] != writer.author:
        return _moved(registry, have, target, mutation, writer, stands)
    if wanted.update is None:
        return Decided(Outcome("applied", decided(have, mutation, writer)), None, wanted.losers)
    return _written(registry, have, target, mutation, writer, wanted)


def _moved(
    registry: Registry, have: Record, target: Record, mutation: Mutation, writer: Writer, stands: Mapping[str, Any]
) -> Decided:
    """Nothing is decided; a third value joins the candidates."""
    given = mutation.get("fields", {})
    lost: Sequence[tuple[str, Loser]] = ()
    if given["decision"] == "value":
        stamp, _ = clamp(mutation["timestamp"], writer.now)
        collection = registry.collections[have.fields["collection"]]
        about = About(collection, have.fields["record_id"], target.audience, mutation, stamp)
        told = (stands["value"], stands["version"], stands["at"], stands["author"])
        record, lost = opened(have, about, Clash(have.fields["field"], *told, given["value"]), writer)
    else:
        record = reopened(have, stands, writer.now)
    again = Outcome("conflict", record, code="record_moved", message=MOVED, conflict_id=mutation["record_id"])
    return Decided(again, None, lost)


def _written(
    registry: Registry, have: Record, target: Record, mutation: Mutation, writer: Writer, wanted: Decision
) -> Decided:
    """Write the record as somebody who saw all of it; what its collection refuses decides nothing."""
    if target.collected or wanted.update is None:
        return Decided(COLLECTED)
    collection = registry.collections[have.fields["collection"]]
    update: Mutation = {**wanted.update, "base_version": target.version, "epoch": writer.epoch}
    stamp, _ = clamp(mutation["timestamp"], writer.now)
    outcome = Merging(collection, target, update, stamp, writer, revives=False).update()
    if outcome.status == "rejected":
        return Decided(outcome)
    costs = standing(collection, target, have, update)  # the decider may have written it since the conflict opened
    overwritten = Loser(have.fields["field"], costs["value"], costs["at"], costs["author"])
    end = Outcome("applied", decided(have, mutation, writer))
    return Decided(end, outcome, [*wanted.losers, (mutation["uid"], overwritten)])
