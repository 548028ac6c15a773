"""What the tables know, in the tables' own words. Every statement names its tenant."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from server.storage.database import Tx
from server.storage.statement import Statement

MOST = 500
"""So many deliveries or receipts a trace, the oldest first."""

_NO_ID = "00000000-0000-0000-0000-000000000000"
_MUTATION = Statement(
    """SELECT m.uid, m.client_id, m.mutation_id, m.version, m.verdict, d.device_id, d.name, d.role, d.shop
       FROM mutations AS m LEFT JOIN clients AS c ON c.tenant_id = m.tenant_id AND c.client_id = m.client_id
       LEFT JOIN devices AS d ON d.tenant_id = c.tenant_id AND d.device_id = c.device_id
       WHERE m.tenant_id = :tenant_id AND m.uid = :uid"""
)
_WAITING = Statement(
    """SELECT collection, record_id, received_at, resolved_seq FROM waiting
       WHERE tenant_id = :tenant_id AND uid = :uid"""
)
_REJECTED = Statement(
    "SELECT code, received_at, resolved_at, resolved_as FROM rejected WHERE tenant_id = :tenant_id AND uid = :uid"
)
_DELIVERY = """SELECT o.delivery_id, o.uid, o.route, o.operation, o.endpoint_id, e.provider, o.collection, o.record_id,
       o.sequence, o.state, o.error_class, o.error, o.reference, o.idempotency_key, o.correlation_id, o.created_at,
       o.next_attempt_at, o.settled_at
       FROM outbox AS o LEFT JOIN endpoints AS e ON e.tenant_id = o.tenant_id AND e.endpoint_id = o.endpoint_id
       WHERE o.tenant_id = :tenant_id AND """
_LAST = f" ORDER BY o.created_at, o.delivery_id LIMIT {MOST}"
_OF_MUTATION = Statement(_DELIVERY + "o.delivery_id >= :low AND o.delivery_id <= :high AND o.uid = :uid" + _LAST)
_OF_ID = Statement(_DELIVERY + "o.delivery_id = :delivery_id" + _LAST)
_OF_REQUEST = Statement(_DELIVERY + "o.correlation_id = :correlation_id" + _LAST)
_RECEIPT = """SELECT receipt_id, provider, endpoint_id, source, event_type, state, attempts, error_class, error,
       correlation_id, received_at, ended_at, records FROM inbox WHERE tenant_id = :tenant_id AND """
_RECEIPT_OF_ID = Statement(_RECEIPT + "receipt_id = :receipt_id")
_RECEIPTS_OF_REQUEST = Statement(
    f"{_RECEIPT} correlation_id = :correlation_id ORDER BY received_at, receipt_id LIMIT {MOST}"
)


class Mutation(NamedTuple):
    """A mutation that was judged. `verdict` is JSON text, None where it was plainly applied."""

    uid: str
    client_id: str
    mutation_id: int
    version: int | None
    verdict: str | None
    device_id: str | None
    device: str | None
    role: str | None
    shop: str | None


class Delivery(NamedTuple):
    """A delivery, without its payload."""

    delivery_id: str
    uid: str
    route: str
    operation: str
    endpoint_id: str
    provider: str | None
    collection: str
    record_id: str
    version: int
    state: str
    error_class: str | None
    error: str | None
    reference: str | None
    idempotency_key: str
    correlation_id: str
    created_at: str
    next_attempt_at: str
    settled_at: str | None


class Receipt(NamedTuple):
    """Something a provider told, without what it said. `records` is JSON text: what came of it."""

    receipt_id: str
    provider: str
    endpoint_id: str
    source: str
    event_type: str
    state: str
    attempts: int
    error_class: str | None
    error: str | None
    correlation_id: str
    received_at: str
    ended_at: str | None
    records: str | None


def as_uuid(text: str) -> str:
    """An id in its one form; of anything else, the id that nothing has."""
    try:
        return str(UUID(text))
    except ValueError:
        return _NO_ID


async def find_mutation(tx: Tx, tenant_id: str, uid: str) -> Mutation | None:
    """A mutation by its uid."""
    rows = await tx.fetch(_MUTATION, (tenant_id, uid))
    return Mutation._make(rows[0]) if rows else None


async def find_waiting(tx: Tx, tenant_id: str, uid: str) -> Sequence[Any] | None:
    """Whether it had to wait: (collection, record, received at, place it was resolved at)."""
    rows = await tx.fetch(_WAITING, (tenant_id, uid))
    return rows[0] if rows else None


async def find_rejected(tx: Tx, tenant_id: str, uid: str) -> Sequence[Any] | None:
    """Whether it broke a rule: (code, received at, dealt with at, accepted as)."""
    rows = await tx.fetch(_REJECTED, (tenant_id, uid))
    return rows[0] if rows else None


async def deliveries_of_mutation(tx: Tx, tenant_id: str, uid: str) -> list[Delivery]:
    """A mutation's deliveries: their ids begin with its time."""
    low, high = f"{uid[:13]}-0000-0000-000000000000", f"{uid[:13]}-ffff-ffff-ffffffffffff"
    named = {"tenant_id": tenant_id, "uid": uid, "low": low, "high": high}
    return [Delivery._make(row) for row in await tx.fetch(_OF_MUTATION, named)]


async def delivery_of_id(tx: Tx, tenant_id: str, delivery_id: str) -> list[Delivery]:
    """One delivery, or none."""
    return [Delivery._make(row) for row in await tx.fetch(_OF_ID, (tenant_id, delivery_id))]


async def deliveries_of_request(tx: Tx, tenant_id: str, correlation_id: str) -> list[Delivery]:
    """All deliveries that one request brought about."""
    return [Delivery._make(row) for row in await tx.fetch(_OF_REQUEST, (tenant_id, correlation_id))]


async def receipt_of_id(tx: Tx, tenant_id: str, receipt_id: str) -> list[Receipt]:
    """One receipt, or none."""
    return [Receipt._make(row) for row in await tx.fetch(_RECEIPT_OF_ID, (tenant_id, receipt_id))]


async def receipts_of_request(tx: Tx, tenant_id: str, correlation_id: str) -> list[Receipt]:
    """All that one request or poll brought in."""
    return [Receipt._make(row) for row in await tx.fetch(_RECEIPTS_OF_REQUEST, (tenant_id, correlation_id))]
