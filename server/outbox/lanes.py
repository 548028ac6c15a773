"""Who waits for whom: rows behind an earlier one of their lane, and rows that come after other records.

A lane is (endpoint, collection, record). What is found waiting is parked, out of the way of later claims, and brought
back by the settle that lets it go. Nothing here is asked of rows that declare nothing but one probe of their own lane.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.clock import encode_instant

PARKED_MS = 600_000
"""When a parked row is looked at again although nobody brought it back. It should never be needed."""

IDS_LITE = "IN (SELECT value FROM json_each(:ids))"
IDS_POST = "= ANY (ARRAY (SELECT json_array_elements_text(:ids::json))::uuid[])"

_BEHIND = """SELECT delivery_id FROM outbox AS mine WHERE tenant_id = :tenant_id AND delivery_id {ids}
       AND EXISTS (SELECT 1 FROM outbox AS earlier WHERE earlier.tenant_id = mine.tenant_id
         AND earlier.endpoint_id = mine.endpoint_id AND earlier.collection = mine.collection
         AND earlier.record_id = mine.record_id AND earlier.sequence < mine.sequence AND earlier.holds)"""
BEHIND = Statement(_BEHIND.format(ids=IDS_LITE), postgresql=_BEHIND.format(ids=IDS_POST))

# Of what was superseded, the newer one is waited for: it carries what the other was to bring.
# On PostgreSQL the row that is waited for is locked: a settle that lets go of it either waits for the parking, and
# finds it, or was first, and is seen.
# What is wanted comes first on both: a database without statistics would read all that holds for each of them.
_AWAITED = """outbox AS o WHERE o.tenant_id = :tenant_id
       AND o.endpoint_id = :endpoint_id AND o.collection = w.collection AND o.record_id = w.record_id
       AND o.holds AND (o.sequence <= w.sequence OR EXISTS (SELECT 1 FROM outbox AS s WHERE s.tenant_id = o.tenant_id
         AND s.endpoint_id = o.endpoint_id AND s.collection = o.collection AND s.record_id = o.record_id
         AND NOT s.holds AND s.sequence = w.sequence AND s.state = 'superseded'))"""
_WANTED_LITE = """(SELECT value ->> 'id' AS id, value ->> 'collection' AS collection,
       value ->> 'record_id' AS record_id, value ->> 'sequence' AS sequence FROM json_each(:wanted)) AS w"""
_WANTED_POST = "json_to_recordset(:wanted::json) AS w(id text, collection text, record_id uuid, sequence bigint)"
_FOR_WHOM = "SELECT w.id, w.collection, w.record_id FROM"
AWAITED = Statement(
    f"{_FOR_WHOM} {_WANTED_LITE} CROSS JOIN {_AWAITED}",
    postgresql=f"{_FOR_WHOM} {_WANTED_POST} CROSS JOIN LATERAL (SELECT 1 FROM {_AWAITED} FOR SHARE OF o) AS held",  # noqa: S608
)
_HOLDING = """SELECT w.id, w.collection, w.record_id, max(o.sequence) FROM {wanted}
       JOIN outbox AS o ON o.tenant_id = :tenant_id AND o.endpoint_id = w.id{uuid}
       AND o.collection = w.collection AND o.record_id = w.record_id AND o.holds
       GROUP BY w.id, w.collection, w.record_id"""
HOLDING = Statement(
    _HOLDING.format(wanted=_WANTED_LITE, uuid=""), postgresql=_HOLDING.format(wanted=_WANTED_POST, uuid="::uuid")
)
_PARK_TEXT = """UPDATE outbox SET state = 'pending', ambiguous = (ambiguous OR state = 'leased'), lease_owner = NULL,
       leased_until = NULL, next_attempt_at = :until WHERE tenant_id = :tenant_id AND delivery_id {ids}"""
_PARK = Statement(_PARK_TEXT.format(ids=IDS_LITE), postgresql=_PARK_TEXT.format(ids=IDS_POST))
_WAIT_FOR = Statement(
    "UPDATE outbox SET waits_for = :waits_for WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id"
)
_LANE = "tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND collection = :collection AND record_id = :record_id"
# The next row is touched whatever it is due: so a claim that is just parking it is waited for, and undone.
_NEXT = Statement(
    f"""UPDATE outbox SET next_attempt_at = :now, waits_for = NULL WHERE tenant_id = :tenant_id AND delivery_id IN (
         SELECT delivery_id FROM outbox WHERE {_LANE} AND holds
         AND sequence = (SELECT min(sequence) FROM outbox WHERE {_LANE} AND holds AND sequence > :sequence)
         UNION ALL SELECT delivery_id FROM outbox WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id
         AND waits_for = :lane)
       AND holds AND state = 'pending' AND failures = 0"""  # noqa: S608  # our own text
)


class Candidate(NamedTuple):
    """A row that is due. `after` is JSON: lanes, each up to a place in it, that must have let go first."""

    delivery_id: str
    after: str | None


class Lane(NamedTuple):
    """A record's deliveries to an endpoint, up to and with a place in them."""

    endpoint_id: str
    collection: str
    record_id: str
    sequence: int = 0


def lane_name(collection: str, record_id: str) -> str:
    """A lane as `waits_for` names it."""
    return f"{collection}/{record_id}"


async def park_waiting(tenant_id: str, endpoint_id: str, candidates: Sequence[Candidate], writing: Writing) -> set[str]:
    """Park those candidates that must wait for others; their ids."""
    ids = [one.delivery_id for one in candidates]
    waiting = {row[0] for row in await writing.tx.fetch(BEHIND, {"tenant_id": tenant_id, "ids": as_json(ids)})}
    awaited = await _awaited(tenant_id, endpoint_id, candidates, writing.tx)
    if waiting or awaited:
        until = encode_instant(writing.now_ms + PARKED_MS)
        parked = as_json(sorted(waiting | awaited.keys()))
        await writing.tx.execute(_PARK, {"tenant_id": tenant_id, "ids": parked, "until": until})
    if awaited:
        names = [{"tenant_id": tenant_id, "delivery_id": one, "waits_for": name} for one, name in awaited.items()]
        await writing.tx.many(_WAIT_FOR, names)
    return waiting | awaited.keys()


async def bring_next(tx: Tx, lane: Mapping[str, Any], now: str) -> None:
    """Make due the next holding row of a lane, and what waits for that lane.

    `lane` names tenant, endpoint, collection, record and sequence.
    """
    await tx.execute(_NEXT, {**lane, "now": now, "lane": lane_name(lane["collection"], lane["record_id"])})


async def holding(tx: Tx, tenant_id: str, lanes: Sequence[Lane]) -> list[Lane]:
    """Those lanes in which a row holds now, each up to the last such row."""
    if not lanes:
        return []
    wanted = [{"id": one.endpoint_id, **one._asdict()} for one in lanes]
    rows = await tx.fetch(HOLDING, {"tenant_id": tenant_id, "wanted": to_json(wanted).decode()})
    return [Lane(*row) for row in rows]


def as_json(ids: Sequence[str]) -> str:
    """Ids as statements take them."""
    return to_json(list(ids)).decode()


async def _awaited(tenant_id: str, endpoint_id: str, candidates: Sequence[Candidate], tx: Tx) -> dict[str, str]:
    wanted = [
        {"id": one.delivery_id, "collection": collection, "record_id": record_id, "sequence": sequence}
        for one in candidates
        if one.after is not None
        for collection, record_id, sequence in json.loads(one.after)
    ]
    if not wanted:
        return {}
    named = {"tenant_id": tenant_id, "endpoint_id": endpoint_id, "wanted": to_json(wanted).decode()}
    return {row[0]: lane_name(row[1], row[2]) for row in await tx.fetch(AWAITED, named)}
