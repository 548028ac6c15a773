"""Looking into the inbox: events by what they have in common, one with all that is kept of it, and what was refused."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from server.inbox.decide import EventState
from server.storage.database import Database, Tx
from server.storage.statement import Statement

_KEPT = Statement(
    """SELECT headers, body, facts, fetched, records FROM inbox
       WHERE tenant_id = :tenant_id AND receipt_id = :receipt_id"""
)
_REFUSED = Statement(
    """SELECT endpoint_id, day, reason, times, first_at, last_at FROM refusals
       WHERE tenant_id = :tenant_id AND (:endpoint_id = '' OR CAST(endpoint_id AS TEXT) = :endpoint_id)
       ORDER BY day, endpoint_id, reason"""
)


class InboxError(Exception):
    """What was asked for cannot be done; the message says why."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is stable."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events; what is None does not matter.

    `since`: received at this instant or later; `after`: the last receipt id of the page before.
    """

    states: Sequence[EventState] | None = None
    endpoint_id: str | None = None
    provider: str | None = None
    event_type: str | None = None
    ids: Sequence[str] | None = None
    since: str | None = None
    after: str | None = None
    limit: int = 100
    newest_first: bool = False


class Event(NamedTuple):
    """An event without what it said. `error` is a stable word, `reason` says more; `contradicts`: a known id's."""

    receipt_id: str
    state: EventState
    provider: str
    endpoint_id: str
    source: str
    event_id: str
    event_type: str
    object_id: str | None
    attempts: int
    failures: int
    next_attempt_at: str
    error_class: str | None
    error: str | None
    reason: str | None
    verified_by: str
    correlation_id: str
    received_at: str
    ended_at: str | None
    contradicts: bool


class Record(NamedTuple):
    """A record that an event brought."""

    collection: str
    record_id: str


class Shown(NamedTuple):
    """An event with all that is kept: headers (redacted), raw body, what it pointed at, and its records."""

    event: Event
    headers: Mapping[str, str]
    body: bytes
    facts: Mapping[str, str]
    fetched: bytes | None
    records: list[Record]


class Refusal(NamedTuple):
    """How many webhooks an endpoint refused on a day for one reason."""

    endpoint_id: str
    day: str
    reason: str
    times: int
    first_at: str
    last_at: str


async def list_events(database: Database, tenant_id: str, wanted: Filter) -> list[Event]:
    """A tenant's events, oldest first."""

    async def work(tx: Tx) -> list[Event]:
        return await matching(tx, tenant_id, wanted)

    return await database.read(work)


async def show_event(database: Database, tenant_id: str, receipt_id: str) -> Shown:
    """One event. Raises InboxError (unknown_event)."""

    async def work(tx: Tx) -> Shown:
        found = await matching(tx, tenant_id, Filter(ids=[receipt_id]))
        if not found:
            raise unknown_event()
        ((headers, body, facts, fetched, records),) = await tx.fetch(_KEPT, (tenant_id, receipt_id))
        named = [Record(**record) for record in json.loads(records or "[]")]
        return Shown(found[0], json.loads(headers), body, json.loads(facts or "{}"), fetched, named)

    return await database.read(work)


async def list_refusals(database: Database, tenant_id: str, endpoint_id: str | None = None) -> list[Refusal]:
    """What a tenant's endpoints refused, by day and reason."""

    async def work(tx: Tx) -> list[Refusal]:
        rows = await tx.fetch(_REFUSED, {"tenant_id": tenant_id, "endpoint_id": endpoint_id or ""})
        return [Refusal._make(row) for row in rows]

    return await database.read(work)


async def count_events(database: Database, tenant_id: str, wanted: Filter) -> int:
    """How many a filter lets through, whatever its limit."""

    async def work(tx: Tx) -> int:
        return await counted(tx, tenant_id, wanted)

    return await database.read(work)


async def counted(tx: Tx, tenant_id: str, wanted: Filter) -> int:
    """The same, in somebody's transaction."""
    conditions, named = _conditions(wanted)
    statement = Statement(f"SELECT count(*) FROM inbox WHERE {' AND '.join(conditions)}")  # noqa: S608  # our own text
    return int((await tx.fetch(statement, {**named, "tenant_id": tenant_id}))[0][0])


async def matching(tx: Tx, tenant_id: str, wanted: Filter) -> list[Event]:
    """The events a filter lets through, in somebody's transaction."""
    conditions, named = _conditions(wanted)
    statement = Statement(
        f"SELECT {', '.join(Event._fields)} FROM inbox WHERE {' AND '.join(conditions)} "  # noqa: S608  # our own text
        f"ORDER BY receipt_id {'DESC' if wanted.newest_first else 'ASC'} LIMIT :limit"
    )
    rows = await tx.fetch(statement, {**named, "tenant_id": tenant_id, "limit": wanted.limit})
    return [Event._make((*row[:-1], bool(row[-1]))) for row in rows]


def unknown_event() -> InboxError:
    """No such event, or another tenant's."""
    return InboxError("unknown_event", "there is no such event here")


def _conditions(wanted: Filter) -> tuple[list[str], dict[str, Any]]:
    conditions, named = ["tenant_id = :tenant_id"], dict[str, Any]()
    for name in ("endpoint_id", "provider", "event_type"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(f"{name} = :{name}")
            named[name] = value
    beyond = "receipt_id < :after" if wanted.newest_first else "receipt_id > :after"
    for name, condition in (("after", beyond), ("since", "received_at >= :since")):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(condition)
            named[name] = value
    for column, values in (("state", wanted.states), ("receipt_id", wanted.ids)):
        if values is not None:
            listed = {f"{column}_{place}": value for place, value in enumerate(values)}
            conditions.append(f"{column} IN ({', '.join(f':{name}' for name in listed)})" if listed else "false")
            named |= listed
    return conditions, named
