"""Numbers and histories: copies, gaps and rewound servers cost a renumbering, never a mutation."""

import shutil
from pathlib import Path

import pytest

from sync.client.errors import UnexpectedAnswerError
from sync.protocol import verdict
from tests.client.memory_server import uids
from tests.client.samples import product, sale
from tests.client.support import Till, World, judged, problem


def copy_of(world: World, till: Till, folder: Path, name: str) -> Till:
    """A till with a copy of another's database, as after restoring a phone."""
    till.client.store._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(folder / "a.db", folder / f"{name}.db")
    copied = world.till(name)
    copied.client.sign_in("owner:a")  # the same device, as the server sees it
    return copied


async def test_a_copied_database_takes_an_id_of_its_own(world: World, tmp_path: Path) -> None:
    """Both went on from the same number: the second to come is told of the fork, and keeps its uids."""
    till = world.till("a")
    till.client.create("products", product("Before"))
    await till.client.drain()
    copied = copy_of(world, till, tmp_path, "copy")
    till.client.create("products", product("Original"))
    mine = [copied.client.create("products", product(name)).uid for name in ("Copy 1", "Copy 2")]
    await till.client.drain()
    await copied.client.drain()
    await till.client.drain()
    assert copied.client.store.meta().client_id != till.client.store.meta().client_id
    assert [(entry.uid, entry.mutation_id) for entry in copied.client.entries()][1:] == [(mine[0], 1), (mine[1], 2)]
    assert len(world.server.view("products")) == 4
    assert copied.client.create("products", product("Copy 3")).mutation_id == 3
    for one in (copied, till):
        await one.client.drain()
    world.assert_settled(till, copied)


async def test_what_waits_is_sent_again_under_a_new_id(world: World, tmp_path: Path) -> None:
    """The end of its waiting would be told to the old id, so the new one asks for it."""
    till = world.till("a")
    made = till.client.create("products", product())
    world.server.edit = judged(status="waiting", version=None)
    await till.client.drain()
    copied = copy_of(world, till, tmp_path, "copy")
    world.server.edit = lambda _answer: None
    till.client.create("products", product("Original"))
    copied.client.create("products", product("Copy"))
    await till.client.drain()
    await copied.client.drain()
    assert copied.client.status.waiting == 0
    assert uids(world.server.requests)[-1][0] == made.uid
    assert len(world.server.view("products")) == 3


async def test_what_waited_and_is_not_known_any_more_is_to_be_looked_at(world: World, tmp_path: Path) -> None:
    """A waiting mutation was never taken: where no verdict of it is kept, nobody may believe that it was."""
    till = world.till("a")
    made = till.client.create("products", product())
    world.server.edit = judged(status="waiting", version=None)
    await till.client.drain()
    assert [(entry.state, entry.settled_at) for entry in till.client.entries()] == [("waiting", None)]
    copied = copy_of(world, till, tmp_path, "copy")
    till.client.create("products", product("Original"))
    copied.client.create("products", product("Copy"))
    world.server.edit = judged(status="rejected", code="verdict_expired", duplicate=True, version=None)
    await till.client.drain()
    await copied.client.drain()
    assert made.uid in {entry.uid for entry in copied.client.rejected()}


async def test_what_both_copies_had_queued_is_done_once(world: World, tmp_path: Path) -> None:
    """A database copied with a full queue: the uids are the same, so the second hears the first's verdicts."""
    till = world.till("a")
    made = till.client.create("products", product(), increments={"stock": "7"})
    copied = copy_of(world, till, tmp_path, "copy")
    copied.client.create("products", product("Only here"))
    await till.client.drain()
    await copied.client.drain()
    await till.client.drain()
    assert world.server.view("products")[made.record_id]["stock"] == "7.000"
    world.assert_settled(till, copied)


async def test_a_copy_notices_at_its_first_pull(world: World, tmp_path: Path) -> None:
    """A last id above any it issued: somebody else goes by its name, so it takes another at once."""
    till = world.till("a")
    copied = copy_of(world, till, tmp_path, "copy")
    till.client.create("products", product())
    await till.client.drain()
    before = copied.client.store.meta().client_id
    await copied.client.sync_once()
    assert copied.client.store.meta().client_id != before
    made = copied.client.create("products", product("Later"))
    assert made.mutation_id == 1
    await copied.client.drain()
    await till.client.drain()
    world.assert_settled(till, copied)


async def test_an_edit_after_a_fork_has_still_seen_its_own_creation(world: World, tmp_path: Path) -> None:
    """The record was made under the old id; the queued deletion does not lose against it."""
    till = world.till("a")
    till.line.script += ["lose_answer"]
    made = till.client.create("products", product())
    with pytest.raises(Exception, match="no answer"):
        await till.client.sync_once()
    copied = copy_of(world, till, tmp_path, "copy")
    copied.client.delete("products", made.record_id)
    till.client.create("products", product("Original"))
    await till.client.drain()
    await copied.client.drain()
    assert made.record_id not in world.server.view("products")
    assert [entry.verdict and entry.verdict["status"] for entry in copied.client.entries()] == ["applied", "applied"]


async def test_a_gap_is_filled_from_the_journal(world: World) -> None:
    """The server forgot acknowledged mutations without knowing it: it gets them again, under their numbers."""
    till = world.till("a")
    first = till.client.create("products", product(), increments={"stock": "4"})
    await till.client.drain()
    world.server.snapshot()
    till.client.update("products", first.record_id, increments={"stock": "-1"})
    till.client.update("products", first.record_id, increments={"stock": "-1"})
    await till.client.drain()
    world.server.rewind("epoch-1")
    till.client.update("products", first.record_id, {"name": "Last"})
    await till.client.drain()
    assert [entry.mutation_id for entry in till.client.entries()] == [1, 2, 3, 4]
    assert world.server.view("products")[first.record_id]["stock"] == "2.000"
    assert till.client.status.pending == 0


async def test_a_gap_that_nothing_fills_is_closed(world: World) -> None:
    """A rejected mutation is not sent again by itself, so those after it move up, with their uids."""
    till = world.till("a")
    till.client.create("products", product("One"))
    await till.client.drain()
    world.server.snapshot()
    till.client.create("products", product(price="?"))
    third = till.client.create("products", product("Three"))
    await till.client.drain()
    world.server.rewind("epoch-1")
    fourth = till.client.create("products", product("Four"))
    await till.client.drain()
    numbers = {entry.uid: entry.mutation_id for entry in till.client.entries("settled")}
    assert [numbers[third.uid], numbers[fourth.uid]] == [2, 3]
    assert till.client.status.pending == 0


async def test_a_new_epoch_gets_the_journal_and_then_the_queue(world: World) -> None:
    """The server was restored from a backup: all that was taken is sent again, and the sums are right."""
    till, other = world.till("a"), world.till("b")
    made = till.client.create("products", product(), increments={"stock": "10"})
    await till.client.drain()
    await other.client.drain()
    world.server.snapshot()
    till.client.update("products", made.record_id, {"name": "Espresso"}, increments={"stock": "-1"})
    lost = till.client.create("products", product("Lost"))
    till.client.delete("products", lost.record_id)
    other.client.update("products", made.record_id, increments={"stock": "-2"})
    await till.client.drain()
    await other.client.drain()
    world.server.rewind("epoch-2")
    till.client.update("products", made.record_id, {"name": "Ristretto"})
    await till.client.drain()
    await other.client.drain()
    await till.client.drain()
    fields = world.server.view("products")[made.record_id]
    assert (fields["name"], fields["stock"]) == ("Ristretto", "7.000")
    assert lost.record_id not in world.server.view("products")
    world.assert_settled(till, other)


async def test_the_screen_does_not_count_twice_while_the_journal_is_sent_again(world: World) -> None:
    """The old copy holds the effect of what is queued again; until the swap nothing is replayed over it."""
    till = world.till("a", page=1)
    made = till.client.create("products", product(), increments={"stock": "10"})
    till.client.create("products", product("Another"))
    await till.client.drain()
    world.server.snapshot()
    till.client.update("products", made.record_id, increments={"stock": "-3"})
    await till.client.drain()
    world.server.rewind("epoch-2")
    till.client.update("products", made.record_id, increments={"stock": "-1"})
    stocks = []
    while (await till.client.sync_once()).more or till.client.status.pending:
        stocks.append(till.client.records("products")[made.record_id].fields["stock"])
    assert set(stocks) == {"6.000"}
    world.assert_settled(till)


async def test_old_versions_do_not_take_new_edits_off_the_screen(world: World) -> None:
    """The lost history had come further than the new one: its version numbers say nothing about new verdicts."""
    till, other = world.till("a", page=1), world.till("b")
    made = till.client.create("products", product())
    for index in range(3):
        till.client.create("products", product(f"Nr. {index}"))
    await till.client.drain()
    await other.client.drain()
    world.server.snapshot()
    for index in range(5):
        other.client.update("products", made.record_id, {"name": f"Lost {index}"})
    await other.client.drain()
    await till.client.drain()
    world.server.rewind("epoch-2")
    till.client.update("products", made.record_id, {"name": "New"})
    names = []
    while (await till.client.sync_once()).more or till.client.status.pending:
        names.append(till.client.records("products")[made.record_id].fields["name"])
    assert (set(names), len(names) > 2) == ({"New"}, True)
    world.assert_settled(till)


async def test_an_edit_made_while_the_copy_is_rebuilt_has_seen_nothing_of_the_new_epoch(world: World) -> None:
    """Versions of the lost history mean nothing in the new one."""
    till = world.till("a", page=1)
    made = till.client.create("products", product())
    till.client.create("products", product("Another"))
    await till.client.drain()
    world.server.snapshot()
    till.client.update("products", made.record_id, {"name": "Two"})
    await till.client.drain()
    world.server.rewind("epoch-2")
    await till.client.sync_once()
    till.client.update("products", made.record_id, {"name": "Three"})
    content = till.client.entries()[-1].content
    assert (content["base_version"], content["epoch"]) == (0, "epoch-2")
    await till.client.drain()
    world.assert_settled(till)


async def test_a_rewind_that_nobody_noticed_is_noticed_here(world: World) -> None:
    """The server says a lower last id than it took: it gets what came after it, also when nothing new is queued."""
    till = world.till("a")
    made = till.client.create("products", product(), increments={"stock": "10"})
    await till.client.drain()
    world.server.snapshot()
    till.client.update("products", made.record_id, increments={"stock": "-4"})
    await till.client.drain()
    world.server.rewind("epoch-1")
    world.server.forget_cursors()
    await till.client.drain()
    assert world.server.view("products")[made.record_id]["stock"] == "6.000"
    world.assert_settled(till)


async def test_a_renumbered_mutation_that_is_lost_once_more_is_still_known(world: World) -> None:
    """Lost answers during a recovery are like any others: uids tell."""
    till = world.till("a", batch=2)
    made = till.client.create("products", product(), increments={"stock": "9"})
    await till.client.drain()
    world.server.snapshot()
    for _ in range(5):
        till.client.update("products", made.record_id, increments={"stock": "-1"})
    await till.client.drain()
    world.server.rewind("epoch-2")
    till.line.script += ["lose_answer", "lose_request", "lose_answer", "lose_answer", "lose_request"]
    await till.client.drain()
    assert world.server.view("products")[made.record_id]["stock"] == "4.000"
    world.assert_settled(till)


async def test_a_server_that_renumbers_for_ever_is_left_alone(world: World) -> None:
    """After a few rounds of it the client backs off, and the queue is whole."""
    till = world.till("a")
    made = till.client.create("products", product())
    gap = b'{"code": "mutation_gap", "verdicts": [], "last_mutation_id": 0, "expected_mutation_id": 1}'
    for _ in range(6):
        fault = problem(409)
        fault._content = gap
        till.line.script.append(fault)
    for _ in range(5):
        await till.client.sync_once()
    with pytest.raises(UnexpectedAnswerError, match="again and again"):
        await till.client.sync_once()
    await till.client.drain()
    assert uids(world.server.requests)[-1] == [made.uid]


async def test_an_answer_that_comes_too_late_is_void(world: World, tmp_path: Path) -> None:
    """Another process on the same file went on to a new epoch meanwhile: an older answer's verdicts do not count."""
    till = world.till("a")
    till.client.create("products", product())
    world.server.snapshot()
    store = till.client.store

    def rewound_meanwhile() -> None:
        till.line.before = lambda: None
        with store._database.transaction() as meta:
            meta.epoch = "epoch-0"

    await till.client.sync_once()
    till.client.create("products", product("Two"))
    till.line.before = rewound_meanwhile
    assert (await till.client.sync_once()).renumbered
    assert till.client.status.pending == 1
    await till.client.drain()
    world.assert_settled(till)


async def test_what_was_settled_before_is_so_still_where_no_verdict_is_kept(world: World) -> None:
    """A server gone back in time asks for the journal again; what it answered long ago is nothing to look at."""
    till = world.till("a", role="terminal")
    old = till.client.sell(sale())
    await till.client.drain()
    new = till.client.sell(sale())
    with till.client.store._database.transaction() as meta:
        till.client.store._taking._recovery.begin_epoch(meta, "another", 0)
    expired = [
        verdict(number, uid, "rejected", duplicate=True, code="verdict_expired")
        for number, uid in enumerate((old.uid, new.uid), 1)
    ]
    with till.client.store._database.transaction():
        till.client.store._queue.settle(expired, "2026-11-24T10:00:00.000Z")
    assert [entry.uid for entry in till.client.entries("settled")] == [old.uid]
    assert [entry.uid for entry in till.client.rejected()] == [new.uid]
