"""Judging a queue: duplicates, gaps, forks, and one bad mutation among good ones."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.judge import Judgement
from sync.protocol import Mutation, Unusable, Verdict
from tests.kernel.histories import History, histories, play
from tests.kernel.making import NOTE, client, mutation, note, record_id, uuid
from tests.kernel.memory import MemoryServer, Queue

CLIENT = client(1)


def numbered(number: int, op: str = "update", **more: Any) -> Mutation:
    """A client's mutation with that number and a uid of its own."""
    plain: dict[str, Any] = {"mutation_id": number, "uid": uuid(1, number), "base_version": 1}
    return mutation(op, **plain | more)


def unusable(number: int) -> Unusable:
    """One that could not be read."""
    return Unusable(number, uuid(1, number), "invalid", "fields: dict_type", {"fields": 1})


def queue(*numbers: int) -> Queue:
    """Updates with these numbers, each with a title of its own."""
    return [numbered(number, fields={"title": f"title {number}"}) for number in numbers]


def said(judgement: Judgement) -> list[tuple[int, str, str | None, bool]]:
    """Each verdict's number, status, code, and whether it is a duplicate's."""
    return [(v["mutation_id"], v["status"], v["code"], v["duplicate"]) for v in judgement.verdicts]


def again(verdicts: list[Verdict]) -> list[Verdict]:
    """The same verdicts as a duplicate gets them."""
    return [{**verdict, "duplicate": True} for verdict in verdicts]


@pytest.fixture
def server() -> MemoryServer:
    """A server that has one note."""
    fresh = MemoryServer()
    fresh.records["notes", record_id(1)] = note()
    return fresh


@given(histories(), st.integers(-10_000, 10_000))
def test_a_duplicate_changes_nothing_and_gets_the_stored_verdict(history: History, now: int) -> None:
    """Sent again at any time after, whatever the records look like by then, alone or with all before it."""
    server = MemoryServer()
    for played in list(play(server, history)):
        state = server.state()
        answer = server.push(played.client_id, [played.mutation], now=now)
        assert answer.verdicts == again(played.judgement.verdicts)
        assert (answer.remembered, answer.refused, answer.lost, answer.trouble) == ([], [], [], None)
        assert server.state() == state


@given(batches=st.lists(st.integers(1, 4), min_size=1, max_size=4), lost=st.integers(0, 6))
def test_a_batch_sent_again_with_more_applies_only_what_is_new(batches: list[int], lost: int) -> None:
    """After lost answers a client sends from further back: old ones are duplicates, new ones apply once."""
    server, sent = MemoryServer(), 0
    server.records["notes", record_id(1)] = note()
    for size in batches:
        begin = max(1, sent - lost + 1)
        answer = server.push(CLIENT, queue(*range(begin, sent + size + 1)))
        assert said(answer) == [(n, "applied", None, n <= sent) for n in range(begin, sent + size + 1)]
        sent += size
    assert server.records["notes", record_id(1)].version == 1 + sent


def test_a_number_is_sent_twice_in_one_batch(server: MemoryServer) -> None:
    """The second of the same uid is a duplicate of the first."""
    answer = server.push(CLIENT, queue(1, 1, 2))
    assert said(answer) == [(1, "applied", None, False), (1, "applied", None, True), (2, "applied", None, False)]


def test_a_gap_ends_the_batch_and_keeps_what_came_before(server: MemoryServer) -> None:
    """Numbers 1 and 2 are applied, 4 and 5 wait for 3."""
    answer = server.push(CLIENT, queue(1, 2, 4, 5))
    assert (answer.trouble, answer.last_mutation_id) == ("gap", 2)
    assert [verdict["mutation_id"] for verdict in answer.verdicts] == [1, 2]
    assert server.records["notes", record_id(1)].fields["title"] == "title 2"
    assert server.last[CLIENT] == 2


def test_a_first_mutation_is_number_one(server: MemoryServer) -> None:
    """A client nobody knows begins at 1; anything else is a gap and nothing is kept."""
    answer = server.push(CLIENT, queue(2))
    assert (answer.trouble, answer.last_mutation_id, answer.verdicts) == ("gap", 0, [])
    assert server.records["notes", record_id(1)] == note()


def test_a_fork_ends_the_batch_and_keeps_what_came_before(server: MemoryServer) -> None:
    """A used number under another uid is a copy of the client; its verdicts so far are answered."""
    server.push(CLIENT, queue(1, 2))
    forked = numbered(2, uid=uuid(2, 2), fields={"title": "copy"})
    answer = server.push(CLIENT, [*queue(1), forked, *queue(3)])
    assert (answer.trouble, answer.last_mutation_id) == ("fork", 2)
    assert said(answer) == [(1, "applied", None, True)]
    assert server.records["notes", record_id(1)].fields["title"] == "title 2"


def test_a_fork_that_goes_on_is_found_before_it_applies(server: MemoryServer) -> None:
    """New numbers first apply; the used one behind them still ends the batch."""
    server.push(CLIENT, queue(1))
    forked = numbered(1, uid=uuid(2, 1), fields={"title": "copy"})
    answer = server.push(CLIENT, [*queue(2), forked])
    assert (answer.trouble, answer.last_mutation_id) == ("fork", 2)
    assert said(answer) == [(2, "applied", None, False)]


def test_an_unreadable_mutation_counts_like_any_other(server: MemoryServer) -> None:
    """It is consumed, refused whole and found again as a duplicate; gaps and forks are judged by its number."""
    mixed = [*queue(1), unusable(2), *queue(3)]
    answer = server.push(CLIENT, mixed)
    assert said(answer) == [(1, "applied", None, False), (2, "rejected", "invalid", False), (3, "applied", None, False)]
    assert answer.refused == [(answer.verdicts[1], {"fields": 1})]
    assert server.push(CLIENT, mixed).verdicts == again(answer.verdicts)
    assert server.push(CLIENT, [unusable(5)]).trouble == "gap"
    assert server.push(CLIENT, [Unusable(2, uuid(2, 2), "invalid", "", None)]).trouble == "fork"


def test_a_uid_under_another_client_is_a_duplicate(server: MemoryServer) -> None:
    """A copied database took a new client id and renumbered: the number is consumed, nothing applies twice."""
    first = server.push(CLIENT, [*queue(1, 2), unusable(3)])
    title = server.records["notes", record_id(1)].fields["title"]
    renumbered = [numbered(n - 1, uid=uuid(1, n), fields={"title": "twice"}) for n in (2, 3)]
    answer = server.push(client(2), renumbered)
    assert (answer.last_mutation_id, answer.trouble, answer.remembered) == (2, None, [])
    moved = [{**verdict, "mutation_id": verdict["mutation_id"] - 1} for verdict in again(first.verdicts[1:])]
    assert answer.verdicts == moved
    assert server.records["notes", record_id(1)].fields["title"] == title


def test_a_noop_only_consumes_its_number(server: MemoryServer) -> None:
    """It is applied, has no version, and may be sent again."""
    nothing = numbered(1, "noop", collection="", record_id="", timestamp="")
    state = server.records["notes", record_id(1)].copy()
    assert said(server.push(CLIENT, [nothing])) == [(1, "applied", None, False)]
    assert said(server.push(CLIENT, [nothing])) == [(1, "applied", None, True)]
    assert server.records["notes", record_id(1)] == state


def test_what_is_refused_stops_nobody(server: MemoryServer) -> None:
    """Each mutation is judged alone: between good ones stand all kinds of refusals."""
    bad: list[dict[str, Any]] = [
        {"op": "create", "record": 2, "fields": {"shop": "bar"}},
        {"op": "create", "record": 1, "fields": NOTE | {"title": "other"}},
        {"fields": {"kind": "other"}},
        {"fields": {"status": "paid"}},
        {"op": "restore", "fields": {"title": "x"}},
        {"fields": {"title": "x", "shop": "elsewhere"}},
    ]
    mutations = [numbered(2 * n, **more) for n, more in enumerate(bad, 1)]
    mixed = [m for pair in zip(queue(1, 3, 5, 7, 9, 11), mutations, strict=True) for m in pair]
    answer = server.push(CLIENT, mixed)
    codes = ["missing_field", "already_exists", "immutable", "server_owned", "invalid", "out_of_scope"]
    assert [v["code"] for v in answer.verdicts if v["status"] == "rejected"] == codes
    assert [v["status"] for v in answer.verdicts[::2]] == ["applied"] * 6
    assert answer.refused == list(zip(answer.verdicts[1::2], mutations, strict=True))
    assert server.records["notes", record_id(1)].fields["title"] == "title 11"
