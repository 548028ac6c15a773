"""What a record does to others: counted once, taken back exactly, in whatever order things arrive."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from sync.protocol import Mutation
from sync.wire import QUANTITY, decimal_text, units_of
from tests.kernel.making import client, mutation, record_id, shelf, uuid
from tests.kernel.memory import MemoryServer

SHELF_KEY = ("shelves", record_id(1))
COUNTER = (*SHELF_KEY, "stock")
MOST = 10**QUANTITY.digits - 1


class Sold(NamedTuple):
    """A ticket that was opened, and whether it was voided later."""

    units: int
    voided: bool


def queue_of(number: int, ticket: Sold) -> list[Mutation]:
    """What the till with that number has to send."""
    fields = {"shop": "bar", "shelf_id": record_id(1), "quantity": decimal_text(ticket.units, QUANTITY.places)}
    acts: list[dict[str, Any]] = [{"op": "create", "fields": fields}]
    if ticket.voided:
        acts.append({"op": "update", "fields": {"state": "void"}, "base_version": 1})
    return [
        mutation(collection="tickets", record=number, mutation_id=n, uid=uuid(number, n), **act)
        for n, act in enumerate(acts, 1)
    ]


def shelf_queue(number: int, units: int) -> list[Mutation]:
    """What the office sends: a shelf with a first stock, renamed, deleted and restored."""
    acts: list[dict[str, Any]] = [
        {"op": "create", "fields": {"name": "top"}, "increments": {"stock": decimal_text(units, QUANTITY.places)}},
        {"op": "update", "fields": {"name": "upper"}},
        {"op": "delete"},
        {"op": "restore"},
    ]
    return [mutation(collection="shelves", mutation_id=n, uid=uuid(number, n), **act) for n, act in enumerate(acts, 1)]


def arrive(server: MemoryServer, queues: dict[int, list[Mutation]], turns: Sequence[tuple[int, int]]) -> None:
    """Send the queues piecemeal, in the given (client, size) turns, then all that is left."""
    left = {number: list(queue) for number, queue in queues.items()}
    for number, size in [*turns, *((number, 99) for number in queues)]:
        queue = left.get(number, [])
        verdicts = server.push(client(number), queue[:size]).verdicts
        assert [verdict["status"] for verdict in verdicts] == ["applied"] * len(verdicts)
        del queue[:size]


TICKETS = st.lists(st.builds(Sold, st.integers(-5_000, 5_000), st.booleans()), min_size=1, max_size=4)
TURNS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 2)), max_size=12)


@given(tickets=TICKETS, turns=TURNS, stock=st.integers(-5_000, 5_000))
def test_stock_is_what_was_not_voided(tickets: list[Sold], turns: list[tuple[int, int]], stock: int) -> None:
    """Sales, voids and the shelf itself arrive in any order: the sum is the same, and nothing stays held."""
    server = MemoryServer()
    queues = {0: shelf_queue(0, stock)} | {number: queue_of(number, ticket) for number, ticket in enumerate(tickets, 1)}
    arrive(server, queues, turns)
    open_units = sum(ticket.units for ticket in tickets if not ticket.voided)
    assert units_of(server.records[SHELF_KEY].fields["stock"], QUANTITY.places) == stock - open_units
    assert {counter: units for counter, units in server.held.items() if units} == {}


@given(tickets=TICKETS, turns=TURNS)
def test_what_has_no_shelf_is_held(tickets: list[Sold], turns: list[tuple[int, int]]) -> None:
    """A sale may come before its product, and stays flagged; a void takes back what was held."""
    server = MemoryServer()
    arrive(server, {number: queue_of(number, ticket) for number, ticket in enumerate(tickets, 1)}, turns)
    assert server.held[COUNTER] == -sum(ticket.units for ticket in tickets if not ticket.voided)
    assert all(record.fields["flags"] == ["unknown_shelves"] for record in server.records.values())


@given(tickets=TICKETS, turns=TURNS)
def test_all_in_one_batch_is_the_same(tickets: list[Sold], turns: list[tuple[int, int]]) -> None:
    """The order within a transaction does not matter either."""
    apart, together = MemoryServer(), MemoryServer()
    queues = {0: shelf_queue(0, 1_000)} | {number: queue_of(number, ticket) for number, ticket in enumerate(tickets, 1)}
    arrive(apart, queues, turns)
    joined = [made for number in (*range(1, len(queues)), 0) for made in queues[number]]
    renumbered = [{**made, "mutation_id": number} for number, made in enumerate(joined, 1)]
    together.push(client(9), renumbered)  # type: ignore[arg-type]
    assert together.records[SHELF_KEY].fields["stock"] == apart.records[SHELF_KEY].fields["stock"]


def test_a_sale_sent_twice_takes_once() -> None:
    """A duplicate has no effect, nor has a second creation with the same values."""
    server = MemoryServer()
    arrive(server, {0: shelf_queue(0, 0), 1: queue_of(1, Sold(2_000, voided=False))}, [])
    again = queue_of(1, Sold(2_000, voided=False))
    server.push(client(1), again)
    server.push(client(2), [{**again[0], "uid": uuid(2, 1)}])
    assert server.records[SHELF_KEY].fields["stock"] == "-2.000"


def test_a_negative_stock_is_accepted_and_flagged() -> None:
    """A fact is never refused for another record's state."""
    server = MemoryServer()
    arrive(server, {0: shelf_queue(0, 1_000), 1: queue_of(1, Sold(1_001, voided=False))}, [(0, 4)])
    assert server.records[SHELF_KEY].fields["stock"] == "-0.001"
    assert server.records["tickets", record_id(1)].fields["flags"] == ["stock_negative"]


def test_a_sale_of_a_deleted_product_counts_in_its_tombstone() -> None:
    """And is flagged, for the product is gone."""
    server = MemoryServer()
    server.records[SHELF_KEY] = shelf(2, deleted=True, stock="5.000")
    arrive(server, {1: queue_of(1, Sold(2_000, voided=False))}, [])
    assert (server.records[SHELF_KEY].deleted, server.records[SHELF_KEY].fields["stock"]) == (True, "3.000")
    assert server.records["tickets", record_id(1)].fields["flags"] == ["unknown_shelves"]


def test_an_effect_moves_the_shelf_on_the_way_down() -> None:
    """What an effect changed has a new version and is stored; what it did not touch is not."""
    server = MemoryServer()
    server.records[SHELF_KEY] = shelf(7)
    arrive(server, {1: queue_of(1, Sold(2_000, voided=False))}, [])
    assert server.records[SHELF_KEY].version == 8
    note = mutation("update", collection="tickets", fields={"note": "x"}, base_version=1, uid=uuid(3, 1))
    server.push(client(3), [note])
    assert server.records[SHELF_KEY].version == 8


def test_an_effect_follows_its_record() -> None:
    """Changed, moved to another shelf, deleted, changed as a tombstone, restored: each shelf has what stands."""
    server, other = MemoryServer(), ("shelves", record_id(2))
    server.records |= {SHELF_KEY: shelf(), other: shelf()}
    chain: list[tuple[str, dict[str, str], list[str]]] = [
        ("create", {"shelf_id": record_id(1), "quantity": "2.000"}, ["-2.000", "0.000"]),
        ("update", {"quantity": "3.000"}, ["-3.000", "0.000"]),
        ("update", {"shelf_id": record_id(2)}, ["0.000", "-3.000"]),
        ("delete", {}, ["0.000", "0.000"]),
        ("delete", {}, ["0.000", "0.000"]),
        ("restore", {}, ["0.000", "-3.000"]),
        ("delete", {}, ["0.000", "0.000"]),
        ("update", {"quantity": "1.000", "shelf_id": record_id(1)}, ["-1.000", "0.000"]),
    ]
    for number, (op, fields, stocks) in enumerate(chain, 1):
        made = mutation(op, collection="reservations", record=9, mutation_id=number, uid=uuid(1, number), fields=fields)
        assert server.push(client(1), [made]).verdicts[0]["status"] == "applied"
        assert [server.records[key].fields["stock"] for key in (SHELF_KEY, other)] == stocks


def test_an_effect_beyond_the_column_is_held_and_comes_back() -> None:
    """A sale too large to count is accepted and flagged; with its void the stock is as it was, to the unit."""
    server = MemoryServer()
    server.records[SHELF_KEY] = shelf(stock=decimal_text(-MOST, QUANTITY.places))
    sale, void = queue_of(1, Sold(1, voided=True))
    other, other_void = queue_of(2, Sold(-1, voided=True))
    queue = [sale, other, void, other_void]
    server.push(client(1), [{**made, "mutation_id": n} for n, made in enumerate(queue, 1)])
    assert "stock_out_of_range" in server.records["tickets", record_id(1)].fields["flags"]
    assert units_of(server.records[SHELF_KEY].fields["stock"], QUANTITY.places) == -MOST
    assert server.held[COUNTER] == 0


def test_a_sale_of_what_was_deleted_long_ago_leaves_the_bare_id_alone() -> None:
    """No sum is left to add to; a new place in the sequence would bring a record without values back to everybody."""
    server = MemoryServer()
    server.records[SHELF_KEY] = replace(shelf(2, deleted=True), seq=0)
    arrive(server, {2: queue_of(2, Sold(3_000, voided=False))}, [])
    assert (server.records[SHELF_KEY].seq, server.records[SHELF_KEY].version) == (0, 2)
    assert server.held[COUNTER] == -3_000
