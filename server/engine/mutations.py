"""What is remembered of clients and their mutations: who they are, how far they came, what became of each."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.judge import KnownMutation
from sync.merge import Loser
from sync.protocol import Mutation, Unusable, Verdict

_CLIENT = Statement(
    "SELECT device_id, last_mutation_id FROM clients WHERE tenant_id = :tenant_id AND client_id = :client_id"
)
_MEET = Statement(
    """INSERT INTO clients (tenant_id, client_id, device_id, last_mutation_id, created_at, purged_through)
       VALUES (:tenant_id, :client_id, :device_id, :last_mutation_id, :created_at, 0)"""
)
_ADVANCE = Statement(
    """UPDATE clients SET last_mutation_id = :last_mutation_id
       WHERE tenant_id = :tenant_id AND client_id = :client_id AND last_mutation_id < :last_mutation_id"""
)
_KNOWN = Statement(
    """SELECT uid, version, verdict FROM mutations
       WHERE tenant_id = :tenant_id AND uid IN (SELECT value FROM json_each(:uids))""",
    postgresql="""SELECT m.uid, m.version, m.verdict FROM json_array_elements_text(:uids::json) AS wanted(one)
       CROSS JOIN LATERAL (SELECT * FROM mutations WHERE tenant_id = :tenant_id AND uid = wanted.one::uuid LIMIT 1) AS
       m""",
)
_COLUMNS = ("tenant_id", "uid", "client_id", "mutation_id", "version", "verdict")
_REMEMBER = Statement(
    """INSERT INTO mutations (tenant_id, uid, client_id, mutation_id, version, verdict)
       VALUES (:tenant_id, :uid, :client_id, :mutation_id, :version, :verdict)"""
)
_SUPERSEDE = Statement(
    """INSERT INTO superseded (tenant_id, uid, field, collection, record_id, value, stamp, author, noted_at)
       VALUES (:tenant_id, :uid, :field, :collection, :record_id, :value, :stamp, :author, :noted_at)"""
)
_REFUSE = Statement(
    """INSERT INTO rejected (tenant_id, uid, client_id, device_id, mutation_id, code, message, body, correlation_id,
       received_at) VALUES (:tenant_id, :uid, :client_id, :device_id, :mutation_id, :code, :message, :body,
       :correlation_id, :received_at)"""
)


class Client(NamedTuple):
    """A known client: the device it is bound to, and its last consumed mutation."""

    device_id: str
    last_mutation_id: int


class Memory:
    """Reads and writes what is remembered, inside somebody's transaction."""

    async def client(self, tx: Tx, tenant_id: str, client_id: str) -> Client | None:
        """A client, if it was here before."""
        rows = await tx.fetch(_CLIENT, (tenant_id, client_id))
        return Client(*rows[0]) if rows else None

    async def meet(self, tx: Tx, row: tuple[str, str, str, int, str]) -> None:
        """Bind a new client: (tenant, client, device, last mutation id, now)."""
        await tx.execute(_MEET, row)

    async def advance(self, tx: Tx, tenant_id: str, client_id: str, last_mutation_id: int) -> None:
        """Note how far a client came."""
        named = {"tenant_id": tenant_id, "client_id": client_id, "last_mutation_id": last_mutation_id}
        await tx.execute(_ADVANCE, named)

    async def known(
        self, writing: Writing, tenant_id: str, mutations: Sequence[Mutation | Unusable], last: int
    ) -> dict[str, KnownMutation]:
        """What is remembered of uids that may have been here: sent again, or all of them when told to look."""
        uids = [uid for mutation_id, uid in map(_identity, mutations) if writing.look or mutation_id <= last]
        if not uids:
            return {}
        named = {"tenant_id": tenant_id, "uids": to_json(uids).decode()}
        rows = await writing.tx.fetch(_KNOWN, named)
        return {uid: KnownMutation(version, verdict and json.loads(verdict)) for uid, version, verdict in rows}

    async def remember(
        self, tx: Tx, tenant_id: str, client_id: str, rows: Sequence[tuple[str, int, int | None, Verdict | None]]
    ) -> None:
        """Remember new mutations. Raises DatabaseError (`unique`) for a uid that was here, under whatever client."""
        if rows:
            stored = [
                (
                    tenant_id,
                    uid,
                    client_id,
                    mutation_id,
                    version,
                    None if verdict is None else to_json(verdict).decode(),
                )
                for uid, mutation_id, version, verdict in rows
            ]
            await tx.copy("mutations", _COLUMNS, _REMEMBER, stored)

    async def supersede(self, tx: Tx, tenant_id: str, mutation: Mutation, loser: Loser, now: str) -> None:
        """Keep a value that lost."""
        named = {
            "tenant_id": tenant_id,
            "uid": mutation["uid"],
            "field": loser.field,
            "collection": mutation["collection"],
            "record_id": mutation["record_id"],
            "value": to_json(loser.value).decode(),
            "stamp": loser.stamp,
            "author": loser.author,
            "noted_at": now,
        }
        await tx.execute(_SUPERSEDE, named)

    async def refuse(self, tx: Tx, verdict: Verdict, raw: Any, about: dict[str, str]) -> None:
        """Keep a rejected mutation whole; ASCII JSON, for it may hold text that no database takes."""
        named = {
            **about,
            "uid": verdict["uid"],
            "mutation_id": verdict["mutation_id"],
            "code": verdict["code"],
            "message": (verdict["message"] or "")[:500],
            "body": json.dumps(raw, ensure_ascii=True),
        }
        await tx.execute(_REFUSE, named)


def _identity(mutation: Mutation | Unusable) -> tuple[int, str]:
    if isinstance(mutation, Unusable):
        return mutation.mutation_id, mutation.uid
    return mutation["mutation_id"], mutation["uid"]
