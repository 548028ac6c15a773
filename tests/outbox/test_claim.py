"""Claiming: who is next, and what it costs to find out."""

import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from server.outbox.claim import CANDIDATES, LOOKAHEAD, Claimed, Lease, Taken, Wanted, claim
from server.outbox.draft import COLUMNS, INSERT
from server.outbox.due import DUE, due_endpoints
from server.outbox.lanes import BEHIND
from server.resilience.entry import Look
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.outbox.outlet import Outlet, Scripted, open_outlet

WAITING = 10_000
WHOLE_TABLE = r"Seq Scan|Sort|TEMP B-TREE|SCAN (outbox|mine|o)\b(?! USING INDEX ix_outbox_due)"
DUE_AT = "2025-11-24T10:00:00.000Z"


async def take(outlet: Outlet, endpoint: str, limit: int = 8, owner: str = "one") -> Taken:
    """Claim for a minute."""
    wanted = [Wanted(outlet.tenant_id, endpoint, limit)]
    return await outlet.writer.submit(Job([], partial(claim, wanted, Lease(owner, 60_000))))


async def backlog(outlet: Outlet, endpoint: str, *, records: int, each: int = 1) -> None:
    """Many deliveries, stored as the collector stores them."""
    outlet_row = {
        "tenant_id": outlet.tenant_id, "endpoint_id": endpoint, "route": "sales.forward", "operation": "post",
        "collection": "sales", "payload": "{}", "idempotency_key": "k", "correlation_id": "c", "state": "pending",
        "holds": True, "attempts": 0, "failures": 0, "ambiguous": False, "next_attempt_at": DUE_AT, "fence": 0,
        "created_at": DUE_AT, "doubted_from": None, "not_after": None, "after": None,
    }  # fmt: skip
    rows = []
    for _ in range(records):
        record_id = outlet.new_id()
        for sequence in range(1, each + 1):
            row = {"delivery_id": outlet.new_id(), "record_id": record_id, "sequence": sequence, "uid": record_id}
            rows.append([{**outlet_row, **row}[name] for name in COLUMNS])

    async def job(writing: Writing) -> None:
        await writing.tx.copy("outbox", COLUMNS, INSERT, rows)

    await outlet.writer.submit(Job([], job))


async def explain(outlet: Outlet, statement: Statement, named: dict[str, Any]) -> list[str]:
    """The database's plan for a statement."""

    async def work(tx: Tx) -> Sequence[Sequence[Any]]:
        words = "EXPLAIN QUERY PLAN" if tx.dialect == "sqlite" else "EXPLAIN"
        text = statement.sql(tx.dialect).removesuffix(" FOR UPDATE SKIP LOCKED")
        return await tx.fetch(Statement(f"{words} {text}"), statement.arguments(tx.dialect, named))

    return [str(row[-1]).strip() for row in await outlet.database.read(work)]


async def test_ten_thousand_waiting_rows_are_found_by_index(outlet: Outlet) -> None:
    """No statement of a claim reads the table from end to end, or sorts it."""
    endpoint = await outlet.bind()
    await backlog(outlet, endpoint, records=WAITING)
    taken = await take(outlet, endpoint)
    named = {
        "tenant_id": outlet.tenant_id,
        "endpoint_id": endpoint,
        "now": DUE_AT,
        "most": 20,
        "ids": json.dumps([one.delivery_id for one in taken.deliveries]),
    }
    for statement in (DUE, CANDIDATES, BEHIND):
        plan = await explain(outlet, statement, named)
        assert any("ix_outbox" in line for line in plan)
        assert [line for line in plan if re.search(WHOLE_TABLE, line)] == []
    assert (len(taken.deliveries), taken.seen) == (8, 8 + LOOKAHEAD)


async def test_a_long_lane_does_not_hide_the_others(outlet: Outlet) -> None:
    """What waits behind its head is parked once, and the next claim does not meet it again."""
    endpoint = await outlet.bind()
    await backlog(outlet, endpoint, records=1, each=100)
    await backlog(outlet, endpoint, records=1)
    provider = Scripted()
    relay = outlet.relay(provider)
    claimed: list[Claimed] = []
    while taken := (await take(outlet, endpoint)):
        if not taken.seen:
            break
        claimed += taken.deliveries
    assert sorted(one.sequence for one in claimed) == [1, 1]
    for one in claimed:
        await relay._deliverer.deliver(one)
    await relay.drain()
    assert await outlet.states() == {"delivered": 101}
    sequences = [row[0] for row in await outlet.fetch("SELECT sequence FROM outbox ORDER BY record_id, sequence")]
    assert sequences == [*range(1, 101), 1]


async def test_a_claim_takes_a_fence_and_a_lease(outlet: Outlet) -> None:
    """Two claims never share a delivery while the lease holds; the next takes over, and knows it may have been sent."""
    endpoint = await outlet.bind()
    await outlet.sell(3)
    first = await take(outlet, endpoint, limit=2)
    second = await take(outlet, endpoint, owner="two")
    assert [len(first.deliveries), len(second.deliveries)] == [2, 1]
    outlet.clock.ms += 60_000
    third = await take(outlet, endpoint, owner="three")
    assert {(one.fence, one.attempt, one.ambiguous) for one in first.deliveries} == {(1, 1, False)}
    assert {(one.fence, one.attempt, one.ambiguous) for one in third.deliveries} == {(2, 2, True)}


async def test_the_next_due_time_is_known_without_looking_again(outlet: Outlet) -> None:
    """One line for each endpoint with something to do, and when: also the end of a lease."""
    first, second = await outlet.bind(), await outlet.bind()
    await outlet.sell(2)
    await take(outlet, first)
    look = Look(outlet.clock.ms, 60_000)
    due = {one.endpoint_id: one.due_at for one in await outlet.database.read(partial(due_endpoints, look=look))}
    assert set(due) == {first, second}
    assert due[first] > due[second]


@pytest.mark.postgres
async def test_a_claim_passes_over_what_another_transaction_holds(postgres_url: str) -> None:
    """On PostgreSQL two relays claim at the same time without waiting for each other."""
    async with open_outlet(postgres_url) as outlet, open_outlet(postgres_url, seed=2) as other:
        endpoint = await outlet.bind()
        await outlet.sell(40)
        wanted = [Wanted(outlet.tenant_id, endpoint, 2)]

        async def both(writing: Writing) -> tuple[Taken, Taken]:
            mine = await claim(wanted, Lease("one", 60_000), writing)
            theirs = await other.writer.submit(Job([], partial(claim, wanted, Lease("two", 60_000))))
            return mine, theirs

        mine, theirs = await outlet.writer.submit(Job([], both))
        ids = [one.delivery_id for taken in (mine, theirs) for one in taken.deliveries]
        assert len(set(ids)) == len(ids) == 4
