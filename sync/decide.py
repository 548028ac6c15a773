"""decide: a person's decision ends a conflict and writes the record it is about. Pure; the rules are `conflicts`'."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sync.clock import clamp
from sync.collection import Collection
from sync.conflicts import About, Decision, decided, decision, opened, reopened, standing
from sync.merge import COLLECTED
from sync.merging import Merging, owned
from sync.outcome import Clash, Loser, Outcome, Writer, rejected
from sync.protocol import Mutation, Registry, Unusable
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
    collection = registry.collections[have.fields["collection"]]
    conflicts = registry.collections[mutation["collection"]]
    if not conflicts.server_owned.isdisjoint(given):
        return Decided(owned(conflicts, given))
    if have.fields["status"] == "decided":
        return Decided(ALREADY)
    stands = standing(collection, target, have)
    wanted = decision(collection, have, mutation, stands)
    if isinstance(wanted, str):
        return Decided(rejected("no_decision", wanted))
    if stands["version"] != have.fields["current"]["version"] and stands["author"] != writer.author:
        return _moved(collection, have, target, mutation, writer, stands)
    if wanted.parts is None:
        return Decided(Outcome("applied", decided(have, mutation, writer)), None, wanted.losers)
    return _written(registry, have, target, mutation, writer, wanted)


def _moved(
    collection: Collection, have: Record, target: Record, mutation: Mutation, writer: Writer, stands: dict[str, Any]
) -> Decided:
    """Nothing is decided; a third value joins the candidates."""
    given = mutation.get("fields", {})
    lost: Sequence[tuple[str, Loser]] = ()
    if given["decision"] == "value":
        stamp, _ = clamp(mutation["timestamp"], writer.now)
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
    if target.collected:
        return Decided(COLLECTED)
    raw = {
        **{name: mutation[name] for name in ("mutation_id", "uid", "timestamp")},
        "op": "update",
        "collection": have.fields["collection"],
        "record_id": have.fields["record_id"],
        "base_version": target.version,
        "epoch": writer.epoch,
        **(wanted.parts or {}),
    }
    update = registry.parse_mutation({**raw, "mutation_id": max(1, raw["mutation_id"])})
    if isinstance(update, Unusable):
        return Decided(rejected(update.code, update.message))
    stamp, _ = clamp(mutation["timestamp"], writer.now)
    collection = registry.collections[update["collection"]]
    outcome = Merging(collection, target, update, stamp, writer, revives=False).update()
    if outcome.status == "rejected":
        return Decided(outcome)
    return Decided(Outcome("applied", decided(have, mutation, writer)), outcome, wanted.losers)
