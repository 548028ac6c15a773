"""What a caller may touch: its role, its audiences, and records it should not even know of."""

import json
from typing import Any

import pytest

from sync.protocol import Mutation, Verdict
from sync.record import Record
from sync.scope import Scope
from tests.kernel.making import NOTE, OWNER, client, mutation, note, record_id, uuid
from tests.kernel.memory import MemoryServer

BAR = Scope("owner", frozenset(("tenant", "shop:bar")), {"shop": "bar"})
CLERK = Scope("clerk", frozenset(("tenant", "shop:bar")))
FAR_AHEAD_MS = 3_600_000


def push(made: Mutation, scope: Scope, *records: Record) -> tuple[Verdict, MemoryServer]:
    """The verdict on one mutation where these notes exist."""
    server = MemoryServer()
    for number, record in enumerate(records, 1):
        record.audience = f"shop:{record.fields['shop']}"
        server.records["notes", record_id(number)] = record
    return server.push(client(1), [made], scope=scope).verdicts[0], server


@pytest.mark.parametrize("stamp", [0, FAR_AHEAD_MS], ids=["in time", "far ahead"])
@pytest.mark.parametrize("deleted", [False, True], ids=["live", "deleted"])
@pytest.mark.parametrize(
    "more",
    [
        {"op": "update", "fields": {"title": "x"}},
        {"op": "update", "fields": {"title": "first"}},
        {"op": "update", "fields": {"kind": "other"}},
        {"op": "update", "fields": {"status": "paid"}},
        {"op": "update", "fields": {"shop": "bar"}},
        {"op": "update", "increments": {"paid": "99999999.99"}},
        {"op": "update"},
        {"op": "delete"},
        {"op": "delete", "fields": {"title": "x"}},
        {"op": "restore"},
    ],
    ids=str,
)
def test_out_of_scope_is_exactly_like_unknown(more: dict[str, Any], *, deleted: bool, stamp: int) -> None:
    """Byte for byte the same verdict as for an id nobody has, and nothing changes."""
    foreign = note(shop="kiosk", deleted=deleted)
    hidden, server = push(mutation(**more, stamp=stamp), BAR, foreign.copy())
    unknown, _ = push(mutation(**more, stamp=stamp), BAR)
    assert json.dumps(hidden) == json.dumps(unknown)
    assert hidden["status"] == "waiting"
    assert server.records["notes", record_id(1)].fields == foreign.fields
    assert server.records["notes", record_id(1)].version == foreign.version


def test_an_id_that_is_taken_elsewhere_says_no_more_than_that() -> None:
    """A creation on a foreign record's id is refused as on one's own, also when it brings the very same values."""
    for scope in (BAR, OWNER):
        verdict, _ = push(mutation("create", fields=NOTE | {"title": "x"}), scope, note(shop="kiosk"))
        assert (verdict["code"], verdict["message"]) == ("already_exists", "this id already names another record")


def test_a_record_is_not_moved_out_of_reach() -> None:
    """Rights are asked of the record as it would become, too."""
    verdict, server = push(mutation("update", fields={"shop": "kiosk"}, base_version=1), BAR, note())
    assert verdict["code"] == "out_of_scope"
    assert server.records["notes", record_id(1)].fields["shop"] == "bar"


def test_a_record_is_not_made_out_of_reach() -> None:
    """Nobody creates for a shop that is not his."""
    verdict, server = push(mutation("create", fields=NOTE | {"shop": "kiosk"}), BAR)
    assert (verdict["code"], server.records) == ("out_of_scope", {})


def test_a_record_may_move_within_reach() -> None:
    """Its audience follows its fields."""
    verdict, server = push(mutation("update", fields={"shop": "kiosk"}, base_version=1), OWNER, note())
    assert verdict["status"] == "applied"
    assert server.records["notes", record_id(1)].audience == "shop:kiosk"


@pytest.mark.parametrize("op", ["delete", "restore"])
def test_a_role_may_what_its_collection_says(op: str) -> None:
    """A clerk writes and deletes nothing; whether the record exists makes no difference to the answer."""
    there, _ = push(mutation(op), CLERK, note(deleted=op == "restore"))
    missing, _ = push(mutation(op), CLERK)
    foreign, _ = push(mutation(op), CLERK, note(shop="kiosk"))
    assert there == missing == foreign
    assert there["code"] == "forbidden"
    assert push(mutation("update", fields={"title": "x"}), CLERK, note())[0]["status"] != "rejected"


def test_an_unknown_role_may_nothing() -> None:
    """What is not allowed is forbidden."""
    verdict, _ = push(mutation("update", fields={"title": "x"}), Scope("guest", OWNER.audiences), note())
    assert verdict["code"] == "forbidden"


def test_a_device_implies_its_shop() -> None:
    """A creation that does not say where it was made is filled in; one that does is left as it is; no update is."""
    fields = {"kind": "memo", "title": "first"}
    assert push(mutation("create", fields=fields), BAR)[1].records["notes", record_id(1)].fields["shop"] == "bar"
    assert push(mutation("create", fields=fields | {"shop": "kiosk"}), BAR)[0]["code"] == "out_of_scope"
    assert push(mutation("create", fields=fields), OWNER)[0]["code"] == "missing_field"
    kiosk = Scope("owner", OWNER.audiences, {"shop": "kiosk"})
    _, server = push(mutation("update", fields={"title": "x"}, base_version=1), kiosk, note())
    assert server.records["notes", record_id(1)].fields["shop"] == "bar"


def test_a_refused_creation_is_kept_as_it_was_sent() -> None:
    """What the device implies is not written into what the client sent."""
    sent = mutation("create", fields={"title": "x"}, uid=uuid(1, 1))
    judgement = MemoryServer().push(client(1), [sent], scope=BAR)
    assert [raw for _, raw in judgement.refused] == [mutation("create", fields={"title": "x"}, uid=uuid(1, 1))]


def test_the_server_itself_is_asked_for_no_right() -> None:
    """It writes what only it may, wherever the record is."""
    server = MemoryServer()
    server.records["notes", record_id(1)] = note(shop="kiosk")
    made = mutation("update", fields={"status": "paid", "shop": "harbour"}, base_version=1)
    judgement = server.push("system:test", [made], scope=Scope("server", frozenset()), server=True)
    assert judgement.verdicts[0]["status"] == "applied"
    record = server.records["notes", record_id(1)]
    assert (record.fields["status"], record.audience) == ("paid", "shop:harbour")
