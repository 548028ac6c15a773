"""A local copy that is not what the server has: noticed by the digest, counted, and made whole under the eyes."""

import random

import pytest

from sync.client.answer import Change
from sync.client.check import RECOUNT_MS
from sync.client.errors import UnreachableError
from tests.client.samples import product
from tests.client.support import Till, World
from tests.client.test_real_server import Shop, open_shop, shop

__all__ = ["open_shop", "shop"]  # fixtures

AUDIENCES = ("tenant", "shop:centro")


async def test_a_damaged_copy_is_noticed_and_made_whole(open_shop: Shop) -> None:
    """A row was lost on the device; at the next open it is counted again, and the whole copy comes anew."""
    office, till = open_shop.client("office", open_shop.owner), open_shop.client("till", open_shop.till)
    kept = [office.create("products", product(name)).record_id for name in ("Caffè", "Tè", "Latte")]
    await office.drain()
    await till.drain()
    till.store._database.connection.execute("DELETE FROM base WHERE record_id = ?", (kept[1],))
    assert set(till.records("products")) == {kept[0], kept[2]}
    again = open_shop.client("till", open_shop.till)
    await again.drain()
    assert set(till.records("products")) == set(again.records("products")) == set(kept)
    assert (again.status.differences, office.status.differences) == (1, 0)


PLANTS = (
    "DELETE FROM base WHERE record_id = ?",
    "UPDATE base SET version = 7 WHERE record_id = ?",
    "UPDATE base SET deleted = 1 WHERE record_id = ?",
    "UPDATE base SET audience = 'another' WHERE record_id = ?",
    "UPDATE base SET record_id = 'never was' WHERE record_id = ?",
)
"""What befalls a row without the app."""


@pytest.mark.parametrize("plant", PLANTS)
async def test_what_befell_a_row_is_found_within_a_day(world: World, plant: str) -> None:
    """No news are needed, and it is the rows that are read: their sums know nothing of it."""
    till = world.till("a")
    kept = [till.client.create("products", product(str(n))).record_id for n in range(3)]
    await till.client.drain()
    await till.client.drain()
    _execute(till, plant, kept[0])
    await till.client.drain()
    assert till.client.status.differences == 0
    world.ms += RECOUNT_MS
    await till.client.drain()
    assert till.client.status.differences == 1
    assert till.client.store.meta().disputed is None
    assert set(till.client.records("products")) == set(kept)


async def test_sums_that_are_wrong_cost_a_recount_and_nothing_else(world: World) -> None:
    """The copy is right, so nothing is reported and nothing pulled anew."""
    till = world.till("a")
    till.client.create("products", product())
    await till.client.drain()
    for damage in ("UPDATE sums SET sum = sum - 1", "DELETE FROM sums", "INSERT INTO sums VALUES (0, 'x', 'y', 1)"):
        _execute(till, damage)
        assert not (await till.client.sync_once()).more
        world.assert_settled(till)


async def test_a_difference_is_counted_once_however_often_it_is_told(world: World) -> None:
    """The fault is the server's: one report, one rebuild; what else changes there is no other difference."""
    till, other = world.till("a"), world.till("b")
    till.client.create("products", product())
    await till.client.drain()
    planted = {"collection": "products", "audience": "nobody", "sum": 1}
    world.server.edit = lambda answer: answer["digest"] and answer["digest"].append(planted)
    for name in ("Verdi", "Bianchi"):
        await till.client.drain()
        await till.client.drain()
        other.client.create("customers", {"name": name})
        await other.client.drain()
    await other.client.drain()
    resets = [request for request in world.server.requests if request.get("cursor") is None]
    assert len(resets) == 4, "each client's first pull, and a rebuild of either"
    assert (till.client.status.differences, other.client.status.differences) == (1, 1)
    planted["sum"] = 2
    await till.client.drain()
    assert till.client.status.differences == 2
    world.server.edit = lambda _answer: None
    await till.client.drain()
    assert till.client.store.meta().disputed is None
    assert set(till.client.records("customers")) == set(other.client.records("customers"))


def _execute(till: Till, statement: str, *values: str) -> None:
    till.client.store._database.connection.execute(statement, values)


async def test_what_is_shown_stays_until_the_new_copy_is_whole(world: World) -> None:
    """Beside the shown one, as every rebuild; a line that dies in the middle costs nothing."""
    till, other = world.till("a", page=2), world.till("b")
    kept = [till.client.create("products", product(str(n))).record_id for n in range(5)]
    await till.client.drain()
    _execute(till, "DELETE FROM base WHERE record_id = ?", kept[0])
    world.ms += RECOUNT_MS
    other.client.create("customers", {"name": "Verdi"})
    await other.client.drain()
    assert (await till.client.sync_once()).more
    till.line.script.extend(["lose_answer", "lose_request"])
    for _ in range(2):
        assert set(till.client.records("products")) == set(kept[1:])
        with pytest.raises(UnreachableError):
            await till.client.sync_once()
    await till.client.drain()
    assert set(till.client.records("products")) == set(kept)
    assert till.client.status.differences == 1


async def test_nothing_is_compared_while_mutations_are_under_way(world: World) -> None:
    """There is more to come."""
    till, other = world.till("a"), world.till("b")
    made = till.client.create("products", product())
    await till.client.drain()
    _execute(till, "UPDATE base SET version = 9")
    other.client.update("products", made.record_id, {"name": "Tè"})
    await other.client.drain()
    till.client.create("customers", {"name": "Verdi"})
    await till.client.sync_once()
    assert till.client.status.differences == 0
    await till.client.drain()
    assert till.client.status.differences == 1


async def test_the_sums_are_those_of_the_rows_whatever_is_written(world: World) -> None:
    """Older and newer versions, moves between buckets in either order, tombstones, lost buckets, erasures, swaps."""
    store, chance = world.till("a").client.store, random.Random(7)
    for _ in range(60):
        changes = [_change(chance) for _ in range(chance.randint(1, 8))]
        with store._database.transaction() as meta:
            store._base.write(meta, changes)
            match chance.randint(0, 9):
                case 0:
                    store._base.start_rebuild(meta)
                case 1:
                    store._base.swap(meta)
                case 2:
                    store._base.drop([{"collection": "products", "audience": chance.choice(AUDIENCES)}])
                case 3:
                    store._base.erase("products", changes[0]["record_id"])
                case _:
                    pass
            sides = [(side, store._base._sums.of(side)) for side in (0, 1)]
            for side, kept in sides:
                store._base._sums.recount(side)
                assert kept == store._base._sums.of(side)


def _change(chance: random.Random) -> Change:
    return {
        "collection": chance.choice(("products", "sales")),
        "record_id": str(chance.randint(1, 6)),
        "version": chance.randint(1, 9),
        "audience": chance.choice(AUDIENCES),
        "deleted": chance.random() < 0.3,
        "fields": {},
    }


async def test_what_was_deleted_too_long_ago_to_be_told_is_not_shown_for_ever(world: World) -> None:
    """Sent again for a new epoch, its creation gets its old verdict, and no page has anything of the record left."""
    till = world.till("a")
    gone, kept = (till.client.create("products", product()).record_id for _ in range(2))
    await till.client.drain()
    del world.server.records["products", gone]
    world.server.epoch = "another"
    await till.client.drain()
    await till.client.drain()
    assert set(till.client.records("products")) == {kept}
