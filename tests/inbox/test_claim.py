"""Claiming: by several at once each event goes to one, and ten thousand that wait do not slow it down."""

import anyio
import pytest

from server.inbox.claim import CANDIDATES, DUE, LAPSED, Lease, Wanted
from server.storage.database import Tx
from server.storage.open import open_database
from server.storage.statement import Statement
from server.storage.writer import Writer
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
