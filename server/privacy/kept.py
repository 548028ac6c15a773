"""Copies of what a person's record said, in places where no client looks: found by their keys, emptied in small jobs.

Each kind pages over its table by its key, reads what a declared place says (a record's id, the records an event
brought) and empties what belongs to the person. What is still to be sent or processed is left, and counted: later.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from server.storage.database import Row, Tx
from server.storage.statement import Statement
from server.storage.tables.columns import SETTLED
from sync.collection import Collection
from sync.erasure import blanked, without_personal
from sync.wire import UUID_PATTERN
from sync.workspace import Key

FIRST = "00000000-0000-0000-0000-000000000000"
BATCH = 200
_ID = re.compile(UUID_PATTERN)

_PAGE = "SELECT uid, body FROM {table} WHERE tenant_id = :tenant_id AND uid > :after ORDER BY uid LIMIT :most"
REFUSED = Statement(_PAGE.format(table="rejected"))
_REJECT = Statement("UPDATE rejected SET body = :body WHERE tenant_id = :tenant_id AND uid = :key")
WAITING = Statement(_PAGE.format(table="waiting"))
_WAIT = Statement("UPDATE waiting SET body = :body WHERE tenant_id = :tenant_id AND uid = :key")
_LOST = Statement(
    """DELETE FROM superseded WHERE tenant_id = :tenant_id AND collection = :collection AND record_id = :record_id"""
)
_LOST_FIELD = Statement(
    """DELETE FROM superseded WHERE tenant_id = :tenant_id AND collection = :collection AND record_id = :record_id
       AND field = :field"""
)
_SENT = """SELECT o.delivery_id, o.payload FROM endpoints AS e JOIN outbox AS o ON o.tenant_id = e.tenant_id
       AND o.endpoint_id = e.endpoint_id AND o.collection = :collection AND o.record_id = :record_id
       WHERE e.tenant_id = :tenant_id AND {holds}"""
_DELIVERIES = Statement(f"{_SENT.format(holds='o.holds')} UNION ALL {_SENT.format(holds='NOT o.holds')}")
_SEND = Statement(
    f"""UPDATE outbox SET payload = :payload WHERE tenant_id = :tenant_id AND delivery_id = :key
       AND {SETTLED} AND NOT holds"""  # noqa: S608  # our own text
)
_EVENTS = Statement(
    """SELECT receipt_id, records, state FROM inbox WHERE tenant_id = :tenant_id AND receipt_id > :after
       AND records IS NOT NULL ORDER BY receipt_id LIMIT :most"""
)
_EMPTY = Statement(
    """UPDATE inbox SET body = :nothing, headers = '{}', facts = NULL, fetched = NULL WHERE tenant_id = :tenant_id
       AND receipt_id = :key AND state IN ('done', 'ignored', 'stale')"""
)
_ENDED = ("done", "ignored", "stale")


class Step(NamedTuple):
    """What one job did: how many copies it emptied, how many have to wait, and where to go on (None: at the end)."""

    emptied: int = 0
    left: int = 0
    place: str | None = None


async def refused_mutations(tx: Tx, wanted: "Wanted", collections: Mapping[str, Collection], after: str) -> Step:
    """What was refused and is about the person."""
    return await _mutations(tx, (REFUSED, _REJECT), wanted, collections, after)


async def waiting_mutations(tx: Tx, wanted: "Wanted", collections: Mapping[str, Collection], after: str) -> Step:
    """What waits for a record, or did, and is about the person."""
    return await _mutations(tx, (WAITING, _WAIT), wanted, collections, after)


async def naming_mutations(tx: Tx, find: Statement, wanted: "Wanted") -> list[Any]:
    """All of `REFUSED` or `WAITING` that are about the person, as they were sent."""
    after, found = FIRST, list[Any]()
    while rows := await tx.fetch(find, {"tenant_id": wanted.tenant_id, "after": after, "most": BATCH}):
        found += [said for _, said in await wanted.said(tx, rows)]
        after = rows[-1][0]
    return found


async def lost_values(tx: Tx, tenant_id: str, collection: str, record_id: str, fields: Sequence[str] = ()) -> int:
    """Values of a record that lost: of those fields, or all."""
    at = {"tenant_id": tenant_id, "collection": collection, "record_id": record_id}
    if not fields:
        return await tx.execute(_LOST, at)
    return sum([await tx.execute(_LOST_FIELD, {**at, "field": field}) for field in fields])


async def deliveries(tx: Tx, tenant_id: str, collection: Collection, record_id: str) -> Step:
    """What went out of a record; what has not yet is left."""
    at = {"tenant_id": tenant_id, "collection": collection.name, "record_id": record_id}
    emptied = left = 0
    for key, payload in await tx.fetch(_DELIVERIES, at):
        document = json.loads(payload)
        blanks = blanked(collection, document["data"]["fields"])
        if not blanks:
            continue
        document["data"]["fields"] |= blanks
        named = {"tenant_id": tenant_id, "key": key, "payload": to_json(document).decode()}
        done = await tx.execute(_SEND, named)
        emptied, left = emptied + done, left + (not done)
    return Step(emptied, left)


async def events(tx: Tx, tenant_id: str, wanted: "Wanted", after: str) -> Step:
    """What came in and brought the record, or one that names it; what has not ended is left."""
    rows = await tx.fetch(_EVENTS, {"tenant_id": tenant_id, "after": after, "most": BATCH})
    emptied = left = 0
    brought = {key: {(one["collection"], one["record_id"]) for one in json.loads(records)} for key, records, _ in rows}
    theirs = await wanted.among(tx, set().union(*brought.values()))
    for key, _records, state in rows:
        if brought[key] & theirs:
            done = await tx.execute(_EMPTY, {"tenant_id": tenant_id, "key": key, "nothing": b""})
            emptied, left = emptied + done, left + (state not in _ENDED)
    return Step(emptied, left, rows[-1][0] if len(rows) == BATCH else None)


class Wanted:
    """Tells which records are a person's own, or name them."""

    def __init__(self, tenant_id: str, keys: Sequence[Key], referring: Mapping[str, Statement]) -> None:
        """`keys`: the record, then its conflicts; `referring`: of a collection, which of some ids name the record."""
        self.tenant_id, self.ids = tenant_id, frozenset(record_id for _, record_id in keys)
        self._record_id, self._keys, self._referring = keys[0][1], frozenset(keys), referring

    async def among(self, tx: Tx, keys: set[Key]) -> set[Key]:
        """Those of the keys."""
        found = set(keys & self._keys)
        for name, statement in self._referring.items():
            ids = [record_id for collection, record_id in keys if collection == name]
            named = {"tenant_id": self.tenant_id, "record_id": self._record_id, "ids": to_json(ids).decode()}
            found |= {(name, row[0]) for row in await tx.fetch(statement, named)} if ids else set()
        return found

    async def said(self, tx: Tx, rows: Sequence[Row]) -> list[tuple[str, Any]]:
        """Of kept mutations (uid, body), those that are written to one of the records, or name one anywhere."""
        parsed = [(uid, json.loads(body)) for uid, body in rows]
        written = {uid: _written(said) for uid, said in parsed}
        theirs = await self.among(tx, {key for key in written.values() if key is not None})
        named = {uid for uid, body in rows if not self.ids.isdisjoint(_ID.findall(body.lower()))}
        return [(uid, said) for uid, said in parsed if uid in named or written[uid] in theirs]


async def _mutations(
    tx: Tx, statements: tuple[Statement, Statement], wanted: Wanted, collections: Mapping[str, Collection], after: str
) -> Step:
    find, write = statements
    rows = await tx.fetch(find, {"tenant_id": wanted.tenant_id, "after": after, "most": BATCH})
    emptied = 0
    for key, said in await wanted.said(tx, rows):
        kept = without_personal(said, collections, wanted.ids)
        if kept != said:
            named = {"tenant_id": wanted.tenant_id, "key": key, "body": json.dumps(kept, ensure_ascii=True)}
            emptied += await tx.execute(write, named)
    return Step(emptied, 0, rows[-1][0] if len(rows) == BATCH else None)


def _written(said: Any) -> Key | None:
    """What a mutation is written to; None where it says nothing a database could look for."""
    if not isinstance(said, dict):
        return None
    name, record_id = str(said.get("collection")), str(said.get("record_id")).lower()
    return (name, record_id) if _ID.fullmatch(record_id) else None
