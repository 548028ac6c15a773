"""Conflicts: both sides are kept until a person decides, and a decision ends it once."""

import json
from dataclasses import replace
from typing import Any

import pytest

from sync.conflicts import AUTHOR, conflict_id
from sync.protocol import Unusable, Verdict
from sync.record import Record
from sync.scope import Scope
from tests.kernel.making import OWNER, at, client, mutation, note, record_id, uuid
from tests.kernel.memory import MemoryServer
from tests.kernel.models import REGISTRY

CONFLICT = conflict_id("notes", record_id(1), "price")
CLERK = Scope("clerk", frozenset(("tenant", "shop:bar")))
GUEST = Scope("guest", frozenset(("tenant", "shop:bar")))


class Table:
    """A server with one note, and people who edit its price."""

    def __init__(self) -> None:
        self.server = MemoryServer()
        self.server.records["notes", record_id(1)] = note()

    def push(self, who: int, made: dict[str, Any], scope: Scope = OWNER) -> Verdict:
        """One mutation of one client."""
        number = self.server.last[client(who)] + 1
        sent: Any = {**made, "mutation_id": number, "uid": uuid(who, number)}
        (verdict,) = self.server.push(client(who), [sent], scope=scope).verdicts
        return verdict

    def price(self, who: int, price: str, *, base: int = 1, stamp: int = 0) -> Verdict:
        """Set the price, knowing the note as of a version."""
        return self.push(who, dict(mutation("update", base_version=base, stamp=stamp, fields={"price": price})))

    def decide(self, who: int, scope: Scope = OWNER, **said: Any) -> Verdict:
        """End the conflict."""
        made = mutation("update", collection="conflicts", fields=said)
        return self.push(who, {**made, "record_id": CONFLICT}, scope)

    @property
    def note(self) -> Record:
        """The note as it stands."""
        return self.server.records["notes", record_id(1)]

    @property
    def conflict(self) -> Record:
        """The conflict as it stands."""
        return self.server.records["conflicts", CONFLICT]

    def lost(self) -> list[Any]:
        """The values that lost so far."""
        return [one.loser.value for one in self.server.lost]


@pytest.fixture
def table() -> Table:
    """Two clerks gave the note two prices without seeing each other."""
    opened = Table()
    assert opened.price(1, "1.80")["status"] == "applied"
    told = opened.price(2, "2.00")
    assert (told["status"], told["conflict_id"], told["version"]) == ("conflict", CONFLICT, 2)
    return opened


def test_the_stored_value_stays_and_both_sides_are_shown(table: Table) -> None:
    """What, who, when; in the record's bucket, for those who may write the field."""
    assert table.note.fields["price"] == "1.80"
    shown = table.conflict
    assert (shown.audience, shown.author, shown.version) == ("shop:bar/clerk+owner", AUTHOR, 1)
    assert shown.fields["current"] == {"value": "1.80", "version": 2, "at": at(0), "author": client(1)}
    (candidate,) = shown.fields["candidates"]
    assert candidate == {"uid": uuid(2, 1), "value": "2.00", "at": at(0), "author": client(2), "actor": None}
    assert (shown.fields["status"], shown.fields["field"], shown.fields["opened_at"]) == ("open", "price", at(0))


@pytest.mark.parametrize(
    ("said", "price", "lost"),
    [
        ({"decision": "theirs"}, "1.80", ["2.00"]),
        ({"decision": "mine"}, "2.00", ["1.80"]),
        ({"decision": "mine", "candidate": uuid(2, 1)}, "2.00", ["1.80"]),
        ({"decision": "value", "value": "1.90"}, "1.90", ["2.00", "1.80"]),
    ],
    ids=str,
)
def test_a_decision_writes_the_record_and_keeps_what_was_not_chosen(
    table: Table, said: dict[str, Any], price: str, lost: list[str]
) -> None:
    """By anybody who may write the field, also somebody who had no part in it."""
    told = table.decide(3, CLERK, **said)
    assert (told["status"], told["version"]) == ("applied", 2)
    assert table.note.fields["price"] == price
    assert table.lost() == lost
    assert (table.conflict.fields["status"], table.conflict.fields["decided_by"]) == ("decided", client(3))


def test_the_first_decision_wins(table: Table) -> None:
    """The second is told so, whatever it says, and is kept as what was refused."""
    table.decide(3, decision="mine")
    late = table.decide(4, decision="theirs")
    assert (late["status"], late["code"]) == ("rejected", "already_decided")
    assert table.note.fields["price"] == "2.00"


def test_a_decision_sent_again_gets_the_same_verdict(table: Table) -> None:
    """A lost answer costs a repetition, not a refusal."""
    first = table.decide(3, decision="mine")
    made: Any = {
        **mutation("update", collection="conflicts", fields={"decision": "mine"}),
        "record_id": CONFLICT,
        "uid": uuid(3, 1),
    }
    (again,) = table.server.push(client(3), [made]).verdicts
    assert again == {**first, "duplicate": True}


def test_further_candidates_join_the_open_conflict(table: Table) -> None:
    """One question, however many answers."""
    assert table.price(3, "2.20")["conflict_id"] == CONFLICT
    assert [one["value"] for one in table.conflict.fields["candidates"]] == ["2.00", "2.20"]
    table.decide(4, decision="mine", candidate=uuid(2, 1))
    assert (table.note.fields["price"], table.lost()) == ("2.00", ["2.20", "1.80"])


def test_a_new_clash_opens_a_decided_conflict_anew(table: Table) -> None:
    """Under its one id."""
    table.decide(3, decision="theirs")
    assert table.price(4, "3.00")["status"] == "conflict"
    assert table.conflict.fields["status"] == "open"
    assert [one["value"] for one in table.conflict.fields["candidates"]] == ["3.00"]
    assert table.conflict.fields["decision"] is None


def test_where_the_record_moved_the_conflict_stays_open(table: Table) -> None:
    """Somebody who saw the price changed it; who decided without seeing that must look again."""
    table.price(5, "2.50", base=2)
    told = table.decide(3, decision="mine")
    assert (told["status"], told["code"], told["conflict_id"]) == ("conflict", "record_moved", CONFLICT)
    assert table.note.fields["price"] == "2.50"
    assert table.conflict.fields["current"]["value"] == "2.50"
    assert table.decide(3, decision="mine")["status"] == "applied"
    assert table.note.fields["price"] == "2.00"


def test_a_third_value_that_came_too_late_becomes_a_candidate(table: Table) -> None:
    """Nothing that a person said is lost."""
    table.price(5, "2.50", base=2)
    table.decide(3, decision="value", value="2.10")
    assert [one["value"] for one in table.conflict.fields["candidates"]] == ["2.00", "2.10"]


def test_who_moved_the_record_may_decide(table: Table) -> None:
    """A client never conflicts with itself."""
    table.price(3, "2.50", base=2)
    assert table.decide(3, decision="theirs")["status"] == "applied"
    assert table.note.fields["price"] == "2.50"


def test_who_moved_the_record_and_decides_otherwise_loses_what_stood(table: Table) -> None:
    """What is overwritten is the value of now, not the one that stood when the conflict opened."""
    table.price(3, "2.50", base=2)
    assert table.decide(3, decision="mine")["status"] == "applied"
    assert (table.note.fields["price"], table.lost()) == ("2.00", ["2.50"])


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, "no_decision"),
        ({"decision": "value"}, "no_decision"),
        ({"decision": "mine", "candidate": uuid(9, 9)}, "no_decision"),
        ({"decision": "value", "value": "dear"}, "invalid"),
        ({"decision": "value", "value": {"price": "1.00"}}, "invalid"),
        ({"decision": "mine", "status": "decided"}, "server_owned"),
    ],
    ids=str,
)
def test_what_decides_nothing_is_refused(table: Table, said: dict[str, Any], code: str) -> None:
    """And the conflict stays open."""
    told = table.decide(3, **said)
    assert (told["status"], told["code"]) == ("rejected", code)
    assert table.conflict.fields["status"] == "open"
    assert table.note.fields["price"] == "1.80"


def test_who_may_not_write_the_field_does_not_see_the_conflict(table: Table) -> None:
    """To such a one it is like any unknown id."""
    assert table.decide(3, GUEST, decision="mine")["code"] == "forbidden"
    elsewhere = Scope("clerk", frozenset(("tenant", "shop:kiosk")))
    assert table.decide(4, elsewhere, decision="mine")["status"] == "waiting"


def test_a_decision_about_a_deleted_record_leaves_it_deleted(table: Table) -> None:
    """The value returns with a restore."""
    table.push(3, dict(mutation("delete", base_version=2)))
    assert table.decide(3, decision="mine")["status"] == "applied"
    assert (table.note.deleted, table.note.fields["price"]) == (True, "2.00")


def test_a_decision_about_a_record_deleted_long_ago_is_refused(table: Table) -> None:
    """Its values are gone: a price alone would bring it back to everybody as a record without a name."""
    table.server.records["notes", record_id(1)] = collected = replace(table.note, seq=0, deleted=True)
    told = table.decide(3, decision="mine")
    assert (told["status"], told["code"]) == ("rejected", "record_deleted")
    assert table.note == collected


def test_a_conflict_moves_with_its_record(table: Table) -> None:
    """Into the other shop's bucket; the old one is told that it left."""
    moved: list[Any] = []
    server = table.server
    workspace = server.work([mutation("update", fields={"shop": "kiosk"})], OWNER)
    record = server.records["notes", record_id(1)].copy()
    record.fields["shop"], record.audience = "kiosk", "shop:kiosk"
    workspace.put(("notes", record_id(1)), record, server.registry.collections["notes"])
    moved = [(key[0], audience) for key, audience, _ in workspace.moved]
    assert moved == [("notes", "shop:bar"), ("conflicts", "shop:bar/clerk+owner")]
    assert workspace.changed["conflicts", CONFLICT].audience == "shop:kiosk/clerk+owner"


def test_edits_that_break_the_rule_together_are_weighed_as_a_whole() -> None:
    """Nothing applies until a person says how the record is to be."""
    table = Table()
    whole = conflict_id("offers", record_id(2), "record")
    offer: dict[str, Any] = {"collection": "offers", "record": 2}
    table.push(9, dict(mutation("create", **offer, fields={"opens": 8, "closes": 20})))
    table.push(1, dict(mutation("update", **offer, base_version=1, fields={"opens": 12})))
    told = table.push(2, dict(mutation("update", **offer, base_version=1, fields={"closes": 10})))
    assert (told["status"], told["code"], told["conflict_id"]) == ("conflict", "rule_broken", whole)
    decided = {**mutation("update", collection="conflicts"), "record_id": whole}
    stubborn = table.push(3, {**decided, "fields": {"decision": "mine"}})
    assert (stubborn["status"], stubborn["code"]) == ("rejected", "rule_broken")
    value = {"fields": {"opens": 7, "closes": 10}}
    assert table.push(3, {**decided, "fields": {"decision": "value", "value": value}})["status"] == "applied"
    fields = table.server.records["offers", record_id(2)].fields
    assert (fields["opens"], fields["closes"]) == (7, 10)


@pytest.mark.parametrize("value", [{"price": "1.00", "title": "z"}, {"title": "z"}], ids=str)
def test_a_decision_writes_nothing_its_conflict_is_not_about(value: dict[str, str]) -> None:
    """What others wrote meanwhile is not overwritten by the way."""
    table = Table()
    pricing = conflict_id("offers", record_id(2), "pricing")
    offer: dict[str, Any] = {"collection": "offers", "record": 2}
    table.push(9, dict(mutation("create", **offer, fields={"street": "Via Po"})))
    table.push(1, dict(mutation("update", **offer, base_version=1, fields={"price": "1.80", "rate": "10.00"})))
    table.push(2, dict(mutation("update", **offer, base_version=1, fields={"price": "2.00", "rate": "10.00"})))
    wider = {name.replace("title", "street"): said for name, said in value.items()}
    decided = {**mutation("update", collection="conflicts", fields={"decision": "value", "value": wider})}
    told = table.push(3, {**decided, "record_id": pricing})
    assert (told["status"], told["code"]) == ("rejected", "no_decision")
    assert table.server.records["offers", record_id(2)].fields["street"] == "Via Po"


def test_what_a_decision_about_the_whole_overwrites_is_kept() -> None:
    """Also a field that the conflict did not show."""
    table = Table()
    whole = conflict_id("offers", record_id(2), "record")
    offer: dict[str, Any] = {"collection": "offers", "record": 2}
    table.push(9, dict(mutation("create", **offer, fields={"opens": 8, "closes": 20, "street": "Via Po"})))
    table.push(1, dict(mutation("update", **offer, base_version=1, fields={"opens": 12})))
    table.push(2, dict(mutation("update", **offer, base_version=1, fields={"closes": 10})))
    value = {"fields": {"closes": 13, "street": "z", "town": "Roma"}}
    decided = {**mutation("update", collection="conflicts", fields={"decision": "value", "value": value})}
    assert table.push(3, {**decided, "record_id": whole})["status"] == "applied"
    assert {"fields": {"closes": 20, "street": "Via Po", "town": ""}} in table.lost()


@pytest.mark.parametrize("value", [{"price": ["x"]}, {"price": 5}, ["x"], "dear", 7], ids=str)
@pytest.mark.parametrize("moved", [False, True], ids=["standing", "moved"])
def test_a_third_value_is_checked_before_anything_is_made_of_it(table: Table, value: Any, *, moved: bool) -> None:
    """Neither looked up by, nor kept as a candidate."""
    if moved:
        table.price(5, "2.50", base=2)
    told = table.decide(3, decision="value", value=value)
    assert (told["status"], told["code"]) == ("rejected", "invalid")
    assert len(table.conflict.fields["candidates"]) == 1


def test_a_decision_by_a_clock_far_ahead_is_clamped_and_told(table: Table) -> None:
    """As any mutation."""
    made = mutation("update", collection="conflicts", stamp=3_600_000, fields={"decision": "mine"})
    assert table.push(3, {**made, "record_id": CONFLICT})["clamped"] is True


@pytest.mark.parametrize("text", ["NaN", "1e999", "-Infinity", '"\\ud800"', '{"\\ud800":1}', "[" * 40 + "]" * 40])
def test_what_is_not_everybodys_json_does_not_get_in(text: str) -> None:
    """A page with it could be read by nobody: it is refused, or kept as something that can be."""
    made = json.dumps({**mutation("update", collection="conflicts"), "record_id": CONFLICT, "uid": uuid(1, 1)})
    body = f'{made[:-1]}, "fields": {{"decision": "theirs", "value": {text}}}}}'
    (read,) = REGISTRY.parse_request(f'{{"protocol": 1, "client_id": "{client(1)}", "mutations": [{body}]}}'.encode())[
        "mutations"
    ]
    assert isinstance(read, Unusable) or json.dumps(read["fields"]["value"], allow_nan=False).encode()


def test_a_decision_keeps_of_what_it_says_only_what_counts(table: Table) -> None:
    """Whoever keeps what stood needs no value."""
    table.decide(3, decision="theirs", value={"any": "thing"}, candidate=uuid(2, 1))
    assert (table.conflict.fields["value"], table.conflict.fields["candidate"]) == (None, None)
