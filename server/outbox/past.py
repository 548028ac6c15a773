"""What became of a record's earlier deliveries by a route, and what follows for the one that was claimed.

Rules:

1. Asked when a delivery is claimed: what comes before it in its lane has let go by then.
2. An update while nothing before it took effect, for certain, becomes a create: the whole record as it is after that
   change, under a key of its own. Later changes follow as updates. Where the first one that is known is no create, the
   one that made the record was tidied away, or is none of ours: it stays an update.
3. A compensation is for what took effect, and names it. Where for certain nothing did, it is needless; where nobody can
   know, neither can it.
4. Where nothing is known of earlier deliveries (the route was bound later, or they were tidied away), it is sent as it
   is: what is wrong about it is for the provider to say, and for a person to hear.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic_core import to_json

from server.outbox.keys import idempotency_key
from server.outbox.lanes import IDS_LITE, IDS_POST, as_json
from server.ports import Route
from server.storage.database import Tx
from server.storage.statement import Statement

_EARLIER = """FROM outbox AS o WHERE o.tenant_id = mine.tenant_id AND o.endpoint_id = mine.endpoint_id
         AND o.collection = mine.collection AND o.record_id = mine.record_id AND o.route = mine.route
         AND o.sequence < mine.sequence AND NOT o.holds"""
_PAST = f"""SELECT mine.delivery_id, mine.uid, coalesce(mine.origin_id, mine.endpoint_id),
         EXISTS (SELECT 1 {_EARLIER} AND o.state = 'delivered'),
         EXISTS (SELECT 1 {_EARLIER} AND (o.state = 'in_doubt' OR (o.state = 'dead' AND o.ambiguous))),
         (SELECT o.operation {_EARLIER} ORDER BY o.sequence LIMIT 1),
         (SELECT o.reference {_EARLIER} AND o.state = 'delivered' AND o.reference IS NOT NULL
          ORDER BY o.sequence DESC LIMIT 1)
       FROM outbox AS mine WHERE tenant_id = :tenant_id AND delivery_id """  # noqa: S608  # our own text
PAST = Statement(_PAST + IDS_LITE, postgresql=_PAST + IDS_POST)
_PROMOTE = Statement(
    """UPDATE outbox SET operation = :operation, payload = :payload, idempotency_key = :idempotency_key
       WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id"""
)


class Past(NamedTuple):
    """Of a record's earlier deliveries by a route: whether one took effect or may have, and the first one's operation.

    `reference` is the provider's name for what the last effective one made. The claimed delivery's key follows from
    `uid`, its mutation, and `origin_id`, the endpoint it was made for.
    """

    uid: str
    origin_id: str
    effective: bool
    doubtful: bool
    first: str | None
    reference: str | None

    @property
    def known(self) -> bool:
        """There were some."""
        return self.first is not None

    @property
    def is_void(self) -> bool:
        """There were some, and for certain none of them took effect."""
        return self.known and not self.effective and not self.doubtful


class Created(NamedTuple):
    """An update that became a create."""

    operation: str
    payload: str
    idempotency_key: str


async def read_pasts(tx: Tx, tenant_id: str, ids: Sequence[str]) -> Mapping[str, Past]:
    """The pasts of claimed deliveries, by id."""
    if not ids:
        return {}
    rows = await tx.fetch(PAST, {"tenant_id": tenant_id, "ids": as_json(ids)})
    return {row[0]: Past(row[1], row[2], bool(row[3]), bool(row[4]), *row[5:]) for row in rows}


async def promote(tx: Tx, tenant_id: str, delivery_id: str, route: Route, payload: str, past: Past) -> Created:
    """Make a create of a claimed update."""
    operation = route.create or route.operation
    told = json.loads(payload)
    told["type"] = f"{route.collection}.{route.event(None, told['data']['fields'])}"
    key = idempotency_key(tenant_id, past.uid, route.name, past.origin_id, operation)
    created = Created(operation, to_json(told).decode(), key)
    await tx.execute(_PROMOTE, {"tenant_id": tenant_id, "delivery_id": delivery_id, **created._asdict()})
    return created
