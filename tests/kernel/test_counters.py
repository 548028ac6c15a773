"""Counters: the sum of what was accepted, to the last unit, and nothing beyond the column's range."""

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sync.merge import merge
from sync.wire import MONEY, QUANTITY, decimal_text, units_of
from tests.kernel.histories import History, histories, play
from tests.kernel.making import NOTE, client, mutation, note, record_id, uuid, writer
from tests.kernel.memory import MemoryServer
from tests.kernel.models import NOTES

MOST = "99999999.99"


@given(histories())
def test_a_counter_is_the_sum_of_accepted_deltas(history: History) -> None:
    """Whatever else happens to the record: deletions, conflicts, restores, doubled requests."""
    server, collection = MemoryServer(), history.collection
    counters = server.registry.collections[collection].counters
    sums = dict.fromkeys(counters, Decimal(0))
    for played in play(server, history):
        server.push(played.client_id, [played.mutation])
        if played.judgement.verdicts[0]["code"] is None:  # neither refused nor left for a person as a whole
            for name, delta in played.mutation.get("increments", {}).items():
                sums[name] += Decimal(delta)
        record = server.records[collection, record_id(1)]
        assert {name: Decimal(record.fields[name]) for name in counters} == sums


@given(deltas=st.lists(st.integers(-(10**10) + 1, 10**10 - 1), max_size=10))
def test_a_sum_beyond_the_column_is_refused_alone(deltas: list[int]) -> None:
    """64-bit cents inside; what would leave DECIMAL(10,2) rejects its mutation, and the others count."""
    server, total = MemoryServer(), 0
    server.records["notes", record_id(1)] = note()
    for number, units in enumerate(deltas, 1):
        made = mutation("update", mutation_id=number, uid=uuid(1, number), increments={"paid": decimal_text(units, 2)})
        (verdict,) = server.push(client(1), [made]).verdicts
        fits = abs(total + units) < 10**MONEY.digits
        assert verdict["code"] == (None if fits else "out_of_range")
        total += units if fits else 0
    assert units_of(server.records["notes", record_id(1)].fields["paid"], MONEY.places) == total


def test_a_refused_mutation_counts_nothing() -> None:
    """One counter out of range, or one field refused, and no counter of the mutation moves."""
    record = note(paid=MOST)
    beyond: dict[str, Any] = {"increments": {"seen": "1.000", "paid": "0.01"}}
    immutable: dict[str, Any] = {"increments": {"seen": "1.000"}, "fields": {"kind": "other"}}
    for more in (beyond, immutable):
        outcome = merge(NOTES, record, mutation("update", **more), writer())
        assert (outcome.status, outcome.record) == ("rejected", None)
    assert (record.fields["seen"], record.fields["paid"]) == ("0.000", MOST)


def test_a_losing_update_still_counts() -> None:
    """Deltas commute: they are added though every value beside them loses."""
    record = note(2, clocks={"title": [2, "2026-11-23T12:00:01.000Z", client(2)]})
    made = mutation("update", base_version=1, fields={"title": "late"}, increments={"seen": "1.000"})
    outcome = merge(NOTES, record, made, writer(1))
    assert list(outcome.superseded) == ["title"]
    assert outcome.record is not None
    assert outcome.record.fields["seen"] == "1.000"


def test_a_creation_brings_its_first_deltas() -> None:
    """They start from zero and keep to the range."""
    outcome = merge(NOTES, None, mutation("create", fields=NOTE, increments={"paid": "-12.50"}), writer())
    assert outcome.record is not None
    assert (outcome.record.fields["paid"], outcome.record.fields["seen"]) == ("-12.50", "0.000")


def test_a_second_creation_brings_no_deltas() -> None:
    """The same values again are fine; with increments they would be lost, so that one is refused."""
    record = merge(NOTES, None, mutation("create", fields=NOTE), writer(2)).record
    same, zero, more = (
        merge(NOTES, record, mutation("create", fields=NOTE, increments=increments), writer(1))
        for increments in ({}, {"paid": "0.00"}, {"paid": "5.00"})
    )
    assert [(o.status, o.code) for o in (same, zero)] == [("applied", None)] * 2
    assert (more.status, more.code) == ("rejected", "already_exists")


def test_a_delta_of_nothing_changes_nothing() -> None:
    """No new version for zero."""
    outcome = merge(NOTES, note(), mutation("update", base_version=1, increments={"paid": "0.00"}), writer())
    assert (outcome.status, outcome.record) == ("applied", None)


@given(st.lists(st.integers(-(10**9), 10**9), max_size=6))
def test_deltas_add_up_exactly(deltas: list[int]) -> None:
    """Three decimals stay exact: no rounding on the way."""
    record = note()
    for number, units in enumerate(deltas):
        made = mutation("update", increments={"seen": decimal_text(units, QUANTITY.places)})
        record = merge(NOTES, record, made, writer(number)).record or record
    assert Decimal(record.fields["seen"]) == Decimal(sum(deltas)).scaleb(-QUANTITY.places)
