"""What is there in the end: the tills' journals, the provider's file, the server's tables, and what its API tells."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from server.storage.database import Database, Tx
from server.storage.statement import Parameters, Statement
from sync.clock import decode_instant
from tests.demo.observer import Observer
from tests.faults.line import Passage
from tests.faults.people import KIOSK, Sold
from tests.faults.stage import Stage

_DELIVERIES = Statement(
    """SELECT delivery_id, record_id, sequence, state, idempotency_key, payload LIKE '{"type":"sales.voided"%',
       attempts, error FROM outbox WHERE tenant_id = :tenant_id ORDER BY record_id, sequence"""
)
_ATTEMPTS = Statement(
    """SELECT delivery_id, attempt, started_at, ended_at, outcome, status FROM attempts
       WHERE tenant_id = :tenant_id ORDER BY delivery_id, attempt"""
)
_EVENTS = Statement("SELECT event_id, state FROM inbox WHERE tenant_id = :tenant_id ORDER BY event_id")


class Delivery(NamedTuple):
    """A row of the outbox; `is_void` where it tells of a void."""

    delivery_id: str
    record_id: str
    sequence: int
    state: str
    key: str
    is_void: bool
    attempts: int
    error: str | None


class Attempt(NamedTuple):
    """One attempt as the server noted it; times are ms since 1970, None where it never ended."""

    delivery_id: str
    number: int
    started_ms: int
    ended_ms: int | None
    outcome: str | None
    status: int | None


class Event(NamedTuple):
    """A webhook as the inbox has it."""

    event_id: str
    state: str


class Parked(NamedTuple):
    """How things stood while the poisoned were still failing.

    `healthy` deliveries had come to their end, `open` had not; `stuck` ones failed, and `behind` waited for those, of
    which some may have been tried (`tried`) all the same.
    """

    healthy: int
    open: int
    stuck: int
    behind: int
    tried: int


@dataclass(frozen=True)
class Evidence:
    """All of it. `entries` counts the tills' mutations by state, `records` are all there are, as a device gets them."""

    sold: Sequence[Sold]
    entries: Counter[str]
    events_told: int
    acknowledged: frozenset[str]
    arrivals: Sequence[Mapping[str, Any]]
    deliveries: Sequence[Delivery]
    attempts: Sequence[Attempt]
    events: Sequence[Event]
    records: Mapping[tuple[str, str], Mapping[str, Any]]
    product: str
    parked: Parked
    outgoing: Sequence[Passage]
    incoming: Sequence[Passage]
    killed: Counter[str]
    crashed: Sequence[str]

    @property
    def voided(self) -> set[str]:
        """Sales that no longer count."""
        return {record_id for sold in self.sold for record_id in sold.voided}

    @property
    def kiosk_sales(self) -> list[Mapping[str, Any]]:
        """The kiosk's sales as they are told to devices."""
        found = [one for (name, _), one in self.records.items() if name == "sales"]
        return [one for one in found if one["fields"]["terminal_id"] == KIOSK]


async def gather(stage: Stage, parked: Parked) -> Evidence:
    """Read everything, once all is quiet. Raises httpx.HTTPError."""
    async with Observer(stage.fleet.urls[0], stage.shop.token) as office:
        await office.pull()
    return Evidence(
        sold=[till.sold for till in stage.tills],
        entries=Counter(entry.state for till in stage.tills for entry in till.client.entries()),
        events_told=stage.kiosk.told,
        acknowledged=frozenset(stage.kiosk.acknowledged),
        arrivals=stage.provider.arrivals(),
        deliveries=await deliveries(stage.core.database, stage.tenant_id),
        attempts=await attempts(stage.core.database, stage.tenant_id),
        events=await events(stage.core.database, stage.tenant_id),
        records=office.records,
        product=stage.product,
        parked=parked,
        outgoing=stage.outgoing.passed,
        incoming=stage.incoming.passed,
        killed=stage.fleet.killed,
        crashed=stage.fleet.crashed,
    )


async def deliveries(database: Database, tenant_id: str) -> list[Delivery]:
    """A tenant's outbox."""
    rows = await fetch(database, _DELIVERIES, (tenant_id,))
    return [Delivery._make([*row[:5], bool(row[5]), *row[6:]]) for row in rows]


async def attempts(database: Database, tenant_id: str) -> list[Attempt]:
    """All attempts, by delivery and number."""
    rows = await fetch(database, _ATTEMPTS, (tenant_id,))
    instants = [(row, decode_instant(row[2]), row[3] and decode_instant(row[3])) for row in rows]
    return [Attempt(row[0], row[1], started_ms, ended_ms, *row[4:]) for row, started_ms, ended_ms in instants]


async def events(database: Database, tenant_id: str) -> list[Event]:
    """A tenant's inbox."""
    return [Event(*row) for row in await fetch(database, _EVENTS, (tenant_id,))]


async def fetch(database: Database, statement: Statement, parameters: Parameters) -> list[Sequence[Any]]:
    """Rows of a query."""

    async def work(tx: Tx) -> list[Sequence[Any]]:
        return list(await tx.fetch(statement, parameters))

    return await database.read(work)
