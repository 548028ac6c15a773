"""judge: a client's queue and the records in hand give verdicts. Pure; nothing is stored here.

Rules:

1. Mutations are judged in order, each alone: what is wrong with one is rejected and kept, and the queue goes on.
2. An id at or below `last_mutation_id` with the same uid is a duplicate: its stored verdict is the answer, whatever the
   records look like now. A uid known under another client id (a copied database that renumbered) is answered the same
   way.
3. An id at or below `last_mutation_id` with another uid is a fork, an id that skips one is a gap: both end the batch,
   and what came before is kept.
4. A record outside the caller's scope answers exactly like one that does not exist.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sync.collection import Collection
from sync.merge import Loser, Outcome, Writer, merge, rejected
from sync.protocol import Mutation, Registry, Unusable, Verdict, verdict
from sync.record import Record
from sync.workspace import Key, Workspace

Trouble = Literal["gap", "fork"]


class Scope(NamedTuple):
    """What a caller may touch: a role, the audiences it belongs to, and what its creations are filled in with."""

    role: str
    audiences: frozenset[str]
    defaults: Mapping[str, str] = {}


class Accepted(NamedTuple):
    """A change to a record by one mutation, as routes to providers see it."""

    collection: Collection
    record_id: str
    uid: str
    before: Record | None
    after: Record


class KnownMutation(NamedTuple):
    """What is remembered of a mutation: `verdict` is None where it was plainly applied."""

    version: int | None
    verdict: Verdict | None


@dataclass(slots=True)
class Judgement:
    """What became of a batch. `remembered` are rows to store: (uid, mutation id, version, verdict or None)."""

    last_mutation_id: int
    verdicts: list[Verdict] = field(default_factory=list)
    remembered: list[tuple[str, int, int | None, Verdict | None]] = field(default_factory=list)
    refused: list[tuple[Verdict, Any]] = field(default_factory=list)
    losers: list[tuple[Mutation, Loser]] = field(default_factory=list)
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
        """`accepted` is called for every change to a record, in order, while the change is fresh."""
        self._collections = registry.collections
        self._workspace, self._writer, self._scope, self._accepted = workspace, writer, scope, accepted

    def batch(
        self, mutations: Sequence[Mutation | Unusable], last_mutation_id: int, known: dict[str, KnownMutation]
    ) -> Judgement:
        """Verdicts for a batch in the order of its ids; `known` are the uids seen before, and grows."""
        result = Judgement(last_mutation_id)
        for mutation in mutations:
            mutation_id, uid = _identity(mutation)
            seen = known.get(uid)
            if mutation_id > result.last_mutation_id + 1:
                result.trouble = "gap"
            elif mutation_id <= result.last_mutation_id and seen is None:
                result.trouble = "fork"
            if result.trouble:
                break
            result.last_mutation_id = max(result.last_mutation_id, mutation_id)
            if seen is not None:
                result.verdicts.append(_again(mutation_id, uid, seen))
            else:
                known[uid] = self._new(mutation, mutation_id, uid, result)
        return result

    def one(self, mutation: Mutation) -> Outcome:
        """Apply one mutation: rights, merge, and the change taken into the workspace."""
        if mutation["op"] == "noop":
            return Outcome("applied")
        collection = self._collections[mutation["collection"]]
        key: Key = (collection.name, mutation["record_id"])
        have = self._workspace.get(key)
        if not self._writer.server:
            refusal = self._right(collection, have, mutation)
            if refusal is not None:
                return refusal
            mutation = self._filled(collection, mutation)
        outcome = merge(collection, None if self._hidden(have) else have, mutation, self._writer)
        if outcome.record is None:
            return outcome
        if (
            not self._writer.server
            and collection.options.audience.of(outcome.record.fields) not in self._scope.audiences
        ):
            return rejected("out_of_scope", "this record would belong to somebody else")
        self._workspace.put(key, outcome.record, collection)
        self._accepted(Accepted(collection, mutation["record_id"], mutation["uid"], have, outcome.record))
        return outcome

    def _right(self, collection: Collection, have: Record | None, mutation: Mutation) -> Outcome | None:
        op = mutation["op"]
        if op not in collection.options.may.get(self._scope.role, ()):
            return rejected("forbidden", f"a {self._scope.role} may not {op} {collection.name}")
        if op == "create" and self._hidden(have):
            return rejected("already_exists", "this id already names another record")
        return None

    def _hidden(self, have: Record | None) -> bool:
        return have is not None and not self._writer.server and have.audience not in self._scope.audiences

    def _filled(self, collection: Collection, mutation: Mutation) -> Mutation:
        """A creation with what its device implies: a till need not say which shop it stands in."""
        fields = mutation.get("fields", {})
        if mutation["op"] != "create" or fields.keys() >= collection.required:
            return mutation
        implied = {k: v for k, v in self._scope.defaults.items() if k in collection.required}
        return {**mutation, "fields": {**implied, **fields}}

    def _new(self, mutation: Mutation | Unusable, mutation_id: int, uid: str, result: Judgement) -> KnownMutation:
        if isinstance(mutation, Unusable):
            outcome = rejected(mutation.code, mutation.message)
        else:
            outcome = self.one(mutation)
            result.losers += [(mutation, loser) for loser in outcome.losers]
        version = self._version(mutation, outcome)
        answer = _verdict(mutation_id, uid, outcome, version)
        plain = outcome.status == "applied" and not outcome.clamped
        if outcome.status == "rejected":
            result.refused.append((answer, mutation.raw if isinstance(mutation, Unusable) else mutation))
        result.verdicts.append(answer)
        kept = KnownMutation(version, None if plain else answer)
        result.remembered.append((uid, mutation_id, *kept))
        return kept

    def _version(self, mutation: Mutation | Unusable, outcome: Outcome) -> int | None:
        if outcome.record is not None:
            return outcome.record.version
        if outcome.status == "rejected" or isinstance(mutation, Unusable):
            return None
        have = self._workspace.get((mutation["collection"], mutation["record_id"]))
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
        "conflict_id": None,
        "superseded": list(outcome.superseded),
        "clamped": outcome.clamped,
    }


def _again(mutation_id: int, uid: str, seen: KnownMutation) -> Verdict:
    if seen.verdict is None:
        return verdict(mutation_id, uid, "applied", duplicate=True, version=seen.version)
    return {**seen.verdict, "mutation_id": mutation_id, "duplicate": True}
