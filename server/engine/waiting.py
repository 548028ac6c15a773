"""Mutations that wait for their record: kept with the rights their sender had, judged when the record comes.

Rules:

1. A waiting mutation is consumed; its final verdict is told in a later answer to its client, in each one until the
   client's cursor shows that it took one in: to who sent it first, and to the copy that sent it last.
2. What waits for one record is judged in the order of arrival, within the transaction that brings the record, as the
   write of whoever sent it first.
3. After `EXPIRE_MS` it is rejected and kept like any other.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from server.engine.forgotten import without_erased
from server.storage.database import Row, Tx
from server.storage.statement import Statement
from server.storage.writer import Tenant, Writing
from sync.collection import Collection
from sync.protocol import Mutation, Verdict
from sync.scope import Scope
from sync.workspace import Key

EXPIRE_MS = 30 * 24 * 60 * 60 * 1000

_COLUMNS = "author_id, device_id, role, audiences, body, correlation_id"
WAITS = "EXISTS (SELECT 1 FROM waiting WHERE tenant_id = :tenant_id AND resolved_seq IS NULL)"
ENDED = """(EXISTS (SELECT 1 FROM waiting AS w WHERE w.tenant_id = :tenant_id AND w.client_id = :client_id
       AND w.resolved_seq IS NOT NULL) OR EXISTS (SELECT 1 FROM waiting AS w WHERE w.tenant_id = :tenant_id
       AND w.author_id = :client_id AND w.resolved_seq IS NOT NULL))"""
_ANY = Statement(f"SELECT {WAITS}")
_WAIT = Statement(
    """INSERT INTO waiting (tenant_id, uid, author_id, client_id, device_id, mutation_id, collection, record_id, role,
       audiences, body, correlation_id, place, received_at)
       VALUES (:tenant_id, :uid, :client_id, :client_id, :device_id, :mutation_id, :collection, :record_id, :role,
       :audiences, :body, :correlation_id, :place, :received_at)"""
)
_FOR = Statement(
    f"""SELECT {_COLUMNS} FROM waiting WHERE tenant_id = :tenant_id AND collection = :collection
       AND record_id IN (SELECT value FROM json_each(:ids)) AND resolved_seq IS NULL ORDER BY place""",  # noqa: S608
    postgresql=f"""SELECT {_COLUMNS} FROM waiting WHERE tenant_id = :tenant_id AND collection = :collection
       AND record_id IN (SELECT x::uuid FROM json_array_elements_text(:ids::json) AS j(x)) AND resolved_seq IS NULL
       ORDER BY place""",  # noqa: S608
)
_OLD = Statement(
    f"""SELECT {_COLUMNS} FROM waiting WHERE tenant_id = :tenant_id AND resolved_seq IS NULL
       AND received_at < :before ORDER BY place LIMIT :most"""  # noqa: S608
)
_RESOLVE = Statement(
    """UPDATE waiting SET resolved_seq = :seq, verdict = :verdict WHERE tenant_id = :tenant_id AND uid = :uid"""
)
_REMEMBER = Statement(
    "UPDATE mutations SET verdict = :verdict, version = :version WHERE tenant_id = :tenant_id AND uid = :uid"
)
_READDRESS = Statement(
    """UPDATE waiting SET client_id = :client_id, mutation_id = :mutation_id
       WHERE tenant_id = :tenant_id AND uid = :uid"""
)
_TOLD = Statement(
    """SELECT verdict, mutation_id, resolved_seq, place FROM waiting
       WHERE tenant_id = :tenant_id AND client_id = :client_id AND resolved_seq > :after
       UNION ALL SELECT verdict, NULL, resolved_seq, place FROM waiting
       WHERE tenant_id = :tenant_id AND author_id = :client_id AND client_id <> :client_id AND resolved_seq > :after
       ORDER BY 3, 4""",
)


class Sender(NamedTuple):
    """Who sent a mutation, and what it might do then."""

    client_id: str
    device_id: str
    correlation_id: str
    scope: Scope


class Waiting(NamedTuple):
    """A mutation that waits."""

    mutation: Mutation
    sender: Sender


class WaitingRoom:
    """Reads and writes what waits, inside somebody's transaction."""

    def __init__(self, collections: Mapping[str, Collection]) -> None:
        """`collections` tell what is personal."""
        self._collections = collections

    async def any(self, tx: Tx, tenant_id: str) -> bool:
        """Whether anything waits at all, which is rare."""
        return bool((await tx.fetch(_ANY, (tenant_id,)))[0][0])

    async def wait(
        self,
        writing: Writing,
        tenant: Tenant,
        mutations: Sequence[Mutation],
        sender: Sender,
        schema: int | None,
    ) -> None:
        """Keep mutations; each takes a place in the tenant's sequence, the order of arrival.

        `schema` is that of the request, for those that name none: they may be judged by a later server. What they say
        of somebody erased is not kept.
        """
        said: dict[str, Any] = {} if schema is None else {"schema": schema}
        known = self._collections
        kept = [await without_erased(writing.tx, tenant.tenant_id, mutation, known) for mutation in mutations]
        rows = [
            {
                "tenant_id": tenant.tenant_id,
                "uid": mutation["uid"],
                "client_id": sender.client_id,
                "device_id": sender.device_id,
                "mutation_id": mutation["mutation_id"],
                "collection": mutation["collection"],
                "record_id": mutation["record_id"],
                "role": sender.scope.role,
                "audiences": to_json(sorted(sender.scope.audiences)).decode(),
                "body": to_json({**said, **body}).decode(),
                "correlation_id": sender.correlation_id,
                "place": tenant.next_seq(),
                "received_at": writing.now,
            }
            for mutation, body in zip(mutations, kept, strict=True)
        ]
        await writing.tx.many(_WAIT, rows)

    async def for_records(self, tx: Tx, tenant_id: str, keys: Iterable[Key]) -> list[Waiting]:
        """What waits for these records, in the order of arrival."""
        wanted: dict[str, list[str]] = {}
        for name, record_id in keys:
            wanted.setdefault(name, []).append(record_id)
        found: list[Waiting] = []
        for name, ids in wanted.items():
            rows = await tx.fetch(_FOR, {"tenant_id": tenant_id, "collection": name, "ids": to_json(ids).decode()})
            found += map(_waiting, rows)
        return found

    async def older(self, tx: Tx, tenant_id: str, before: str, most: int) -> list[Waiting]:
        """At most so many that arrived before then."""
        rows = await tx.fetch(_OLD, {"tenant_id": tenant_id, "before": before, "most": most})
        return [_waiting(row) for row in rows]

    async def resolve(self, tx: Tx, tenant_id: str, verdicts: Sequence[Verdict], seq: int) -> None:
        """Note the end of mutations, at that place of the sequence; who sends one again gets it, too."""
        for verdict in verdicts:
            told = to_json(verdict).decode()
            await tx.execute(_RESOLVE, {"tenant_id": tenant_id, "uid": verdict["uid"], "seq": seq, "verdict": told})
            named = {"tenant_id": tenant_id, "uid": verdict["uid"], "version": verdict["version"], "verdict": told}
            await tx.execute(_REMEMBER, named)

    async def readdress(self, tx: Tx, tenant_id: str, sent: Sequence[tuple[str, int]], client_id: str) -> None:
        """Tell the end of these (uid, number) to whoever sent them again, too."""
        known = {"tenant_id": tenant_id, "client_id": client_id}
        await tx.many(_READDRESS, [{**known, "uid": uid, "mutation_id": number} for uid, number in sent])

    async def told(self, tx: Tx, tenant_id: str, client_id: str, after: int) -> list[Verdict]:
        """Final verdicts of a client's mutations that ended after a place of the sequence."""
        named = {"tenant_id": tenant_id, "client_id": client_id, "after": after}
        rows = await tx.fetch(_TOLD, named)
        return [_numbered(json.loads(verdict), mutation_id) for verdict, mutation_id, *_ in rows]


def _waiting(row: Row) -> Waiting:
    author_id, device_id, role, audiences, body, correlation_id = row
    scope = Scope(role, frozenset(from_json(audiences)))
    return Waiting(from_json(body), Sender(author_id, device_id, correlation_id, scope))


def _numbered(told: Verdict, mutation_id: int | None) -> Verdict:
    return told if mutation_id is None else {**told, "mutation_id": mutation_id}
