"""The journal: how long it is kept, what a backup covers of it, and what is told when a server asks for more of it."""

from pathlib import Path

import pytest

from tests.client.memory_server import number_of
from tests.client.samples import product
from tests.client.support import Till, World, judged
from tests.client.test_numbering import copy_of


async def test_the_journal_is_kept_until_a_backup_covers_it_and_a_month_has_passed(world: World) -> None:
    """Neither alone is enough."""
    till = world.till("a")

    async def kept(safe: int) -> list[int]:
        world.server.safe = safe
        await till.client.drain()
        return [entry.mutation_id for entry in till.client.entries()]

    for name in ("One", "Two"):
        till.client.create("products", product(name))
    assert await kept(0) == [1, 2]
    world.ms += 31 * 24 * 3600 * 1000
    till.client.create("products", product("Three"))
    assert await kept(0) == [1, 2, 3]
    assert await kept(1) == [2, 3]
    assert await kept(3) == [3]


async def _pruned(world: World, till: Till, count: int, safe: int, bad: int = 0) -> None:
    """A till with so many sent and all up to `safe` pruned; number `bad` was rejected. The server's copy ends at 2."""
    for number in range(1, count + 1):
        till.client.create("products", product(str(number), price="?" if number == bad else "1.00"))
        await till.client.sync_once()
        if number == 2:
            world.server.snapshot()
    world.ms += 31 * 24 * 3600 * 1000
    world.server.safe = safe
    await till.client.drain()
    world.server.safe = 0


def _told(world: World) -> set[tuple[int | None, int]]:
    """From where a client said to go on, and with which number it did."""
    requests = [request for request in world.server.requests if request.get("resume_from")]
    return {(request.get("resume_from"), number_of(request["mutations"][0])) for request in requests}


@pytest.mark.parametrize("epoch", ["epoch-1", "epoch-2"])
@pytest.mark.parametrize("bad", [0, 4, 8, 9])
async def test_a_hole_is_told_whole_whatever_stays_in_the_journal_within_it(world: World, epoch: str, bad: int) -> None:
    """A rejected mutation is kept for ever, and says nothing of its neighbours: what was pruned is remembered."""
    till = world.till("a")
    await _pruned(world, till, 10, 8, bad)
    last = [entry.uid for entry in till.client.entries("settled")]
    world.server.rewind(epoch)
    world.server.forget_cursors()
    await till.client.drain()
    begins = 8 if bad == 8 else 9
    assert _told(world) == {(begins, begins)}
    assert [entry.mutation_id for entry in till.client.entries("settled")] == [*range(begins, begins + len(last))]
    assert till.client.store.meta().resume_from is None
    made = till.client.create("products", product("Next"))
    await till.client.drain()
    assert made.mutation_id == begins + len(last)
    assert till.client.status.pending == 0


async def test_what_was_erased_is_no_hole(world: World) -> None:
    """Nothing of it may be sent again: what comes after it moves up."""
    till = world.till("a")
    await _pruned(world, till, 2, 0)
    gone, kept = till.client.create("customers", {"name": "Verdi"}), till.client.create("products", product("Kept"))
    await till.client.drain()
    till.client.update("customers", gone.record_id, {"name": "Bianchi"})
    world.server.edit = judged(status="rejected", code="erased", version=None)
    await till.client.drain()
    world.server.edit = lambda _answer: None
    assert gone.uid not in {entry.uid for entry in till.client.entries()}
    world.server.rewind("epoch-2")
    await till.client.drain()
    assert _told(world) == set()
    assert [entry.mutation_id for entry in till.client.entries("settled") if entry.uid == kept.uid] == [3]


async def test_a_backup_of_a_lost_history_covers_nothing_of_the_next(world: World) -> None:
    """The new epoch's numbers begin low again: what is pruned is what its own backup has."""
    till = world.till("a")
    till.client.create("products", product("1"))
    await till.client.drain()
    world.server.snapshot()
    for number in range(2, 6):
        till.client.create("products", product(str(number)))
    world.server.safe = 5
    await till.client.drain()
    assert till.client.store.meta().safe_mutation_id == 5
    world.server.rewind("epoch-2")
    world.server.safe = 1
    await till.client.drain()
    assert till.client.store.meta().safe_mutation_id == 1


@pytest.mark.parametrize("safe", [0, 1])
async def test_a_backup_of_a_copied_client_covers_nothing_of_the_new_one(
    world: World, tmp_path: Path, safe: int
) -> None:
    """Its numbers begin at 1, and what the old id's answer says of a backup is about the old id's."""
    till = world.till("a")
    till.client.create("products", product("1"))
    await till.client.drain()
    copied = copy_of(world, till, tmp_path, "copy")
    till.client.create("products", product("2"))
    world.server.safe = 2
    await till.client.drain()
    await copied.client.sync_once()
    meta = copied.client.store.meta()
    assert meta.client_id != till.client.store.meta().client_id
    assert meta.safe_mutation_id == 0
    world.server.safe = safe
    copied.client.create("products", product("3"))
    await copied.client.drain()
    assert copied.client.store.meta().safe_mutation_id == safe
