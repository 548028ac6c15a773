"""judge: a client's queue and the records in hand give verdicts. Pure; nothing is stored here.

Rules:

1. Mutations are judged in order, each alone: what is wrong with one is rejected and kept, and the queue goes on.
2. An id at or below `last_mutation_id` with the same uid is a duplicate: its stored verdict is the answer, whatever the
   records look like now. A uid known under another client id (a copied database that renumbered) is answered the same
   way. Where no verdict is kept any more the answer is `verdict_expired`, which a person looks at.
3. An id at or below `last_mutation_id` that was used for another uid is a fork, an id that skips one is a gap: both end
   the batch, and what came before is kept.
4. A record outside the caller's scope answers exactly like one that does not exist.
5. What was erased for good stays so: whatever is written to it is rejected (`sync.erasure`).
6. A mutation of a record that is not here waits for it. When the record comes, it is judged with the rights its sender
   had on arrival, in the order of arrival.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from sync.clock import clamp
from sync.collection import Collection, Fields
from sync.conflicts import CONFLICTS, About, opened, subject
from sync.decide import decide
from sync.erasure import REFUSED, bare
from sync.merge import merge
from sync.outcome import Loser, Outcome, Writer, rejected
from sync.protocol import Mutation, Registry, Unusable, Verdict, verdict
from sync.record import Record
from sync.scope import Scope
from sync.workspace import Key, Workspace

Trouble = Literal["gap", "fork"]


class Accepted(NamedTuple):
    """A change to a record by one mutation, as routes to providers see it. `timestamp` is the mutation's own."""

    collection: Collection
    record_id: str
    uid: str
    timestamp: str
    before: Record | None
    after: Record


class KnownMutation(NamedTuple):
    """What is remembered of a mutation: `verdict` is None where it was plainly applied."""

    version: int | None
    verdict: Verdict | None
    client_id: str = ""
    mutation_id: int = 0


class Lost(NamedTuple):
    """A losing value of a record, and the uid of the mutation that brought it or did it in."""

    uid: str
    collection: str
    record_id: str
    loser: Loser


class Queued(NamedTuple):
    """How far a client's queue came: the last number consumed, and up to where verdicts are no longer kept.

    `resume_from`: the client has nothing more before this number, and says so.
    """

    last_mutation_id: int
    purged_through: int = 0
    resume_from: int = 0

    def resumed(self, first: int) -> "Queued":
        """As if all before `first` had been consumed, where the client says that it has no more of it."""
        return (
            self._replace(last_mutation_id=first - 1) if self.last_mutation_id + 1 < first == self.resume_from else self
        )


@dataclass(slots=True)
class Judgement:
    """What became of a batch. `remembered` are rows to store: (uid, mutation id, version, verdict or None).

    `waiting` came for records that are not here; `readdressed` wait already, and were
    sent again: (uid, number).
    """

    last_mutation_id: int
    verdicts: list[Verdict] = field(default_factory=list)
    remembered: list[tuple[str, int, int | None, Verdict | None]] = field(default_factory=list)
    refused: list[tuple[Verdict, Any]] = field(default_factory=list)
    waiting: list[Mutation] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    readdressed: list[tuple[str, int]] = field(default_factory=list)
    trouble: Trouble | None = None


class Judge:
    """Judges the mutations of one client on one workspace."""

    def __init__(
        self,
        registry: Registry,
        workspace: Workspace,
        writer: Writer,
        scope: Scope,
        accepted: Callable[[Accepted], None],
    ) -> None:
        """`accepted` is called for every change to a record, and a conflict's opening, in order, while it is fresh.

        `lost` gathers the values that lost on the way.
        """
        self.registry, self.workspace, self.writer, self.scope = registry, workspace, writer, scope
        self.lost: list[Lost] = []
        self._accepted = accepted
        self._blanks: dict[str, Fields] = {}

    def batch(
        self, mutations: Sequence[Mutation | Unusable], queued: Queued, known: dict[str, KnownMutation]
    ) -> Judgement:
        """Verdicts for a batch in the order of its ids; `known` are the uids seen before, and grows."""
        result = Judgement(queued.last_mutation_id, lost=self.lost)
        for mutation in mutations:
            mutation_id, uid = _identity(mutation)
            seen = known.get(uid)
            if mutation_id > result.last_mutation_id + 1:
                result.trouble = "gap"
            elif mutation_id <= result.last_mutation_id and self._forked(mutation_id, seen, queued):
                result.trouble = "fork"
            if result.trouble:
                break
            if seen is None and mutation_id <= result.last_mutation_id:
                result.verdicts.append(_expired(mutation_id, uid))
                continue
            result.last_mutation_id = max(result.last_mutation_id, mutation_id)
            if seen is not None:
                self._again(mutation_id, uid, seen, result)
            else:
                known[uid] = self._new(mutation, mutation_id, uid, result)
        return result

    def late(self, mutation: Mutation) -> Verdict | None:
        """The verdict of a mutation whose record has come; None where that is still out of its sender's sight.

        Who names a record has seen its creation, whatever the epoch; nothing else can be told of what was seen.
        """
        seen = max(1, mutation.get("base_version", 0) if mutation.get("epoch") == self.writer.epoch else 1)
        outcome = self.one({**mutation, "base_version": seen, "epoch": self.writer.epoch})
        if outcome.status == "waiting":
            return None
        return _verdict(mutation["mutation_id"], mutation["uid"], outcome, self._version(mutation, outcome))

    def one(self, mutation: Mutation) -> Outcome:
        """Apply one mutation: rights, merge, and the change taken into the workspace."""
        if mutation["op"] == "noop":
            return Outcome("applied")
        collection = self.registry.collections[mutation["collection"]]
        key: Key = (collection.name, mutation["record_id"])
        have = self.workspace.get(key)
        if not self.writer.server:
            refusal = self._right(collection, have, mutation)
            if refusal is not None:
                return refusal
        hidden = have is not None and self.hides(have)
        if have is not None and have.erased and not hidden:
            return REFUSED
        if collection.name == CONFLICTS and have is not None and not hidden:
            return self._decide(key, have, mutation)
        outcome = merge(collection, None if hidden else have, mutation, self.writer, self._blank(collection))
        return self.took(collection, mutation, have, outcome)

    def took(self, collection: Collection, mutation: Mutation, have: Record | None, outcome: Outcome) -> Outcome:
        """Take an outcome into the workspace, where it leaves the record in its writer's sight."""
        record_id, record = mutation["record_id"], outcome.record
        if record is not None:
            record.audience = collection.options.audience.of(record.fields)
            if self.hides(record):
                return rejected("out_of_scope", "this record would belong to somebody else")
            self.workspace.put((collection.name, record_id), record, collection)
            self._accepted(Accepted(collection, record_id, mutation["uid"], mutation["timestamp"], have, record))
        for loser in outcome.losers:
            self.lost.append(Lost(mutation["uid"], collection.name, record_id, loser))
        if outcome.clashes:
            self._clash(collection, mutation, have, outcome)
        return outcome

    def _decide(self, key: Key, have: Record, mutation: Mutation) -> Outcome:
        """End a conflict: what it does to the record it is about comes first, and may be refused."""
        name, record_id = subject(have)
        collection, target = self.registry.collections[name], self.workspace.get(subject(have))
        may = self.writer.server or "update" in collection.options.may.get(self.scope.role, ())
        if target is None or self.hides(target) or not may:
            return rejected("forbidden", f"a {self.scope.role} may not decide about {name}")
        result = decide(self.registry, have, target, mutation, self.writer)
        if result.target is not None:
            about: Mutation = {**mutation, "collection": name, "record_id": record_id}
            outcome = self.took(collection, about, target, result.target)
            if outcome.status == "rejected":
                return outcome
        if result.conflict.record is not None:
            self.workspace.take(key, result.conflict.record)
        self.lost += [Lost(uid, name, record_id, loser) for uid, loser in result.lost]
        _, clamped = clamp(mutation["timestamp"], self.writer.now)
        return replace(result.conflict, clamped=clamped)

    def hides(self, have: Record) -> bool:
        """Whether a record is none of the writer's business."""
        return not self.writer.server and not self.scope.sees(have.audience)

    def _clash(self, collection: Collection, mutation: Mutation, have: Record | None, outcome: Outcome) -> None:
        """Open a conflict for each value that a person must weigh."""
        record = outcome.record or have
        if record is None or CONFLICTS not in self.registry.collections:
            return
        stamp, _ = clamp(mutation["timestamp"], self.writer.now)
        about = About(collection, mutation["record_id"], record.audience, mutation, stamp)
        for clash in outcome.clashes:
            key = (CONFLICTS, about.conflict_id(clash.label))
            before = self.workspace.get(key)
            conflict, left = opened(before, about, clash, self.writer)
            self.workspace.take(key, conflict)
            conflicts = self.registry.collections[CONFLICTS]
            self._accepted(Accepted(conflicts, key[1], mutation["uid"], mutation["timestamp"], before, conflict))
            self.lost += [Lost(uid, collection.name, about.record_id, loser) for uid, loser in left]
            outcome.conflict_id = outcome.conflict_id or key[1]

    def _right(self, collection: Collection, have: Record | None, mutation: Mutation) -> Outcome | None:
        op = mutation["op"]
        if op not in collection.options.may.get(self.scope.role, ()):
            return rejected("forbidden", f"a {self.scope.role} may not {op} {collection.name}")
        if op == "create" and have is not None and self.hides(have):
            return rejected("already_exists", "this id already names another record")
        return None

    def _blank(self, collection: Collection) -> Fields:
        """What a creation need not say: defaults, and what its device implies, as a till the shop it stands in."""
        blank = self._blanks.get(collection.name)
        if blank is None:
            implied = {} if self.writer.server else self.scope.defaults
            blank = {**collection.defaults, **{k: v for k, v in implied.items() if k in collection.required}}
            self._blanks[collection.name] = blank
        return blank

    def _forked(self, mutation_id: int, seen: KnownMutation | None, queued: Queued) -> bool:
        """Whether an old number names another mutation than the one that was consumed under it."""
        if seen is None:
            return mutation_id > queued.purged_through
        return seen.client_id == self.writer.author and seen.mutation_id != mutation_id

    def _again(self, mutation_id: int, uid: str, seen: KnownMutation, result: Judgement) -> None:
        if seen.verdict is None:
            answer = verdict(mutation_id, uid, "applied", duplicate=True, version=seen.version)
        else:
            answer = {**seen.verdict, "mutation_id": mutation_id, "duplicate": True}
        if answer["status"] == "waiting":
            result.readdressed.append((uid, mutation_id))
        result.verdicts.append(answer)

    def _new(self, mutation: Mutation | Unusable, mutation_id: int, uid: str, result: Judgement) -> KnownMutation:
        if isinstance(mutation, Unusable):
            outcome = rejected(mutation.code, mutation.message)
        else:
            outcome = self.one(mutation)
            if outcome.status == "waiting":
                result.waiting.append(mutation)
        version = self._version(mutation, outcome)
        answer = _verdict(mutation_id, uid, outcome, version)
        plain = outcome.status == "applied" and not outcome.clamped
        if outcome.status == "rejected":
            said = mutation.raw if isinstance(mutation, Unusable) else mutation
            result.refused.append((answer, bare(said) if outcome is REFUSED else said))
        result.verdicts.append(answer)
        kept = KnownMutation(version, None if plain else answer, self.writer.author, mutation_id)
        result.remembered.append((uid, mutation_id, version, kept.verdict))
        return kept

    def _version(self, mutation: Mutation | Unusable, outcome: Outcome) -> int | None:
        if outcome.record is not None:
            return outcome.record.version
        if outcome.status in {"rejected", "waiting"} or isinstance(mutation, Unusable):
            return None
        have = self.workspace.get((mutation["collection"], mutation["record_id"]))
        return have.version if have is not None else None


def _identity(mutation: Mutation | Unusable) -> tuple[int, str]:
    if isinstance(mutation, Unusable):
        return mutation.mutation_id, mutation.uid
    return mutation["mutation_id"], mutation["uid"]


def _verdict(mutation_id: int, uid: str, outcome: Outcome, version: int | None) -> Verdict:
    return {
        "mutation_id": mutation_id,
        "uid": uid,
        "status": outcome.status,
        "duplicate": False,
        "version": version,
        "code": outcome.code,
        "message": outcome.message,
        "conflict_id": outcome.conflict_id,
        "superseded": list(outcome.superseded),
        "clamped": outcome.clamped,
    }


def _expired(mutation_id: int, uid: str) -> Verdict:
    told = "it was taken so long ago that what became of it is no longer known: compare it with what is there"
    return verdict(mutation_id, uid, "rejected", duplicate=True, code="verdict_expired", message=told)
