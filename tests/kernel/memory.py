"""A server without a database: what judging needs is looked up in dictionaries, as the engine looks it up in tables."""

from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy

from sync.judge import Accepted, Judge, Judgement, KnownMutation, Lost, Queued
from sync.outcome import Writer
from sync.protocol import Mutation, Registry, Unusable
from sync.record import Record
from sync.scope import Scope
from sync.workspace import Held, Key, Workspace, needed
from tests.kernel.making import EPOCH, OWNER, at
from tests.kernel.models import REGISTRY

Queue = Sequence[Mutation | Unusable]


class MemoryServer:
    """Records, held increments and remembered mutations of one tenant."""

    def __init__(self, registry: Registry = REGISTRY) -> None:
        self.registry = registry
        self.records: dict[Key, Record] = {}
        self.held: dict[tuple[str, str, str], int] = defaultdict(int)
        self.known: dict[str, KnownMutation] = {}
        self.lost: list[Lost] = []
        self.last: dict[str, int] = defaultdict(int)
        self.purged: dict[str, int] = defaultdict(int)
        self.changes: list[Accepted] = []
        self.seq = 0

    def push(
        self, client_id: str, queue: Queue, *, now: int = 0, scope: Scope = OWNER, server: bool = False
    ) -> Judgement:
        """Judge a client's queue in one transaction and store what became of it."""
        workspace = self.work(queue, scope)
        author = Writer(client_id, EPOCH, at(now), server=server)
        judge = Judge(self.registry, workspace, author, scope, self.changes.append)
        known = {uid: self.known[uid] for uid in map(uid_of, queue) if uid in self.known}
        judgement = judge.batch(queue, Queued(self.last[client_id], self.purged[client_id]), known)
        self._store(workspace)
        self.lost += judge.lost
        self.last[client_id] = judgement.last_mutation_id
        for uid, mutation_id, version, verdict in judgement.remembered:
            assert uid not in self.known, "remembered twice: the database would refuse it"
            self.known[uid] = KnownMutation(version, deepcopy(verdict), client_id, mutation_id)
        return judgement

    def state(self) -> object:
        """Everything there is, to compare."""
        return deepcopy((self.records, {k: v for k, v in self.held.items() if v}, self.known, self.last))

    def work(self, queue: Queue, scope: Scope) -> Workspace:
        """A workspace with all that a queue touches."""
        named = needed(self.registry, queue, look=True)
        workspace = Workspace(self.registry, self._load(named), self._waiting(named - self.records.keys()))
        while missing := workspace.targets(queue, scope.defaults):
            loaded = self._load(missing)
            workspace.add_loaded(loaded, self._waiting(set(loaded)))
        return workspace

    def _waiting(self, keys: set[Key]) -> Held:
        return {counter: units for counter, units in self.held.items() if counter[:2] in keys}

    def _load(self, keys: set[Key]) -> dict[Key, Record]:
        return {key: self.records[key].copy() for key in keys if key in self.records}

    def _store(self, workspace: Workspace) -> None:
        assert workspace.created <= workspace.changed.keys() - self.records.keys()
        for record in workspace.changed.values():
            self.seq += 1
            record.seq = self.seq
        self.records |= workspace.changed
        for counter in workspace.joined:
            self.held.pop(counter)
        for counter, units in workspace.held.items():
            self.held[counter] += units


def uid_of(mutation: Mutation | Unusable) -> str:
    """A mutation's uid, readable or not."""
    return mutation.uid if isinstance(mutation, Unusable) else mutation["uid"]
