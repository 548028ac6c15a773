"""Random days: chains of offline edits on two tills, a network that loses things, a server that forgets.

Whatever happened, once the queues are drained both screens are the server's, every mutation has exactly one verdict,
and the sums are right.
"""

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sync.client.errors import BatchTooLargeError, TroubleError
from tests.client.samples import product, sale
from tests.client.support import Till, World, problem

Step = tuple[int, str, int]
"""(which till, what, a number that picks among what there is)."""

EDITS = ("create", "rename", "stock", "delete", "restore", "bad", "sell", "void")
NETWORK = ("sync", "lose_answer", "lose_request", "busy", "large", "forget")


def steps(*kinds: str) -> st.SearchStrategy[list[Step]]:
    """Days of up to forty steps."""
    return st.lists(st.tuples(st.integers(0, 1), st.sampled_from(kinds), st.integers(0, 9)), max_size=40)


def picked(till: Till, collection: str, number: int) -> str:
    """One of the records this till ever heard of, or one that nobody knows."""
    made = {entry.record_id for entry in till.client.entries() if entry.collection == collection}
    known = sorted(made | till.client.records(collection).keys())
    return known[number % len(known)] if known else "01931e1e-0000-7000-8000-000000000000"


def edit(till: Till, kind: str, number: int) -> None:
    """Something a person does."""
    client = till.client
    record_id = picked(till, "sales" if kind == "void" else "products", number)
    actions: dict[str, Callable[[], Any]] = {
        "create": lambda: client.create("products", product(f"Nr. {number}"), increments={"stock": str(number)}),
        "rename": lambda: client.update("products", record_id, {"name": f"Name {number}"}),
        "stock": lambda: client.update("products", record_id, increments={"stock": f"-{number}.5"}),
        "delete": lambda: client.delete("products", record_id),
        "restore": lambda: client.restore("products", record_id),
        "bad": lambda: client.update("products", record_id, {"price": "?"}, increments={"stock": "100"}),
        "sell": lambda: client.sell(sale()),
        "void": lambda: client.update("sales", record_id, {"status": "voided"}),
    }
    actions[kind]()


async def exchange(till: Till, kind: str) -> None:
    """One request, which may go wrong."""
    if kind in {"lose_answer", "lose_request"}:
        till.line.script.append(kind)  # type: ignore[arg-type]  # narrowed by the line above
    elif kind in {"busy", "large"}:
        till.line.script.append(problem(503 if kind == "busy" else 413))
    with suppress(TroubleError, BatchTooLargeError):
        await till.client.sync_once()


async def live_through(world: World, tills: list[Till], day: list[Step]) -> None:
    """Do a day's steps, some milliseconds apart, then drain until everybody heard of everything."""
    for who, kind, number in day:
        world.ms += number * 7
        till = tills[who % len(tills)]
        if kind in EDITS:
            edit(till, kind, number)
        elif kind == "forget":
            world.server.forget_cursors()
        elif kind == "backup":
            world.server.snapshot()
        elif kind == "rewind":
            world.server.rewind(f"epoch {len(world.server.requests)}") if world.server._snapshots else None
        else:
            await exchange(till, kind)
    for till in [*tills, *tills]:
        till.line.script.clear()
        await till.client.drain()


def assert_sums(world: World, tills: list[Till]) -> None:
    """A counter is the sum of what was accepted."""
    sums: dict[str, Decimal] = {}
    for entry in (entry for till in tills for entry in till.client.entries("settled")):
        delta = entry.content.get("increments", {}).get("stock", "0")
        sums[entry.record_id] = sums.get(entry.record_id, Decimal(0)) + Decimal(delta)
    for record_id, fields in world.server.view("products").items():
        assert Decimal(fields["stock"]) == sums[record_id]


@given(steps(*EDITS, *NETWORK), st.integers(1, 5))
async def test_two_tills_agree_with_the_server_in_the_end(day: list[Step], page: int) -> None:
    """Lost answers, small batches and pages, resets: nothing is lost, nothing is done twice."""
    world = World()
    tills = [world.till("a", page=page, batch=3), world.till("b", page=7 - page, batch=2)]
    await live_through(world, tills, day)
    world.assert_settled(*tills)
    assert_sums(world, tills)
    for till in tills:
        entries = till.client.entries()
        assert [entry.mutation_id for entry in entries] == list(range(1, len(entries) + 1))
    await world.aclose()


@given(steps(*EDITS, *NETWORK))
async def test_a_till_never_conflicts_with_itself(day: list[Step]) -> None:
    """However many edits it queued, whatever got lost: alone it loses no value."""
    world = World()
    till = world.till("a", batch=3)
    await live_through(world, [till], day)
    world.assert_settled(till)
    for entry in till.client.entries("settled"):
        assert entry.verdict is not None
        assert (entry.verdict["status"], entry.verdict["superseded"]) == ("applied", [])
    await world.aclose()


@given(steps(*EDITS, *NETWORK, "backup", "rewind", "rewind"), st.integers(1, 5))
async def test_a_server_restored_from_backups_gets_everything_back(day: list[Step], page: int) -> None:
    """Each rewind is a new epoch; the journals bring back what it lost, once."""
    world = World()
    tills = [world.till("a", page=page, batch=4), world.till("b", page=3, batch=2)]
    await live_through(world, tills, day)
    for till in tills:
        for name in ("products", "sales"):
            seen = {record_id: record.fields for record_id, record in till.client.records(name).items()}
            assert world.server.view(name) == seen
        assert all(entry.verdict is not None for entry in till.client.entries())
        assert {len(world.server.verdicts[entry.uid]) for entry in till.client.entries("settled")} <= {1}
    assert_sums(world, tills)
    await world.aclose()
