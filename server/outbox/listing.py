"""Looking into the outbox: a tenant's deliveries by what they have in common, and one with all its attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from server.ports import DeliveryState
from server.resilience.attempts import Attempt, attempts_of
from server.storage.database import Database, Tx
from server.storage.statement import Statement

_PAYLOAD = Statement("SELECT payload FROM outbox WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id")


class OutboxError(Exception):
    """What was asked for cannot be done; the message says why."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is stable."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Filter:
    """Which deliveries; what is None does not matter. `after` is the last delivery id of the page before."""

    states: Sequence[DeliveryState] | None = None
    endpoint_id: str | None = None
    route: str | None = None
    record_id: str | None = None
    ids: Sequence[str] | None = None
    after: str | None = None
    limit: int = 100
    newest_first: bool = False


class Delivery(NamedTuple):
    """A delivery without its payload. `error` is a stable word; `holds`: later ones of its record wait for it.

    `waits_for`: the record, as collection/id, whose deliveries it comes after and was found waiting for.
    `origin_id` is the endpoint it was made for, where it goes through another.
    """

    delivery_id: str
    state: DeliveryState
    route: str
    operation: str
    endpoint_id: str
    collection: str
    record_id: str
    sequence: int
    attempts: int
    failures: int
    next_attempt_at: str
    error_class: str | None
    error: str | None
    reference: str | None
    idempotency_key: str
    correlation_id: str
    created_at: str
    settled_at: str | None
    not_after: str | None
    waits_for: str | None
    origin_id: str | None
    holds: bool


class Shown(NamedTuple):
    """A delivery with everything: what is sent, and every attempt."""

    delivery: Delivery
    payload: str
    attempts: list[Attempt]


async def list_deliveries(database: Database, tenant_id: str, wanted: Filter) -> list[Delivery]:
    """A tenant's deliveries, oldest first."""

    async def work(tx: Tx) -> list[Delivery]:
        return await matching(tx, tenant_id, wanted)

    return await database.read(work)


async def show_delivery(database: Database, tenant_id: str, delivery_id: str) -> Shown:
    """One delivery. Raises OutboxError (unknown_delivery)."""

    async def work(tx: Tx) -> Shown:
        found = await matching(tx, tenant_id, Filter(ids=[delivery_id]))
        if not found:
            raise unknown_delivery()
        ((payload,),) = await tx.fetch(_PAYLOAD, (tenant_id, delivery_id))
        return Shown(found[0], payload, await attempts_of(tx, tenant_id, delivery_id))

    return await database.read(work)


async def matching(tx: Tx, tenant_id: str, wanted: Filter) -> list[Delivery]:
    """The deliveries a filter lets through, in somebody's transaction."""
    conditions, named = _conditions(wanted)
    statement = Statement(
        f"SELECT {', '.join(Delivery._fields)} FROM outbox WHERE {' AND '.join(conditions)} "  # noqa: S608  # our own text
        f"ORDER BY delivery_id {'DESC' if wanted.newest_first else 'ASC'} LIMIT :limit"
    )
    rows = await tx.fetch(statement, {**named, "tenant_id": tenant_id, "limit": wanted.limit})
    return [Delivery._make((*row[:-1], bool(row[-1]))) for row in rows]


def unknown_delivery() -> OutboxError:
    """No such delivery, or another tenant's."""
    return OutboxError("unknown_delivery", "there is no such delivery here")


def _conditions(wanted: Filter) -> tuple[list[str], dict[str, Any]]:
    conditions, named = ["tenant_id = :tenant_id"], dict[str, Any]()
    for name in ("endpoint_id", "route", "record_id"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(f"{name} = :{name}")
            named[name] = value
    if wanted.after is not None:
        conditions.append(f"delivery_id {'<' if wanted.newest_first else '>'} :after")
        named["after"] = wanted.after
    for column, values in (("state", wanted.states), ("delivery_id", wanted.ids)):
        if values is not None:
            listed = {f"{column}_{place}": value for place, value in enumerate(values)}
            conditions.append(f"{column} IN ({', '.join(f':{name}' for name in listed)})" if listed else "false")
            named |= listed
    return conditions, named
