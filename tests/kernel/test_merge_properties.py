"""What holds for every history: merging is a function, nothing is lost silently, stamps only grow."""

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from sync.clock import MAX_AHEAD_MS
from sync.merge import merge
from sync.outcome import Loser
from sync.record import EXISTENCE, Clock, Record
from tests.kernel.histories import History, Played, Step, histories, play
from tests.kernel.making import EPOCH, at, client, mutation, note, writer
from tests.kernel.memory import MemoryServer
from tests.kernel.models import NOTES, SHELVES

COUNTERS = NOTES.counters.keys() | SHELVES.counters.keys()


def known(record: Record, clock: Clock, played: Played) -> bool:
    """Whether the mutation saw that write: by its version, or because it is the client's own."""
    return bool(clock[0] <= played.mutation["base_version"] or clock[2] == played.client_id)


def losers(played: Played) -> list[Loser]:
    """The values this mutation cost, its own or others'."""
    return [lost.loser for lost in played.judgement.lost]


def conclude(played: Played) -> tuple[Record, Record, str]:
    """The record before and after, and the verdict's status."""
    assert played.before is not None
    assert played.after is not None
    return played.before, played.after, played.judgement.verdicts[0]["status"]


@given(histories())
def test_merging_is_deterministic_and_leaves_its_arguments_alone(history: History) -> None:
    """The same mutation on the same record gives the same outcome, and neither is changed."""
    server = MemoryServer()
    collection = server.registry.collections[history.collection]
    for played in play(server, history):
        have, mutated = deepcopy(played.before), deepcopy(played.mutation)
        hand = writer(now=played.now)
        first = merge(collection, have, mutated, hand)
        assert (have, mutated) == (played.before, played.mutation)
        assert merge(collection, have, mutated, hand) == first


def weighed(server: MemoryServer, played: Played) -> set[str]:
    """What of this mutation is a candidate for a person to decide about: fields, or the record as a whole."""
    conflicts = [record.fields for (name, _), record in server.records.items() if name == "conflicts"]
    uid = played.mutation["uid"]
    return {one["field"] for one in conflicts if uid in {candidate["uid"] for candidate in one["candidates"]}}


@given(histories())
def test_every_value_is_kept_or_recorded_or_refused(history: History) -> None:
    """A sent value is in the record, a loser or a candidate, or nothing of its mutation applied."""
    server = MemoryServer()
    for played in play(server, history):
        before, after, status = conclude(played)
        if status == "rejected":
            assert (after, losers(played)) == (before, [])
            assert [raw for _, raw in played.judgement.refused] == [played.mutation]
            continue
        mine = {loser.field: loser.value for loser in losers(played) if loser.author == played.client_id}
        asked = weighed(server, played)
        for name, value in played.mutation.get("fields", {}).items():
            assert after.fields[name] == value or asked & {name, "record"} or mine[name] == value
        assert played.judgement.verdicts[0]["superseded"] == list(mine)


@given(histories())
def test_an_overwritten_value_was_seen_or_is_recorded(history: History) -> None:
    """Who overwrites what he never saw leaves it on record, with its author and its time."""
    for played in play(MemoryServer(), history):
        before, after, _ = conclude(played)
        for name, value in before.fields.items():
            clock = before.clock(name)
            if after.fields[name] != value and name not in COUNTERS and not known(before, clock, played):
                assert Loser(name, value, clock[1], clock[2]) in losers(played)


@given(histories())
def test_stamps_only_grow_whatever_the_clocks_say(history: History) -> None:
    """Field by field: a new write is later than the one it follows, and never far ahead of the server."""
    for played in play(MemoryServer(), history):
        before, after, _ = conclude(played)
        for name in (EXISTENCE, *before.fields):
            old, new = before.clock(name), after.clock(name)
            assert new == old or (new[0] == after.version == before.version + 1 and new[1] > old[1])
            assert new[1] <= at(played.now + MAX_AHEAD_MS + after.version)  # each write adds a millisecond at most


@given(histories())
def test_a_version_counts_what_changed(history: History) -> None:
    """A record's version goes up by one where something of it changed, and stays where nothing did."""
    for played in play(MemoryServer(), history):
        before, after, _ = conclude(played)
        content = [(r.fields, r.clocks, r.deleted) for r in (before, after)]
        assert after.version - before.version == (content[0] != content[1])


@given(histories())
def test_nobody_loses_to_himself(history: History) -> None:
    """Among any others: what a client loses, it loses to somebody else; what it takes over unseen is not its own."""
    for played in play(MemoryServer(), history):
        before, _, _ = conclude(played)
        for loser in losers(played):
            if loser.author == played.client_id:
                written = [before.clock(loser.field)] if loser.field != EXISTENCE else clocks_of(before)
                assert any(clock[2] != played.client_id for clock in written)
                assert loser.field in played.judgement.verdicts[0]["superseded"]


@given(histories(clients=1))
def test_alone_a_client_never_conflicts(history: History) -> None:
    """However it chains edits offline, with a stale base and a clock that jumps: all apply, the last one stays."""
    latest: dict[str, object] = {}
    for played in play(MemoryServer(), history):
        _, after, status = conclude(played)
        assert losers(played) == []
        assert status in {"applied", "rejected"}
        if status == "applied" and played.mutation["op"] == "update":
            latest |= played.mutation["fields"]
        assert {name: after.fields[name] for name in latest} == latest


STAMPS = st.integers(-5_000, 5_000).map(lambda number: 10 * number)
"""Ten milliseconds apart: what is stored may be moved by one for each write before it."""


def end_of(order: list[int], stamps: list[int], values: list[str]) -> str:
    """The title that stays when clients who saw nothing write it in that order."""
    record = note(stamp=-60_000)
    for number in order:
        made = mutation("update", stamp=stamps[number - 1], fields={"title": values[number - 1]}, base_version=0)
        record = merge(NOTES, record, made, writer(number, now=60_000)).record or record
    return str(record.fields["title"])


@given(
    st.permutations([1, 2, 3]),
    st.lists(STAMPS, min_size=3, max_size=3, unique=True),
    st.lists(st.sampled_from(["x", "y", "z", "first"]), min_size=3, max_size=3),
)
def test_concurrent_writers_end_alike_in_any_order(order: list[int], stamps: list[int], values: list[str]) -> None:
    """The latest of three who did not see each other wins, whoever comes first."""
    assert end_of(order, stamps, values) == values[stamps.index(max(stamps))]


@given(st.permutations([1, 2]), STAMPS)
def test_a_tie_of_two_ends_alike_in_either_order(order: list[int], stamp: int) -> None:
    """The higher client wins."""
    assert end_of(order, [stamp, stamp], ["x", "y"]) == "y"


def test_another_epoch_shares_no_versions() -> None:
    """After a rewind a base version says nothing: the write is concurrent, and its earlier stamp loses."""
    record = note(4, clocks={"title": [4, at(0), client(2)]}, title="kept")
    made = mutation("update", stamp=-1, fields={"title": "old"}, base_version=9, epoch="epoch-0")
    assert list(merge(NOTES, record, made, writer()).losers) == [Loser("title", "old", at(-1), client(1))]
    made["epoch"] = EPOCH
    assert list(merge(NOTES, record, made, writer()).losers) == []


def test_a_tie_within_one_client_goes_to_its_later_mutation() -> None:
    """Its numbers are in order, so the newcomer's is higher; only after a rewind are the two concurrent at all."""
    record = note(2, clocks={"title": [2, at(0), client(1)]}, title="earlier")
    made = mutation("update", fields={"title": "later"}, base_version=1, epoch="epoch-0")
    outcome = merge(NOTES, record, made, writer(1))
    assert outcome.record is not None
    assert outcome.record.fields["title"] == "later"


def clocks_of(record: Record) -> list[Clock]:
    """Every write a record knows of."""
    return [[1, record.stamp, record.author], *(record.clocks or {}).values()]


def test_a_history_gets_somewhere() -> None:
    """The properties above would hold of nothing: here is a history with a loser, a tombstone and a rejection."""
    acts = [
        Step(1, "update", {"title": "a"}, skew_ms=50),
        Step(2, "update", {"title": "b"}, skew_ms=-2_000),
        Step(2, "update", {"kind": "other"}),
        Step(3, "delete"),
    ]
    all_played = list(play(MemoryServer(), History("notes", acts)))
    assert [conclude(played)[2] for played in all_played] == ["applied", "merged", "rejected", "merged"]
    assert losers(all_played[1]) == [Loser("title", "b", at(-1_000), client(2))]
    assert conclude(all_played[3])[1].deleted
