"""Mutations that come before their record: consumed, kept, and judged when the record comes."""

import json
from typing import Any

from server.engine.late import Late
from server.ports import Cause
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.support.shop import Shop, Till

_WAITING = Statement("SELECT uid, resolved_seq IS NULL FROM waiting WHERE tenant_id = :tenant_id ORDER BY place")
_REJECTED = Statement("SELECT code, body FROM rejected WHERE tenant_id = :tenant_id")


async def _rows(shop: Shop, statement: Statement) -> list[Any]:
    async def work(tx: Tx) -> list[Any]:
        return [tuple(row) for row in await tx.fetch(statement, (shop.tenant_id,))]

    return await shop.database.read(work)


def _note(till: Till, record_id: str, note: str, **more: Any) -> dict[str, Any]:
    return till.mutation("customers", record_id, "update", fields={"note": note}, **more)


async def test_an_update_waits_for_its_record(shop: Shop) -> None:
    """It is consumed at once, so the queue goes on; what it says comes true with the record."""
    early, maker, customer = shop.device("owner"), shop.device("owner"), shop.new_id()
    answer = await early.send(_note(early, customer, "primo"), _note(early, customer, "secondo"), early.sale())
    assert [v["status"] for v in answer["verdicts"]] == ["waiting", "waiting", "applied"]
    assert answer["last_mutation_id"] == 3
    await maker.send(maker.mutation("customers", customer, fields={"name": "Rossi"}))
    await maker.pull("customers")
    fields = maker.received["customers", customer]["fields"]
    assert (fields["name"], fields["note"]) == ("Rossi", "secondo")


async def test_what_waits_for_a_record_of_its_own_batch_is_judged_with_it(shop: Shop) -> None:
    """A copied database may send an edit before the creation it is about."""
    owner, customer = shop.device("owner"), shop.new_id()
    edit = _note(owner, customer, "primo")
    answer = await owner.send(edit, owner.mutation("customers", customer, fields={"name": "Rossi"}))
    assert [(v["mutation_id"], v["status"]) for v in answer["verdicts"]] == [
        (1, "waiting"),
        (2, "applied"),
        (1, "applied"),
    ]
    await owner.pull("customers")
    assert owner.received["customers", customer]["fields"]["note"] == "primo"


async def test_the_final_verdict_comes_with_a_later_answer_until_it_was_taken_in(shop: Shop) -> None:
    """Told again while the client's cursor does not show that it knows."""
    early, maker, customer = shop.device("owner"), shop.device("owner"), shop.new_id()
    made = _note(early, customer, "primo")
    await early.send(made)
    assert (await early.send(collections=["customers"]))["verdicts"] == []
    await maker.send(maker.mutation("customers", customer, fields={"name": "Rossi"}))
    await early.send(collections=["customers"])
    answer = await early.send(collections=["customers"])
    (verdict,) = answer["verdicts"]
    assert (verdict["uid"], verdict["status"], verdict["version"]) == (made["uid"], "applied", 2)
    assert verdict["mutation_id"] == 1
    assert (await early.send(collections=["customers"], cursor=answer["cursor"]))["verdicts"] == []
    again = (await early.send(made))["verdicts"][0]
    assert (again["status"], again["duplicate"]) == ("applied", True)


async def test_who_only_pushes_is_told_too(shop: Shop) -> None:
    """Without a page there is no cursor to show it, so it is told each time."""
    early, maker, customer = shop.device("owner"), shop.device("owner"), shop.new_id()
    await early.send(_note(early, customer, "primo"))
    await maker.send(maker.mutation("customers", customer, fields={"name": "Rossi"}))
    answer = await early.send(early.sale())
    assert [v["status"] for v in answer["verdicts"]] == ["applied", "applied"]


async def test_rights_are_those_of_the_arrival(shop: Shop) -> None:
    """A record that comes into another shop is still unknown to who wrote too early."""
    till, other, sale = shop.device(shop="stazione"), shop.device(shop="centro"), shop.new_id()
    await till.send(till.mutation("sales", sale, "update", fields={"note": "mia"}))
    await other.send(other.mutation("sales", sale, fields=other.sale()["fields"]) | {"mutation_id": 1})
    await other.pull("sales")
    assert other.received["sales", sale]["fields"]["note"] is None
    assert [waits for _, waits in await _rows(shop, _WAITING)] == [True]


async def test_what_the_record_refuses_is_rejected_then(shop: Shop) -> None:
    """Late, and kept whole."""
    early, maker, sale = shop.device("owner"), shop.device("owner"), shop.new_id()
    made = early.mutation("sales", sale, "update", fields={"total": "9.99"})
    await early.send(made)
    await maker.send(maker.mutation("sales", sale, fields=maker.sale()["fields"]) | {"mutation_id": 1})
    (verdict,) = (await early.send(collections=["sales"]))["verdicts"]
    assert (verdict["status"], verdict["code"]) == ("rejected", "immutable")
    ((code, body),) = await _rows(shop, _REJECTED)
    assert (code, json.loads(body)["fields"]) == ("immutable", {"total": "9.99"})


async def test_a_record_the_server_makes_is_waited_for_too(shop: Shop) -> None:
    """A webhook's record, say."""
    early, customer = shop.device("owner"), shop.new_id()
    await early.send(_note(early, customer, "primo"))
    made: Any = {
        "uid": shop.new_id(),
        "collection": "customers",
        "record_id": customer,
        "op": "create",
        "timestamp": "2025-11-24T10:00:00.000Z",
        "fields": {"name": "Rossi"},
    }

    async def run(writing: Writing) -> None:
        await shop.applier.apply(writing, shop.tenant_id, "provider:x", [made], Cause("test"))

    await shop.writer.submit(Job([shop.tenant_id], run))
    await early.pull("customers")
    assert early.received["customers", customer]["fields"]["note"] == "primo"


async def test_of_copies_that_sent_the_same_each_hears_the_end_under_its_own_number(shop: Shop) -> None:
    """The one that sent it first, and the one that took a new id and sent it last."""
    early, maker, customer = shop.device("owner"), shop.device("owner"), shop.new_id()
    made = _note(early, customer, "primo")
    await early.send(made)
    copy = Till(shop, early.principal, shop.new_id())
    before = copy.sale()
    again = (await copy.send(before, made | {"mutation_id": 2}))["verdicts"][1]
    assert (again["status"], again["duplicate"]) == ("waiting", True)
    await maker.send(maker.mutation("customers", customer, fields={"name": "Rossi"}))
    told = [(await one.send(collections=["customers"]))["verdicts"] for one in (early, copy)]
    assert [[(v["mutation_id"], v["status"]) for v in verdicts] for verdicts in told] == [
        [(1, "applied")],
        [(2, "applied")],
    ]


async def test_what_waited_for_a_month_is_refused_and_kept(shop: Shop) -> None:
    """Its client is told like of any end."""
    early, customer = shop.device("owner"), shop.new_id()
    await early.send(_note(early, customer, "primo"))

    async def expire(writing: Writing) -> int:
        tenant = writing.tenant(shop.tenant_id)
        return await Late(shop.records).expire(writing, tenant, "2025-12-31T00:00:00.000Z", 10)

    assert await shop.writer.submit(Job([shop.tenant_id], expire)) == 1
    assert await shop.writer.submit(Job([shop.tenant_id], expire)) == 0
    (verdict,) = (await early.send(collections=["customers"]))["verdicts"]
    assert (verdict["status"], verdict["code"]) == ("rejected", "unknown_record")
    assert len(await _rows(shop, _REJECTED)) == 1


async def test_a_deletion_waits_as_well(shop: Shop) -> None:
    """Of what a restored server forgot, say."""
    early, maker, customer = shop.device("owner"), shop.device("owner"), shop.new_id()
    await early.send(early.mutation("customers", customer, "delete"))
    await maker.send(maker.mutation("customers", customer, fields={"name": "Rossi"}))
    await maker.pull("customers")
    assert maker.received["customers", customer]["deleted"] is True
