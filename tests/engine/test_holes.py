"""Holes: a client that has nothing more of what the server asks for says so, goes on, and what is missing is listed."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from server.engine.holes import list_holes
from server.storage.database import Tx
from server.storage.statement import Statement
from sync.errors import MutationGapError
from tests.client.samples import sale
from tests.support.linked import Linked, linked
from tests.support.shop import Shop, Till


async def _holes(shop: Shop) -> list[tuple[int, int]]:
    return [(hole.first_id, hole.last_id) for hole in await list_holes(shop.database, shop.tenant_id)]


def _from(till: Till, number: int) -> dict[str, object]:
    till.last_id = number - 1
    return till.sale()


async def test_a_queue_goes_on_where_its_client_says_it_begins(shop: Shop) -> None:
    """What is missing before it is noted with it, and only once, however often it is sent."""
    till = shop.device()
    await till.send(till.sale(), till.sale())
    later = [_from(till, 7), till.sale()]
    for duplicate in (False, True):
        answer = await till.send(*later, resume_from=7)
        assert [verdict["duplicate"] for verdict in answer["verdicts"]] == [duplicate] * 2
        assert answer["last_mutation_id"] == 8
        assert await _holes(shop) == [(3, 6)]
    (hole,) = await list_holes(shop.database, shop.tenant_id)
    assert hole.client_id == till.client_id
    assert await list_holes(shop.database, await shop.admin.add_tenant("Un altro")) == []


@pytest.mark.parametrize("resume_from", [None, 2, 4, 6, 8])
async def test_a_gap_that_nobody_declared_stays_a_gap(shop: Shop, resume_from: int | None) -> None:
    """Nor does it help to name another number than the one the queue begins with."""
    till = shop.device()
    await till.send(till.sale())
    with pytest.raises(MutationGapError) as raised:
        await till.send(_from(till, 5), resume_from=resume_from)
    assert raised.value.members["last_mutation_id"] == 1
    assert await _holes(shop) == []


async def test_what_the_server_has_is_no_hole(shop: Shop) -> None:
    """A client may say where its journal begins although nothing is missing; an unreadable mutation is one too."""
    till = shop.device()
    await till.send(till.sale(), till.sale())
    await till.send(_from(till, 3), resume_from=3)
    assert await _holes(shop) == []
    answer = await till.send({**_from(till, 9), "op": "explode"}, resume_from=9)
    assert [verdict["status"] for verdict in answer["verdicts"]] == ["rejected"]
    assert await _holes(shop) == [(4, 8)]


@pytest.mark.parametrize("left", [0, 2])
async def test_a_client_keeps_its_numbers_and_names_the_hole(shop: Shop, tmp_path: Path, left: int) -> None:
    """Also where its journal has nothing left: a number that was given once is not given again."""
    principal, local = shop.device().principal, tmp_path / "till.db"
    async with linked(shop, principal, ("sales",), local) as client:
        await _sell(client, 6)
    await _forget(shop, principal.tenant_id)
    with closing(sqlite3.connect(local)) as journal, journal:
        journal.execute("DELETE FROM mutations WHERE mutation_id <= ?", (6 - left,))
        journal.execute("UPDATE client SET pruned_to = ?", (6 - left,))
    async with linked(shop, principal, ("sales",), local) as client:
        await client.drain()
        await _sell(client, 1)
        assert [entry.mutation_id for entry in client.entries()] == list(range(7 - left, 8))
        assert len(client.records("sales")) == left + 1
    assert await _holes(shop) == [(1, 6 - left)]


async def _sell(client: Linked, count: int) -> None:
    for _ in range(count):
        client.sell(sale())
    await client.drain()


async def _forget(shop: Shop, tenant_id: str) -> None:
    """Go back to before the first sale, and know it."""

    async def work(tx: Tx) -> None:
        for table in ("clients", "mutations", "sales", "digests"):
            await tx.execute(Statement(f"DELETE FROM {table}"))  # noqa: S608  # names of our own
        renewed = Statement("UPDATE tenants SET seq = 0, epoch = 'another' WHERE tenant_id = :tenant_id")
        await tx.execute(renewed, (tenant_id,))
        await tx.execute(Statement("DELETE FROM marks WHERE seq > 0"))

    await shop.database.write(work)
    shop.writer.forget_marks()
    shop.writer._furthest.clear()
