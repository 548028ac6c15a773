"""What is remembered of clients and their mutations: who they are, how far they came, what became of each."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from server.engine.forgotten import without_erased
from server.engine.waiting import ENDED, WAITS
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.collection import Collection
from sync.judge import KnownMutation, Lost, Queued
from sync.protocol import Mutation, Unusable, Verdict

_CLIENT = Statement(
    f"""SELECT c.device_id, c.last_mutation_id, c.purged_through, {WAITS}, {ENDED}, c.safe_mutation_id
       FROM (SELECT 1 AS one) AS o LEFT JOIN clients AS c ON c.tenant_id = :tenant_id AND c.client_id = :client_id"""  # noqa: S608
)
_MEET = Statement(
    """INSERT INTO clients (tenant_id, client_id, device_id, last_mutation_id, created_at, purged_through)
       VALUES (:tenant_id, :client_id, :device_id, 0, :created_at, 0)"""
)
_ADVANCE = Statement(
    """UPDATE clients SET last_mutation_id = :last_mutation_id
       WHERE tenant_id = :tenant_id AND client_id = :client_id AND last_mutation_id < :last_mutation_id"""
)
_KNOWN = Statement(
    """SELECT uid, version, verdict, client_id, mutation_id FROM mutations
       WHERE tenant_id = :tenant_id AND uid IN (SELECT value FROM json_each(:uids))""",
    postgresql="""SELECT m.uid, m.version, m.verdict, m.client_id, m.mutation_id
       FROM json_array_elements_text(:uids::json) AS wanted(one) CROSS JOIN LATERAL
       (SELECT * FROM mutations WHERE tenant_id = :tenant_id AND uid = wanted.one::uuid LIMIT 1) AS m""",
)
_COLUMNS = ("tenant_id", "uid", "client_id", "mutation_id", "version", "verdict")
_REMEMBER = Statement(
    """INSERT INTO mutations (tenant_id, uid, client_id, mutation_id, version, verdict)
       VALUES (:tenant_id, :uid, :client_id, :mutation_id, :version, :verdict)"""
)
_REMEMBER_RUN = Statement(
    """INSERT INTO mutations (tenant_id, uid, client_id, mutation_id, version)
       SELECT :tenant_id, value, :client_id, :first_id + key, :version FROM json_each(:uids)""",
    postgresql="""INSERT INTO mutations (tenant_id, uid, client_id, mutation_id, version)
       SELECT :tenant_id, one::uuid, :client_id, :first_id + place - 1, :version
       FROM json_array_elements_text(:uids::json) WITH ORDINALITY AS new(one, place)""",
)
_SUPERSEDE = Statement(
    """INSERT INTO superseded (tenant_id, uid, field, collection, record_id, value, stamp, author, noted_at)
       VALUES (:tenant_id, :uid, :field, :collection, :record_id, :value, :stamp, :author, :noted_at)"""
)
# Refused mutations outlive their verdicts: one that comes again after that is judged anew, and is here already.
_REFUSE = Statement(
    """INSERT INTO rejected (tenant_id, uid, client_id, device_id, mutation_id, code, message, body, correlation_id,
       received_at) VALUES (:tenant_id, :uid, :client_id, :device_id, :mutation_id, :code, :message, :body,
       :correlation_id, :received_at) ON CONFLICT (tenant_id, uid) DO UPDATE SET client_id = excluded.client_id,
       device_id = excluded.device_id, mutation_id = excluded.mutation_id, code = excluded.code,
       message = excluded.message, body = excluded.body, correlation_id = excluded.correlation_id,
       received_at = excluded.received_at"""
)


class Client(NamedTuple):
    """A client as it is known here: the device it is bound to (None: it is new), and how far its queue has come.

    `waits`: something of this tenant's waits for its record; `ended`: something of this client's did. `safe`: up to
    where a backup covers its queue.
    """

    device_id: str | None
    queued: Queued
    waits: bool
    ended: bool
    safe: int


class Memory:
    """Reads and writes what is remembered, inside somebody's transaction."""

    def __init__(self, collections: Mapping[str, Collection]) -> None:
        """`collections` tell what is personal."""
        self._collections = collections

    async def client(self, tx: Tx, tenant_id: str, client_id: str) -> Client:
        """A client."""
        ((device_id, last, purged, waits, ended, safe),) = await tx.fetch(_CLIENT, (tenant_id, client_id))
        return Client(device_id, Queued(last or 0, purged or 0), bool(waits), bool(ended), safe or 0)

    async def meet(self, tx: Tx, tenant_id: str, client_id: str, device_id: str, now: str) -> None:
        """Bind a new client to its device."""
        await tx.execute(_MEET, (tenant_id, client_id, device_id, now))

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
        return {
            uid: KnownMutation(version, verdict and json.loads(verdict), client_id, mutation_id)
            for uid, version, verdict, client_id, mutation_id in rows
        }

    async def remember(
        self, tx: Tx, tenant_id: str, client_id: str, rows: Sequence[tuple[str, int, int | None, Verdict | None]]
    ) -> None:
        """Remember new mutations. Raises DatabaseError (`unique`) for a uid that was here, under whatever client."""
        if not rows:
            return
        uids, ids, versions, verdicts = zip(*rows, strict=True)
        if _is_run(ids) and len(set(versions)) == 1 and not any(verdicts):  # the usual queue: half the cost of rows
            named = {"tenant_id": tenant_id, "client_id": client_id, "first_id": ids[0], "version": versions[0]}
            await tx.execute(_REMEMBER_RUN, {**named, "uids": to_json(uids).decode()})
            return
        texts = [None if verdict is None else to_json(verdict).decode() for verdict in verdicts]
        stored = [(tenant_id, uid, client_id, *known) for uid, *known in zip(uids, ids, versions, texts, strict=True)]
        await tx.copy("mutations", _COLUMNS, _REMEMBER, stored)

    async def supersede(self, tx: Tx, tenant_id: str, lost: Sequence[Lost], now: str) -> None:
        """Keep values that lost."""
        rows = [
            {
                "tenant_id": tenant_id,
                "uid": one.uid,
                "field": one.loser.field,
                "collection": one.collection,
                "record_id": one.record_id,
                "value": to_json(one.loser.value).decode(),
                "stamp": one.loser.stamp,
                "author": one.loser.author,
                "noted_at": now,
            }
            for one in lost
        ]
        await tx.many(_SUPERSEDE, rows)

    async def refuse(self, tx: Tx, verdict: Verdict, raw: Any, about: dict[str, str]) -> None:
        """Keep a rejected mutation whole; ASCII JSON, for it may hold text that no database takes.

        One that was kept before is replaced; what a person decided about it stays. What it says of somebody erased,
        whatever it was refused for, is not kept.
        """
        raw = await without_erased(tx, about["tenant_id"], raw, self._collections)
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


def _is_run(ids: Sequence[int]) -> bool:
    """Whether numbers follow one another without a gap."""
    return ids == tuple(range(ids[0], ids[0] + len(ids)))
