"""A local copy that is not what the server has: noticed by the digest, counted, and made whole under the eyes."""

import pytest

from sync.client.errors import UnreachableError
from tests.client.samples import product, sale
from tests.client.support import World
from tests.client.test_real_server import Shop, open_shop, shop

__all__ = ["open_shop", "shop"]  # fixtures


async def test_a_damaged_copy_is_noticed_and_made_whole(open_shop: Shop) -> None:
    """A row was lost on the device; the next news bring the digest, and with it the whole copy anew."""
    office, till = open_shop.client("office", open_shop.owner), open_shop.client("till", open_shop.till)
    kept = [office.create("products", product(name)).record_id for name in ("Caffè", "Tè", "Latte")]
    await office.drain()
    await till.drain()
    till.store._database.connection.execute("DELETE FROM base WHERE record_id = ?", (kept[1],))
    assert set(till.records("products")) == {kept[0], kept[2]}
    office.sell(sale())
    await office.drain()
    await till.drain()
    assert set(till.records("products")) == set(kept)
    assert (till.status.differences, office.status.differences) == (1, 0)


async def test_what_is_shown_stays_until_the_new_copy_is_whole(world: World) -> None:
    """Beside the shown one, as every rebuild; a line that dies in the middle costs nothing."""
    till, other = world.till("a", page=2), world.till("b")
    kept = [till.client.create("products", product(str(n))).record_id for n in range(5)]
    await till.client.drain()
    till.client.store._database.connection.execute("DELETE FROM base WHERE record_id = ?", (kept[0],))
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


async def test_nothing_is_compared_while_nothing_changed_or_mutations_are_under_way(world: World) -> None:
    """A check reads the whole copy: it is made when it can find something, at rest."""
    till, other = world.till("a"), world.till("b")
    made = till.client.create("products", product())
    await till.client.drain()
    assert till.client.store.meta().digest is None
    await till.client.drain()
    agreed = till.client.store.meta().digest
    assert agreed is not None
    till.client.store._database.connection.execute("UPDATE base SET version = 9")
    await till.client.drain()
    assert (till.client.status.differences, till.client.store.meta().digest) == (0, agreed)
    other.client.update("products", made.record_id, {"name": "Tè"})
    await other.client.drain()
    till.client.create("customers", {"name": "Verdi"})
    await till.client.sync_once()
    assert (till.client.status.differences, till.client.store.meta().digest) == (0, None)
    await till.client.drain()
    assert till.client.status.differences == 1


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
