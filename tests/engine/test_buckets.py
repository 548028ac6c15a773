"""Buckets that records and devices move between: what a reader has is always exactly what it may see.

Products move with their category (`tests.support.moving`).
"""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from server.storage.database import Tx
from server.storage.statement import Statement
from tests.support.linked import Linked, linked
from tests.support.moving import SHOPS, moving_registry
from tests.support.shop import Shop, Till, open_shop, product_fields


@pytest.fixture
async def moving(database_url: str) -> AsyncIterator[Shop]:
    """A shop whose products move with their category."""
    async with open_shop(database_url, registry=moving_registry()) as opened:
        yield opened


def _owner(shop: Shop) -> Till:
    return shop.device("owner", shops=SHOPS)


async def _create(owner: Till, category: str) -> str:
    record_id = owner.shop.new_id()
    await owner.send(owner.mutation("products", record_id, fields=product_fields(category=category)))
    return record_id


async def _move(owner: Till, record_id: str, category: str) -> None:
    await owner.send(owner.mutation("products", record_id, "update", base_version=10**6, fields={"category": category}))


async def test_a_record_that_moves_is_a_tombstone_where_it_was_and_itself_where_it_is(moving: Shop) -> None:
    """Both are told with the version it moved at, and each says which bucket it is about."""
    owner, nord, sud = _owner(moving), moving.device(shop="nord"), moving.device(shop="sud")
    record_id = await _create(owner, "nord")
    await nord.pull("products")
    await _move(owner, record_id, "sud")
    (left,) = await nord.pull("products")
    (came,) = await sud.pull("products")
    named = {"collection": "products", "record_id": record_id, "version": 2}
    assert left == {**named, "audience": "shop:nord", "deleted": True, "fields": {}}
    assert {name: came[name] for name in (*named, "audience", "deleted")} == {
        **named,
        "audience": "shop:sud",
        "deleted": False,
    }
    both = await owner.pull("products")
    assert [(change["audience"], change["deleted"]) for change in both] == [("shop:nord", True), ("shop:sud", False)]


async def test_who_comes_back_within_a_transaction_never_left(moving: Shop) -> None:
    """There and back again is no departure."""
    owner, nord = _owner(moving), moving.device(shop="nord")
    record_id = await _create(owner, "nord")
    moves = [
        owner.mutation("products", record_id, "update", base_version=9, fields={"category": category})
        for category in ("sud", "nord")
    ]
    await owner.send(*moves)
    (change,) = await nord.pull("products")
    assert (change["version"], change["deleted"]) == (3, False)


@pytest.mark.parametrize("limit", [1, 2, 1000])
async def test_departures_come_in_bounded_pages_in_sequence(moving: Shop, limit: int) -> None:
    """They count like records, and no page is larger for them."""
    owner, nord = _owner(moving), moving.device(shop="nord")
    ids = [await _create(owner, "nord") for _ in range(5)]
    await nord.pull("products")
    for record_id in ids:
        await _move(owner, record_id, "sud")
    stays = await _create(owner, "nord")
    sizes, told = [], []
    while True:
        answer = await nord.send(collections=["products"], cursor=nord.cursor, limit=limit)
        nord.cursor = answer["cursor"]
        sizes.append(len(answer["changes"]))
        told += answer["changes"]
        if not answer["more"]:
            break
    assert max(sizes) <= limit
    assert [change["record_id"] for change in told] == [*ids, stays]
    assert [change["deleted"] for change in told] == [True] * 5 + [False]


async def test_a_device_in_another_shop_gets_the_difference(moving: Shop) -> None:
    """The new shop from its beginning, the old one dropped by name, what it may still see not again."""
    owner, device = _owner(moving), moving.device(shop="nord", shops=("nord", "est"))
    kept, gone, new = [await _create(owner, category) for category in ("est", "nord", "sud")]
    async with linked(moving, device.principal, ("products",)) as client:
        await client.drain()
        assert set(client.records("products")) == {kept, gone}
        client.link.principal = device.principal._replace(shop="sud", shops=frozenset(("sud", "est")))
        await client.drain()
        assert set(client.records("products")) == {kept, new}
        answer: dict[str, Any] = client.link.answers[-1]
        assert answer["dropped"] == [{"collection": "products", "audience": "shop:nord"}]
        assert [change["record_id"] for change in answer["changes"]] == [new]
        assert answer["reset"] is False


async def test_what_was_made_in_a_lost_bucket_is_out_of_sight_though_it_never_came_back(moving: Shop) -> None:
    """Its verdict came in the middle of a round, and then the device was moved; it is not replayed for ever."""
    owner, device = _owner(moving), moving.device("owner", shop="nord")
    for _ in range(3):
        await _create(owner, "nord")
    async with linked(moving, device.principal, ("products",), page=1) as client:
        await client.sync_once()
        made = client.create("products", product_fields(category="nord"))
        await client.sync_once()
        assert client.status.pending == 0
        assert made.record_id in client.records("products")
        client.link.principal = device.principal._replace(shop="sud", shops=frozenset(("sud",)))
        await client.drain()
        await client.drain()
        assert client.records("products") == {}


async def test_a_departure_that_comes_after_the_record_is_old_news(moving: Shop) -> None:
    """A shop gained later is read after the one the record moved to, and tells that it left."""
    owner, device = _owner(moving), moving.device(shop="sud")
    record_id = await _create(owner, "nord")
    await _move(owner, record_id, "sud")
    async with linked(moving, device.principal, ("products",)) as client:
        await client.drain()
        client.link.principal = device.principal._replace(shops=frozenset(("nord", "sud")))
        await client.drain()
        answer: dict[str, Any] = client.link.answers[-1]
        assert [(change["audience"], change["deleted"]) for change in answer["changes"]] == [("shop:nord", True)]
        assert set(client.records("products")) == {record_id}


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_moves_every_client_has_what_it_may_see(moving: Shop, seed: int) -> None:
    """Records and devices move at random, pages are small and rounds are cut; in the end all agree."""
    chance = random.Random(seed)
    owner = _owner(moving)
    async with AsyncExitStack() as opened:
        clients = [
            await opened.enter_async_context(linked(moving, moving.device(shop=name).principal, ("products",), page=2))
            for name in SHOPS
        ]
        everything = await opened.enter_async_context(linked(moving, owner.principal, ("products",), page=3))
        ids = [await _create(owner, chance.choice(SHOPS)) for _ in range(4)]
        for _ in range(30):
            await _anything(chance, owner, ids, [*clients, everything])
        for client in (*clients, everything):
            await client.drain()  # the round it is in, which ends at an older head
            await client.drain()
            seen = client.link.principal.shops
            assert set(client.records("products")) == await _truth(moving, [f"shop:{name}" for name in seen])
            assert client.link.answers[-1]["digest"] is not None
            assert client.status.differences == 0


async def _anything(chance: random.Random, owner: Till, ids: list[str], clients: list[Linked]) -> None:
    match chance.randrange(5):
        case 0:
            ids.append(await _create(owner, chance.choice(SHOPS)))
        case 1 | 2:
            await _move(owner, chance.choice(ids), chance.choice(SHOPS))
        case 3:
            await chance.choice(clients).sync_once()
        case _:
            client = chance.choice(clients[:-1])
            moved = frozenset(chance.sample(SHOPS, chance.randint(1, 2)))
            client.link.principal = client.link.principal._replace(shops=moved)


async def _truth(shop: Shop, audiences: list[str]) -> set[str]:
    statement = Statement("SELECT id, audience FROM products WHERE tenant_id = :tenant_id AND NOT deleted")

    async def work(tx: Tx) -> set[str]:
        return {row[0] for row in await tx.fetch(statement, (shop.tenant_id,)) if row[1] in audiences}

    return await shop.database.read(work)
