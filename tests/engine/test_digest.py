"""The digest: kept true by every writer, told when a reader is at the head, and it finds what differs."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from server.engine.tidy import Tidier
from server.storage.database import Tx
from server.storage.digests import read_digests
from server.storage.migrations.digests import fill_digests
from server.storage.statement import Statement
from sync.client.check import RECOUNT_MS
from sync.digest import digests
from tests.support.linked import linked
from tests.support.moving import SHOPS, moving_registry
from tests.support.shop import Shop, Till, line, open_shop, product_fields

_NOBODY = {"collection": "customers", "audience": "tenant", "sum": 0}


@pytest.fixture
async def moving(database_url: str) -> AsyncIterator[Shop]:
    """A shop whose products move with their category."""
    async with open_shop(database_url, registry=moving_registry()) as opened:
        yield opened


async def _kept(shop: Shop) -> dict[tuple[str, str], int]:
    async def work(tx: Tx) -> dict[tuple[str, str], int]:
        return await read_digests(tx, shop.tenant_id)

    return {bucket: total for bucket, total in (await shop.database.read(work)).items() if total}


async def _true(shop: Shop) -> dict[tuple[str, str], int]:
    """The same from the records themselves."""
    live: list[tuple[str, str, str, int]] = []

    async def work(tx: Tx) -> None:
        for name, sql in shop.records.sql.items():
            found = Statement(
                f"SELECT audience, id, version FROM {sql.table} WHERE tenant_id = :tenant_id AND NOT deleted"  # noqa: S608
            )
            live.extend((name, *row) for row in await tx.fetch(found, (shop.tenant_id,)))

    await shop.database.read(work)
    return digests(live)


async def _execute(shop: Shop, text: str, *values: Any) -> None:
    async def work(tx: Tx) -> None:
        await tx.execute(Statement(text), (shop.tenant_id, *values))

    await shop.database.write(work)


async def _product(owner: Till, category: str = "nord") -> str:
    record_id = owner.shop.new_id()
    await owner.send(owner.mutation("products", record_id, fields=product_fields(category=category)))
    return record_id


@pytest.mark.parametrize("seed", range(3))
async def test_writers_keep_it_whatever_they_do(moving: Shop, seed: int) -> None:
    """Sales that take from stock, edits, moves, deletions, restores and refusals, many in one transaction."""
    chance, owner = random.Random(seed), moving.device("owner", shops=(*SHOPS, "centro"))
    ids = [await _product(owner, chance.choice(SHOPS)) for _ in range(4)]
    for _ in range(15):
        batch = []
        for _ in range(chance.randint(1, 6)):
            record_id, op = chance.choice(ids), chance.choice(("update", "update", "delete", "restore", "sale"))
            fields = {"category": chance.choice(SHOPS)} if op == "update" else {}
            batch.append(
                owner.sale(lines=[line(record_id)])
                if op == "sale"
                else owner.mutation("products", record_id, op, base_version=chance.choice((1, 99)), fields=fields)
            )
        await owner.send(*batch)
    assert await _kept(moving) == await _true(moving) != {}


async def test_it_comes_with_the_page_that_reaches_the_head(shop: Shop) -> None:
    """Not with one that more follow, nor with the last of a round that others have written past."""
    owner, reader = shop.device("owner"), shop.device("owner")
    await owner.send(*(owner.sale() for _ in range(4)))
    first = await reader.send(collections=["sales", "customers"], limit=3)
    assert (first["more"], first["digest"]) == (True, None)
    await owner.send(owner.sale())
    second = await reader.send(collections=["sales", "customers"], limit=3, cursor=first["cursor"])
    assert (second["more"], second["digest"]) == (False, None)
    third = await reader.send(collections=["sales", "customers"], limit=3, cursor=second["cursor"])
    changes = first["changes"] + second["changes"] + third["changes"]
    rows = [(c["collection"], c["audience"], c["record_id"], c["version"]) for c in changes]
    ((bucket, total),) = digests(rows).items()
    assert third["digest"] == [_NOBODY, {"collection": bucket[0], "audience": bucket[1], "sum": total}]
    idle = await reader.send(collections=["sales", "customers"], cursor=third["cursor"])
    assert idle["digest"] == third["digest"]


async def test_what_is_collected_does_not_change_it(shop: Shop) -> None:
    """A tombstone has not counted since it became one."""
    owner = shop.device("owner")
    gone, _ = [await _product(owner) for _ in range(2)]
    await owner.send(owner.mutation("products", gone, "delete", base_version=1))
    before = await _kept(shop)
    for _ in range(2):
        shop.clock.ms += 10**6
        await owner.send(owner.sale())
    collected = await Tidier(shop.database, shop.writer, shop.records, shop.clock, 10**6 - 1).tidy(shop.tenant_id)
    assert collected["products_tombstones"] == 1
    after = await _kept(shop)
    assert after["products", "tenant"] == before["products", "tenant"]
    assert after == await _true(shop)


async def test_a_client_that_differs_notices_and_is_made_whole(shop: Shop) -> None:
    """A row lost, one changed and one too many; it is counted, rebuilt beside what is shown, and then agrees."""
    owner = shop.device("owner")
    ids = [await _product(owner) for _ in range(5)]
    async with linked(shop, shop.device("owner").principal, ("products", "sales"), page=2) as client:
        await client.drain()
        connection = client.store._database.connection
        plants = (
            ("DELETE FROM base WHERE record_id = ?", ids[0]),
            ("UPDATE base SET version = 7 WHERE record_id = ?", ids[1]),
            ("UPDATE base SET deleted = 1 WHERE record_id = ?", ids[2]),
            ("UPDATE base SET record_id = 'never was' WHERE record_id = ?", ids[3]),
        )
        await client.drain()
        for count, (plant, record_id) in enumerate(plants, 1):
            connection.execute(plant, (record_id,))
            await client.drain()
            assert client.status.differences == count - 1, "the rows are read once a day, their sums every time"
            shop.clock.ms += RECOUNT_MS
            await client.drain()
            assert client.status.differences == count
            assert set(client.records("products")) == set(ids)
        meta = client.store.meta()
        assert (meta.disputed, meta.building_side) == (None, None)


async def test_a_change_behind_the_servers_back_is_found_and_asked_for_once(shop: Shop) -> None:
    """It is the server that is wrong: clients count it, and do not pull everything again and again."""
    owner = shop.device("owner")
    record_id = await _product(owner)
    await _execute(shop, "UPDATE products SET version = 9 WHERE tenant_id = :tenant_id AND id = :id", record_id)
    async with linked(shop, shop.device("owner").principal, ("products", "sales")) as client:
        await client.drain()
        for _ in range(3):
            assert client.status.differences == 1, "the same thing is told again and again"
            await owner.send(owner.sale())
            await client.drain()
        pulled: list[Any] = [change for answer in client.link.answers for change in answer["changes"]]
        assert [change["record_id"] for change in pulled].count(record_id) == 2
        assert client.records("products")[record_id].version == 9


async def test_the_migration_fills_it_from_what_is_there(shop: Shop, database_url: str) -> None:
    """A database of the first release begins with the digests its writers would have kept."""
    owner = shop.device("owner")
    gone, _, _ = [await _product(owner) for _ in range(3)]
    await owner.send(owner.mutation("products", gone, "delete", base_version=1), owner.sale(), owner.sale())
    kept = await _kept(shop)
    await _execute(shop, "DELETE FROM digests WHERE tenant_id = :tenant_id")
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.run_sync(fill_digests)
    await engine.dispose()
    assert await _kept(shop) == kept == await _true(shop)
