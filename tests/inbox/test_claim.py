"""Claiming: by several at once each event goes to one, and ten thousand that wait do not slow it down."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from server.inbox.claim import CANDIDATES, Lease, Wanted
from server.inbox.due import DUE, LAPSED
from server.inbox.store import WAITING
from server.storage.database import Tx
from server.storage.open import open_database
from server.storage.statement import Statement
from server.storage.tables.inbox import InboxRow
from server.storage.writer import Job, Writer, Writing
from sync.clock import encode_instant
from tests.inbox.mailroom import Mailroom, open_mailroom, sale, scripted, submit_claim
from tests.inbox.scripted import Scripted


async def test_many_processors_share_the_work_and_do_nothing_twice(room: Mailroom, database_url: str) -> None:
    """Each with a connection of its own, as processes have."""
    address = await room.add("scripted", {}, {})
    for number in range(60):
        await room.tell(address, f"e{number}", f"Rossi {number}")
    source = scripted(room)
    databases = [open_database(database_url) for _ in range(3)]
    writers = [Writer(database, clock=room.shop.clock, nonce=lambda: room.shop.new_id()[:32]) for database in databases]
    async with anyio.create_task_group() as tasks:
        for writer in writers:
            tasks.start_soon(writer.run)
        async with anyio.create_task_group() as working:
            for place, (database, writer) in enumerate(zip(databases, writers, strict=True)):
                processor = room.processor(owner=f"p{place}", per_endpoint=4)
                processor.database, processor.writer = database, writer
                processor.__post_init__()
                working.start_soon(processor.drain)
        tasks.cancel_scope.cancel()
    for database in databases:
        await database.close()
    await room.processor().drain()
    assert await room.states() == {"done": 60}
    assert sorted(source.fetched) == sorted(f"e{number}" for number in range(60))
    assert len(await room.records("customers")) == 60


@pytest.mark.postgres
async def test_a_claim_passes_over_what_another_one_holds(postgres_url: str) -> None:
    """It neither waits for a lock nor takes what is behind it twice."""
    async with open_mailroom(postgres_url, Scripted()) as room:
        address = await room.add("scripted", {}, {})
        for number in range(4):
            await room.tell(address, f"e{number}", f"Rossi {number}")
        lock = Statement("SELECT 1 FROM inbox WHERE event_id IN ('e0', 'e2') FOR UPDATE")
        wanted, lease = [Wanted(room.shop.tenant_id, room.endpoints["scripted"], 10)], Lease("me", 60_000, 5)
        locked, done = anyio.Event(), anyio.Event()
        other = open_database(postgres_url)

        async def hold(tx: Tx) -> None:
            await tx.fetch(lock)
            locked.set()
            await done.wait()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other.write, hold)
            await locked.wait()
            with anyio.fail_after(5):
                claimed = await submit_claim(room, wanted, lease)
            done.set()
        await other.close()
    assert sorted(one.event_id for one in claimed) == ["e1", "e3"]


@pytest.mark.postgres
async def test_claims_of_an_endpoint_take_turns_and_wait_for_nobody(postgres_url: str) -> None:
    """Else two processes could begin with one object, each before it sees what the other took."""
    async with open_mailroom(postgres_url, Scripted()) as room:
        for number in range(2):
            address = await room.add("scripted", {}, {})
            await room.tell(address, f"e{number}", "Rossi")
        endpoints = sorted(endpoint_id for (endpoint_id,) in await room.fetch("SELECT endpoint_id FROM endpoints"))
        wanted = [Wanted(room.shop.tenant_id, endpoint_id, 10) for endpoint_id in endpoints]
        lock = Statement("SELECT 1 FROM endpoints WHERE endpoint_id = :endpoint_id FOR NO KEY UPDATE")
        locked, done = anyio.Event(), anyio.Event()
        other = open_database(postgres_url)

        async def hold(tx: Tx) -> None:
            await tx.fetch(lock, (endpoints[0],))
            locked.set()
            await done.wait()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other.write, hold)
            await locked.wait()
            with anyio.fail_after(5):
                claimed = await submit_claim(room, wanted, Lease("me", 60_000, 5))
            done.set()
        await other.close()
    assert [one.endpoint_id for one in claimed] == endpoints[1:]


@pytest.mark.parametrize("statement", [DUE, LAPSED, CANDIDATES])
async def test_every_question_of_the_loop_is_answered_by_an_index(lite_room: Mailroom, statement: Statement) -> None:
    """Nothing reads the whole table, however much is kept in it."""
    explained = Statement(f"EXPLAIN QUERY PLAN {statement.sql('sqlite')}")
    count = statement.sql("sqlite").count("?")
    given = [None] * count

    async def work(tx: Tx) -> list[str]:
        return [str(row[3]) for row in await tx.fetch(explained, given[: len(statement._names["sqlite"])])]

    plan = await lite_room.shop.database.read(work)
    on_inbox = [step for step in plan if " i " in f"{step} " or "inbox" in step]
    assert on_inbox
    assert all("INDEX ix_inbox" in step for step in on_inbox), plan


async def test_what_is_finished_costs_nothing(lite_room: Mailroom) -> None:
    """The index of what is due holds what is due."""
    address = await lite_room.add_pos()
    for number in range(20):
        await lite_room.sell(address, sale(number), f"msg_{number}")
    await lite_room.processor().drain()
    ((open_rows,),) = await lite_room.fetch("SELECT count(*) FROM inbox WHERE state IN ('pending', 'leased')")
    assert open_rows == 0


DONE = 2_000
_MORE = """INSERT INTO inbox ({columns})
  WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
  SELECT {values} FROM inbox, numbers WHERE event_id = 'e0'"""


async def more(room: Mailroom, count: int, **values: str) -> None:
    """So many more rows like the one event there is, with other values (SQL; `n` counts them)."""
    columns = [*InboxRow.model_fields]
    lite = room.shop.database.dialect == "sqlite"
    number = "printf('%012x', n)" if lite else "lpad(to_hex(n), 12, '0')"
    new_id = f"'00000000-0000-7000-8000-' || {number}"
    given = {"receipt_id": new_id if lite else f"({new_id})::uuid", "event_id": "'x' || n", **values}
    chosen = ", ".join(given.get(name, name) for name in columns)
    await room.execute(_MORE.format(columns=", ".join(columns), count=count, values=chosen))
    if not lite:
        await room.execute("ANALYZE inbox")


def about_object(room: Mailroom) -> dict[str, Any]:
    """What statements are asked with."""
    named = {"tenant_id": room.shop.tenant_id, "endpoint_id": room.endpoints["scripted"], "object_id": "object/a"}
    return {**named, "now": encode_instant(room.shop.clock()), "most": 16}


async def work_of(room: Mailroom, statement: Statement, named: dict[str, Any]) -> int:
    """How much work a statement is: steps of SQLite's machine, or pages that PostgreSQL looks at."""
    if room.shop.database.dialect == "sqlite":
        ((_, _, file),) = await room.fetch("PRAGMA database_list")
        return _steps(Path(file), statement, named)
    text = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.sql('postgresql')}"

    async def job(writing: Writing) -> int:
        ((plan,),) = await writing.tx.fetch(Statement(text), statement.arguments("postgresql", named))
        (explained,) = json.loads(plan) if isinstance(plan, str) else plan
        return int(explained["Plan"]["Shared Hit Blocks"] + explained["Plan"]["Shared Read Blocks"])

    return await room.shop.writer.submit(Job([], job))


def _steps(file: Path, statement: Statement, named: dict[str, Any]) -> int:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with closing(sqlite3.connect(file)) as connection:
        connection.set_progress_handler(count, 1)
        connection.execute(statement.sql("sqlite"), statement.arguments("sqlite", named)).fetchall()
    return steps


@pytest.mark.parametrize("statement", [CANDIDATES, WAITING])
async def test_what_is_finished_of_an_object_is_not_looked_at(room: Mailroom, statement: Statement) -> None:
    """However often it was told of: the next event of it costs what the first one cost."""
    address = await room.add("scripted", {}, {})
    await room.tell(address, "e0", "Rossi", about="object/a")
    named = about_object(room)
    before = await work_of(room, statement, named)
    await more(room, DONE, state="'done'")
    assert await work_of(room, statement, named) <= before + 20


@pytest.mark.parametrize("statement", [CANDIDATES, WAITING])
async def test_what_else_is_told_of_an_object_is_found_by_the_index_of_what_is_open(
    room: Mailroom, statement: Statement
) -> None:
    """On both databases, with many rows that are finished and some that are not."""
    address = await room.add("scripted", {}, {})
    await room.tell(address, "e0", "Rossi", about="object/a")
    await more(room, DONE, state="CASE WHEN n % 10 = 0 THEN 'pending' ELSE 'done' END", object_id="'object/' || n")
    named = about_object(room)
    dialect = room.shop.database.dialect
    words = "EXPLAIN QUERY PLAN" if dialect == "sqlite" else "EXPLAIN"

    async def job(writing: Writing) -> list[str]:
        if dialect == "postgresql":  # with so few that are open it would read them all, and be right
            await writing.tx.execute(Statement("SET LOCAL enable_hashjoin = off"))
            await writing.tx.execute(Statement("SET LOCAL enable_mergejoin = off"))
        text = Statement(f"{words} {statement.sql(dialect)}")
        return [str(row[-1]) for row in await writing.tx.fetch(text, statement.arguments(dialect, named))]

    plan = await room.shop.writer.submit(Job([], job))
    assert any("ix_inbox_object_open" in step for step in plan), plan
