"""A server in memory, on the kernel itself: the same judge and merge, the same rules of rounds, resets and epochs.

It stands in for the real one where a test must script what happens between client and server, or look inside.
"""

import copy
import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from server.collections import registry
from sync.clock import encode_instant
from sync.collection import Fields
from sync.digest import digests
from sync.errors import ClientForkedError, ForeignClientError, MutationGapError, SyncError
from sync.judge import Judge, Judgement, KnownMutation, Queued
from sync.outcome import Writer
from sync.protocol import MAX_BODY_BYTES, SyncRequest, Unusable, Verdict
from sync.record import Record
from sync.scope import Scope
from sync.workspace import Held, Key, Workspace
from tests.client.samples import SHOP

REGISTRY = registry()
Reply = tuple[int, dict[str, Any]]


class MemoryServer:
    """One tenant. A token is `<role>:<device>`; `now_ms` is the server's own clock."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self.records: dict[Key, Record] = {}
        self.clients: dict[str, tuple[str, int]] = {}
        self.known: dict[str, KnownMutation] = {}
        self.verdicts: dict[str, list[Verdict]] = defaultdict(list)  # first verdicts only, by uid
        self.held: Held = {}
        self.epoch, self.seq, self.safe = "epoch-1", 0, 0
        self.requests: list[SyncRequest] = []
        self.revoked: set[str] = set()
        self.edit: Callable[[dict[str, Any]], object] = lambda _answer: None  # a last touch to every answer
        self._keys = 1
        self._snapshots: list[Any] = []

    def sync(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer a request: status and document."""
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if not token or token in self.revoked:
            return 401, {"code": "unauthenticated"}
        plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        if len(plain) > MAX_BODY_BYTES:
            return 413, {"code": "too_large"}
        try:
            request = REGISTRY.parse_request(plain)
            self.requests.append(request)
            return 200, self._exchange(token, request)
        except SyncError as error:
            return error.status_hint, {"code": error.code, "detail": str(error), **error.members}

    def snapshot(self) -> None:
        """Make a backup."""
        state = (self.records, self.clients, self.known, self.verdicts, self.held, self.seq)
        self._snapshots.append(copy.deepcopy(state))

    def rewind(self, epoch: str) -> None:
        """Go back to the newest backup, and notice it: a new epoch begins."""
        self.records, self.clients, self.known, self.verdicts, self.held, self.seq = self._snapshots.pop()
        self.epoch = epoch

    def forget_cursors(self) -> None:
        """Take no cursor that was issued before."""
        self._keys += 1

    def view(self, collection: str) -> dict[str, Fields]:
        """The live records of a collection."""
        return {
            record_id: record.fields
            for (name, record_id), record in self.records.items()
            if name == collection and not record.deleted
        }

    def head(self) -> str:
        """The name of the newest state."""
        return f"{self.epoch}/{self.seq}"

    def _exchange(self, token: str, request: SyncRequest) -> dict[str, Any]:
        role, _, device = token.partition(":")
        scope = Scope(role, frozenset(("tenant", f"shop:{SHOP}")), {"shop": SHOP})
        client_id, epoch = request["client_id"], request.get("epoch")
        owner, last = self.clients.get(client_id, (device, 0))
        if owner != device:
            raise ForeignClientError
        rewound = epoch is not None and epoch != self.epoch
        judgement = Judgement(last) if rewound else self._push(scope, device, request)
        answer = self._page(request, rewound=rewound) | {
            "protocol": 1,
            "server_time": self._now(),
            "epoch": self.epoch,
            "head": self.head(),
            "last_mutation_id": judgement.last_mutation_id,
            "safe_mutation_id": self.safe,
            "verdicts": judgement.verdicts,
        }
        self.edit(answer)
        return answer

    def _push(self, scope: Scope, device: str, request: SyncRequest) -> Judgement:
        client_id, mutations = request["client_id"], request.get("mutations", ())
        _, last = self.clients.get(client_id, (device, 0))
        workspace = Workspace(REGISTRY, self.records, self.held)
        writer = Writer(client_id, self.epoch, self._now())
        known = {m: self.known[m] for m in map(_uid, mutations) if m in self.known}
        seen = set(known)
        queued = Queued(last, resume_from=request.get("resume_from") or 0)
        queued = queued.resumed(number_of(mutations[0])) if mutations else queued
        judge = Judge(REGISTRY, workspace, writer, scope, lambda _change: None)
        judgement = judge.batch(mutations, queued, known)
        self._store(workspace)
        self.clients[client_id] = (device, judgement.last_mutation_id)
        self.known |= known
        for verdict in judgement.verdicts:
            if verdict["uid"] not in seen:
                self.verdicts[verdict["uid"]].append(verdict)
        if judgement.trouble:
            kind = MutationGapError if judgement.trouble == "gap" else ClientForkedError
            raise kind("numbers", verdicts=judgement.verdicts, last_mutation_id=judgement.last_mutation_id)
        return judgement

    def _store(self, workspace: Workspace) -> None:
        for key, record in workspace.changed.items():
            self.seq += 1
            record.seq = self.seq
            self.records[key] = record
        for counter in workspace.joined:
            self.held.pop(counter, None)
        for counter, units in workspace.held.items():
            self.held[counter] = self.held.get(counter, 0) + units

    def _page(self, request: SyncRequest, *, rewound: bool) -> dict[str, Any]:
        cursor = request.get("cursor")
        here: list[Any] = [self.epoch, self._keys]
        *issued, at, target = json.loads(cursor) if cursor else (*here, 0, None)
        reset = rewound or issued != here
        at, target = (0, self.seq) if reset else (at, self.seq if target is None else target)
        wanted = request.get("collections", ())
        rows = [(r.seq, key, r) for key, r in self.records.items() if key[0] in wanted and at < r.seq <= target]
        rows.sort(key=lambda row: row[0])
        limit = request.get("limit", 1000)
        more = len(rows) > limit
        page = rows[:limit]
        reached = [*here, page[-1][0], target] if more else [*here, target, None]
        changes = [_change(key, record) for _, key, record in page]
        told = {"changes": changes, "cursor": json.dumps(reached), "more": more, "reset": reset, "dropped": []}
        return told | {"digest": self._digest(wanted) if wanted and not more and target == self.seq else None}

    def _digest(self, wanted: Sequence[str]) -> list[dict[str, Any]]:
        live = [(key[0], r.audience, key[1], r.version) for key, r in self.records.items() if not r.deleted]
        sums = digests(row for row in live if row[0] in wanted)
        return [{"collection": name, "audience": audience, "sum": sums[name, audience]} for name, audience in sums]

    def _now(self) -> str:
        return encode_instant(self.now_ms())


def _change(key: Key, record: Record) -> dict[str, Any]:
    fields = {} if record.deleted else record.fields
    name, record_id = key
    return {
        "collection": name,
        "record_id": record_id,
        "version": record.version,
        "audience": record.audience,
        "deleted": record.deleted,
        "fields": fields,
    }


def _uid(mutation: Any) -> str:
    return mutation.uid if isinstance(mutation, Unusable) else str(mutation["uid"])


def number_of(mutation: Any) -> int:
    """A mutation's number, however it was read."""
    return mutation.mutation_id if isinstance(mutation, Unusable) else int(mutation["mutation_id"])


def uids(requests: Sequence[SyncRequest]) -> list[list[str]]:
    """The uids that each request sent."""
    return [[_uid(mutation) for mutation in request.get("mutations", ())] for request in requests]
