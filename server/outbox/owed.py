"""What an open backfill owes: the records of before that have no delivery by its route there yet.

Rules:

1. A record that has a delivery by this route there is owed nothing. Who looks holds the tenant's lock.
2. A delivery's uid, and so its key, follows from binding and record, whoever drafts it: the backfill, or a change of
   the record that comes before it. The first is the create that the other side needs.
"""

from collections.abc import Sequence
from typing import NamedTuple

from server.ids import derived
from server.outbox.draft import COLUMNS, News, Row, To, draft
from server.outbox.lanes import IDS_LITE, IDS_POST, as_json
from server.storage.database import Tx
from server.storage.statement import Statement

# In two parts, one for each index of a record's deliveries.
_SENT = """SELECT record_id FROM outbox WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id
       AND collection = :collection AND record_id {ids} AND route = :route AND holds
       UNION ALL SELECT record_id FROM outbox WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id
       AND collection = :collection AND record_id {ids} AND route = :route AND NOT holds"""
SENT = Statement(_SENT.format(ids=IDS_LITE), postgresql=_SENT.format(ids=IDS_POST))
_KNOWN_TEXT = "SELECT delivery_id FROM outbox WHERE tenant_id = :tenant_id AND delivery_id "
_KNOWN = Statement(_KNOWN_TEXT + IDS_LITE, postgresql=_KNOWN_TEXT + IDS_POST)
_DELIVERY = COLUMNS.index("delivery_id")
_LANE = tuple(COLUMNS.index(name) for name in ("endpoint_id", "collection", "record_id", "route"))


class Backfill(NamedTuple):
    """A binding whose records of before are being delivered."""

    tenant_id: str
    route: str
    endpoint_id: str

    def uid_of(self, record_id: str) -> str:
        """The uid of a record's delivery."""
        return derived("backfill", *self, record_id)


class Owing(NamedTuple):
    """A change of a record of before, as it was drafted at this place of a transaction, and whom it goes to."""

    place: int
    to: To
    news: News


async def sent(backfill: Backfill, collection: str, ids: Sequence[str], tx: Tx) -> set[str]:
    """Those records that have a delivery by this route there."""
    if not ids:
        return set()
    named = {**backfill._asdict(), "collection": collection, "ids": as_json(ids)}
    return {row[0] for row in await tx.fetch(SENT, named)}


async def known(tenant_id: str, rows: Sequence[Row], tx: Tx) -> set[str]:
    """The ids of those that are here already, by way of another endpoint."""
    if not rows:
        return set()
    ids = as_json([row[_DELIVERY] for row in rows])
    return {row[0] for row in await tx.fetch(_KNOWN, {"tenant_id": tenant_id, "ids": ids})}


async def create_owed(owing: Sequence[Owing], rows: list[Row], now: str, tx: Tx) -> None:
    """Draft as creates those changes whose records were never delivered, in place."""
    heads: dict[tuple[str, ...], int] = {}
    for place, row in enumerate(rows):
        heads.setdefault(_lane(row), place)
    first = [one for one in owing if heads[_lane(rows[one.place])] == one.place]
    for backfill in sorted({_backfill(one.to) for one in first}):
        mine = [one for one in first if _backfill(one.to) == backfill]
        done = await sent(backfill, mine[0].to.route.collection, [one.news.record_id for one in mine], tx)
        created = {one.place: _create(backfill, one, now) for one in mine if one.news.record_id not in done}
        here = await known(backfill.tenant_id, list(created.values()), tx)
        for place, row in created.items():
            rows[place] = rows[place] if row[_DELIVERY] in here else row


def _lane(row: Row) -> tuple[str, ...]:
    return tuple(row[column] for column in _LANE)


def _backfill(to: To) -> Backfill:
    return Backfill(to.tenant_id, to.route.name, to.endpoint_id)


def _create(backfill: Backfill, owing: Owing, now: str) -> Row:
    to = owing.to._replace(operation=owing.to.route.create or owing.to.operation)
    row, _ = draft(to, owing.news._replace(uid=backfill.uid_of(owing.news.record_id)), now)
    return row
