"""Deletion, restoring and updating: existence is a field, and each collection says who wins among the blind."""

from itertools import permutations
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.merge import merge
from sync.outcome import Loser, Outcome
from sync.record import EXISTENCE, Record
from tests.kernel.making import at, client, mutation, note, shelf, writer
from tests.kernel.models import NOTES, SHELVES, TICKETS

DELETER = 9
"""Who deleted the record that the tests begin with; its creator too."""

BOTH = pytest.mark.parametrize("collection", [NOTES, SHELVES], ids=["delete_wins", "update_wins"])


def live(version: int = 1) -> Record:
    """A record that never was deleted; both collections' fields, so that it serves either."""
    record = note(version)
    record.fields |= shelf().fields
    return record


def tombstone() -> Record:
    """It was deleted as version 2."""
    record = live(2)
    record.deleted, record.clocks = True, {EXISTENCE: [2, at(-30_000), client(DELETER)]}
    return record


class Act(NamedTuple):
    """What one client does, knowing the record as of version `base`."""

    op: str
    base: int
    stamp: int = 0

    def on(self, record: Record, number: int, *, wins: str) -> Outcome:
        """Its outcome, by that client, in the collection whose rule is `wins`."""
        more: dict[str, Any] = {"fields": {"colour": f"of {number}"}} if self.op == "update" else {}
        made = mutation(self.op, stamp=self.stamp, base_version=self.base, **more)
        return merge(NOTES if wins == "delete_wins" else SHELVES, record, made, writer(number))


ACTS = [Act("delete", 1), Act("update", 1), Act("update", 2), Act("restore", 2)]
BLIND_DELETE = ACTS[0]


@pytest.mark.parametrize("wins", ["delete_wins", "update_wins"])
@given(st.lists(st.sampled_from(ACTS), min_size=1, max_size=3), st.lists(st.integers(-9, 9), min_size=3, max_size=3))
def test_who_did_not_see_each_other_end_alike_in_any_order(wins: str, acts: list[Act], stamps: list[int]) -> None:
    """The collection's rule alone decides: no order of arrival and no timestamp does."""
    brings_back = [act for act in acts if act.op != "delete" and (act.base == 2 or wins == "update_wins")]
    deleted = not brings_back or (wins == "delete_wins" and BLIND_DELETE in acts)
    for order in permutations(enumerate(acts, 1)):
        record = tombstone()
        for number, act in order:
            record = act._replace(stamp=stamps[number - 1]).on(record, number, wins=wins).record or record
        assert record.deleted == deleted


@BOTH
@pytest.mark.parametrize("stamp", [-3_600_000, 0, 3_600_000])
def test_a_chain_of_those_who_saw_each_other_ends_with_its_last(collection: Any, stamp: int) -> None:
    """Who saw the deletion brings back by restoring or updating; who saw that deletes again; clocks say nothing."""
    record = live()
    chain = [("delete", True), ("restore", False), ("delete", True), ("update", False), ("delete", True)]
    for op, deleted in chain:
        more: dict[str, Any] = {"fields": {"colour": "red"}} if op == "update" else {}
        made = mutation(op, stamp=stamp, base_version=record.version, **more)
        outcome = merge(collection, record, made, writer(record.version))
        assert (outcome.status, list(outcome.losers)) == ("applied", [])
        assert outcome.record is not None
        record = outcome.record
        assert record.deleted == deleted
    assert record.version == 6


def test_a_deletion_that_loses_is_recorded() -> None:
    """An update it did not see keeps the record; the verdict says that existence was superseded."""
    updated = Act("update", 1).on(live(), 2, wins="update_wins").record
    assert updated is not None
    outcome = Act("delete", 1).on(updated, 1, wins="update_wins")
    assert (outcome.status, outcome.record, list(outcome.superseded)) == ("merged", None, [EXISTENCE])
    assert list(outcome.losers) == [Loser(EXISTENCE, True, at(0), client(1))]  # noqa: FBT003  # the losing value


def test_a_restoring_that_loses_is_recorded() -> None:
    """Where deletions win, one the restorer did not see stands."""
    outcome = Act("restore", 1).on(tombstone(), 1, wins="delete_wins")
    assert (outcome.status, outcome.record, list(outcome.superseded)) == ("merged", None, [EXISTENCE])
    assert list(outcome.losers) == [Loser(EXISTENCE, False, at(0), client(1))]  # noqa: FBT003  # the losing value


@BOTH
def test_a_client_deletes_what_it_changed_itself(collection: Any) -> None:
    """Its own writes are seen, whatever base version it still has."""
    record = live()
    for op in ("update", "delete", "restore", "delete"):
        more: dict[str, Any] = {"fields": {"colour": "red"}} if op == "update" else {}
        outcome = merge(collection, record, mutation(op, base_version=1, **more), writer(1))
        assert (outcome.status, list(outcome.superseded)) == ("applied", [])
        assert outcome.record is not None
        record = outcome.record
    assert record.deleted


def test_values_that_meet_a_tombstone_return_with_a_restore() -> None:
    """A blind update and an increment are kept in it."""
    made = mutation("update", base_version=1, fields={"colour": "red"}, increments={"seen": "2.500", "paid": "1.00"})
    kept = merge(NOTES, tombstone(), made, writer(1)).record
    assert kept is not None
    assert kept.deleted
    restored = Act("restore", kept.version).on(kept, 2, wins="delete_wins").record
    assert restored is not None
    assert not restored.deleted
    assert [restored.fields[name] for name in ("colour", "seen", "paid")] == ["red", "2.500", "1.00"]


@BOTH
def test_an_increment_alone_brings_nothing_back(collection: Any) -> None:
    """It is kept in the tombstone, also by who saw the deletion."""
    counter = next(iter(collection.counters))
    outcome = merge(collection, tombstone(), mutation("update", base_version=2, increments={counter: "1.00"}), writer())
    assert outcome.record is not None
    assert outcome.record.deleted


@pytest.mark.parametrize("op", ["delete", "restore"])
@pytest.mark.parametrize("values", [{"fields": {"colour": "red"}}, {"increments": {"stock": "1.000"}}], ids=str)
def test_existence_carries_no_values(op: str, values: dict[str, Any]) -> None:
    """A deletion or restoring that brings values is refused whole: they would be lost. Empty members are none."""
    assert merge(SHELVES, live(), mutation(op, **values), writer()).code == "invalid"
    assert merge(SHELVES, live(), mutation(op, fields={}, increments={}), writer()).code is None


def test_a_creation_of_what_was_deleted_is_refused() -> None:
    """Deleted ids stay taken, also for the very same values."""
    record = tombstone()
    given_again = {name: record.fields[name] for name in NOTES.required}
    assert merge(NOTES, record, mutation("create", fields=given_again), writer()).code == "record_deleted"


def test_a_fact_is_not_deleted() -> None:
    """What happened can be voided."""
    outcome = merge(TICKETS, live(), mutation("delete", collection="tickets"), writer())
    assert (outcome.status, outcome.code) == ("rejected", "fact_not_deletable")
