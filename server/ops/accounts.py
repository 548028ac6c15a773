"""How each account at a provider stands, read in one statement that is cheap however much waits.

Rules:

1. Every part is a probe of an index. What is counted is counted up to a bound; a figure at its bound says "or more".
2. What waits is as old as its first failure, or as the time it should have been tried at: neither needs an index that
   the sale itself would have to pay for.
3. Accounts are named by their ids: names are people's, and stay in the database.
"""

from typing import Any, NamedTuple

from server.storage.database import Tx
from server.storage.statement import Statement

MOST_COUNTED = 10_000
MOST_ACCOUNTS = 1_000

_DELIVERIES = ("dead", "in_doubt")
_EVENTS = ("dead", "quarantined")
_OPEN = "state IN ('pending', 'leased') AND endpoint_id = e.endpoint_id"


def _queue(table: str) -> str:
    return f"""(SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {_OPEN} LIMIT {MOST_COUNTED}) AS counted),
      (SELECT min(next_attempt_at) FROM {table} WHERE {_OPEN}),
      (SELECT min(failing_since) FROM {table} WHERE {_OPEN} AND failing_since IS NOT NULL)"""  # noqa: S608  # our own


_STUCK = tuple((table, state) for table, states in (("outbox", _DELIVERIES), ("inbox", _EVENTS)) for state in states)
"""What waits for a person, by table and state, in the order of its figures."""


def _stuck(table: str, state: str) -> str:
    among = f"state IN {_DELIVERIES if table == 'outbox' else _EVENTS}"  # says which index it is
    rows = f"SELECT 1 FROM {table} WHERE endpoint_id = e.endpoint_id AND {among} AND state = '{state}'"  # noqa: S608
    return f"(SELECT count(*) FROM ({rows} LIMIT {MOST_COUNTED}) AS counted)"  # noqa: S608


_ACCOUNTS = f"""SELECT e.tenant_id, e.endpoint_id, e.provider, e.paused, e.not_before, e.created_at,
      c.succeeded_at, c.failed_at, c.error_class, c.error, c.heard_at, p.failures, p.error, g.state,
      {_queue("outbox")}, {_queue("inbox")},
      {", ".join(_stuck(table, state) for table, state in _STUCK)}
    FROM endpoints AS e
    LEFT JOIN contacts AS c ON c.tenant_id = e.tenant_id AND c.endpoint_id = e.endpoint_id
    LEFT JOIN polls AS p ON p.tenant_id = e.tenant_id AND p.endpoint_id = e.endpoint_id
    LEFT JOIN gates AS g ON g.tenant_id = e.tenant_id AND g.endpoint_id = e.endpoint_id"""  # noqa: S608
_LAST = f"ORDER BY e.tenant_id, e.endpoint_id LIMIT {MOST_ACCOUNTS}"

_ALL_ACCOUNTS = Statement(f"/* across tenants */ {_ACCOUNTS} {_LAST}")
_ALL = Statement("/* across tenants */ SELECT count(*) FROM endpoints")
_TENANTS_ACCOUNTS = Statement(f"{_ACCOUNTS} WHERE e.tenant_id = :tenant_id {_LAST}")
_REFUSED = Statement(
    """SELECT endpoint_id, sum(times) FROM refusals WHERE tenant_id = :tenant_id AND day = :day GROUP BY endpoint_id"""
)


class Queue(NamedTuple):
    """What waits at an account. `due_at` is the earliest time anything is to be tried at."""

    waiting: int
    due_at: str | None
    failing_since: str | None


class Account(NamedTuple):
    """An account as it stands. Codes are stable words; `stuck` counts by queue and state what waits for a person.

    `succeeded_at` is when our calls last reached it, `heard_at` when it last told us something by itself.
    """

    tenant_id: str
    endpoint_id: str
    provider: str
    paused: bool
    not_before: str | None
    created_at: str
    succeeded_at: str | None
    failed_at: str | None
    error_class: str | None
    error: str | None
    heard_at: str | None
    poll_failures: int
    poll_error: str | None
    breaker: str
    outbox: Queue
    inbox: Queue
    stuck: dict[tuple[str, str], int]

    @property
    def in_contact_at(self) -> str | None:
        """When either side last heard of the other."""
        return max((at for at in (self.succeeded_at, self.heard_at) if at is not None), default=None)

    def in_state(self, queue: str, state: str) -> int:
        """How many rows wait for a person in a state."""
        return self.stuck.get((queue, state), 0)


async def all_accounts(tx: Tx) -> tuple[list[Account], int]:
    """Every tenant's accounts, and how many there are beyond the bound."""
    found = [_account(row) for row in await tx.fetch(_ALL_ACCOUNTS)]
    if len(found) < MOST_ACCOUNTS:
        return found, 0
    ((count,),) = await tx.fetch(_ALL)
    return found, count - len(found)


async def tenants_accounts(tx: Tx, tenant_id: str) -> list[Account]:
    """A tenant's accounts."""
    return [_account(row) for row in await tx.fetch(_TENANTS_ACCOUNTS, (tenant_id,))]


async def refused_today(tx: Tx, tenant_id: str, day: str) -> dict[str, int]:
    """How many webhooks a tenant's accounts refused on a day (UTC), by account."""
    return {row[0]: int(row[1]) for row in await tx.fetch(_REFUSED, (tenant_id, day))}


def _account(row: Any) -> Account:
    tenant_id, endpoint_id, provider, paused, not_before, created_at, succeeded_at, failed_at, *rest = row
    error_class, error, heard_at, poll_failures, poll_error, breaker, *queues = rest
    return Account(
        tenant_id=tenant_id,
        endpoint_id=endpoint_id,
        provider=provider,
        paused=bool(paused),
        not_before=not_before,
        created_at=created_at,
        succeeded_at=succeeded_at,
        failed_at=failed_at,
        error_class=error_class,
        error=error,
        heard_at=heard_at,
        poll_failures=poll_failures or 0,
        poll_error=poll_error,
        breaker=breaker or "closed",
        outbox=Queue(*queues[:3]),
        inbox=Queue(*queues[3:6]),
        stuck={kind: count for kind, count in zip(_STUCK, queues[6:], strict=True) if count},
    )
