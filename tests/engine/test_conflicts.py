"""Conflicts on a real database: opened by a push, pulled by those who may decide, ended by an ordinary mutation."""

from typing import Any

import pytest

from server.storage.database import Tx
from server.storage.statement import Statement
from sync.conflicts import conflict_id
from tests.support.shop import Shop, Till, product_fields

_SUPERSEDED = Statement("SELECT field, value FROM superseded WHERE tenant_id = :tenant_id ORDER BY field, uid")
_PRICE = {"price": "1.50", "vat_rate": "10.00"}


async def _rows(shop: Shop, statement: Statement) -> list[Any]:
    async def work(tx: Tx) -> list[Any]:
        return [tuple(row) for row in await tx.fetch(statement, (shop.tenant_id,))]

    return await shop.database.read(work)


class Quarrel:
    """A product that two owners priced without seeing each other."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.product = shop, shop.new_id()
        self.one, self.two = shop.device("owner"), shop.device("owner")
        self.conflict = conflict_id("products", self.product, "pricing")

    async def begin(self) -> dict[str, Any]:
        """The second one's verdict."""
        await self.one.send(self.one.mutation("products", self.product, fields=product_fields()))
        await self.one.send(self.price(self.one, price="1.30"))
        (verdict,) = (await self.two.send(self.price(self.two, price="1.50")))["verdicts"]
        told: dict[str, Any] = verdict
        return told

    def price(self, who: Till, **fields: str) -> dict[str, Any]:
        """A new price, knowing the product as it was made."""
        return who.mutation("products", self.product, "update", base_version=1, fields={**_PRICE, **fields})

    def decide(self, who: Till, **said: Any) -> dict[str, Any]:
        """A decision."""
        return who.mutation("conflicts", self.conflict, "update", fields=said)


async def test_a_conflict_reaches_those_who_may_decide_and_nobody_else(shop: Shop) -> None:
    """With both sides; a till, which sets no prices, does not see it."""
    quarrel = Quarrel(shop)
    verdict = await quarrel.begin()
    assert (verdict["status"], verdict["conflict_id"]) == ("conflict", quarrel.conflict)
    clerk, till = shop.device("clerk"), shop.device("terminal")
    (change,) = await clerk.pull("conflicts")
    assert change["record_id"] == quarrel.conflict
    assert change["fields"]["current"]["value"] == {"price": "1.30", "vat_rate": "10.00"}
    assert [one["value"] for one in change["fields"]["candidates"]] == [_PRICE]
    assert await till.pull("conflicts") == []


async def test_a_side_says_which_device_it_came_from(shop: Shop) -> None:
    """By the name that people gave it."""
    quarrel = Quarrel(shop)
    for who, name in ((quarrel.one, "Cassa"), (quarrel.two, "Telefono")):
        device = await shop.admin.add_device(shop.tenant_id, name, "owner", "centro")
        who.principal = who.principal._replace(device_id=device.device_id)
    await quarrel.begin()
    (change,) = await quarrel.one.pull("conflicts")
    sides = [change["fields"]["current"], *change["fields"]["candidates"]]
    assert [side["device"]["name"] for side in sides] == ["Cassa", "Telefono"]


@pytest.mark.parametrize(
    ("said", "price", "lost"),
    [
        ({"decision": "theirs"}, "1.30", 1),
        ({"decision": "mine"}, "1.50", 1),
        ({"decision": "value", "value": {"price": "1.40", "vat_rate": "22.00"}}, "1.40", 2),
    ],
    ids=str,
)
async def test_a_decision_reaches_everybody_and_keeps_what_was_not_chosen(
    shop: Shop, said: dict[str, Any], price: str, lost: int
) -> None:
    """The product and the end of the conflict come with one pull."""
    quarrel = Quarrel(shop)
    await quarrel.begin()
    clerk = shop.device("clerk")
    await clerk.pull("conflicts", "products")
    (verdict,) = (await clerk.send(quarrel.decide(clerk, **said)))["verdicts"]
    assert (verdict["status"], verdict["version"]) == ("applied", 2)
    await quarrel.one.pull("products", "conflicts")
    assert quarrel.one.received["products", quarrel.product]["fields"]["price"] == price
    assert quarrel.one.received["conflicts", quarrel.conflict]["fields"]["status"] == "decided"
    assert len(await _rows(shop, _SUPERSEDED)) == lost


async def test_two_decide_offline_and_the_first_to_come_home_wins(shop: Shop) -> None:
    """The other one's decision is refused, and kept whole."""
    quarrel = Quarrel(shop)
    await quarrel.begin()
    first, second = shop.device("clerk"), shop.device("owner")
    one, two = quarrel.decide(first, decision="mine"), quarrel.decide(second, decision="theirs")
    await first.send(one)
    (late,) = (await second.send(two))["verdicts"]
    assert (late["status"], late["code"]) == ("rejected", "already_decided")
    (again,) = (await first.send(one))["verdicts"]
    assert (again["status"], again["duplicate"]) == ("applied", True)


async def test_a_decision_goes_on_to_providers_like_any_change(shop: Shop) -> None:
    """What was accepted of the record is shown to the outbox."""
    quarrel = Quarrel(shop)
    await quarrel.begin()
    shop.forwarding.seen.clear()
    made = quarrel.decide(quarrel.one, decision="mine")
    await quarrel.one.send(made)
    assert [(seen.collection.name, seen.uid) for seen in shop.forwarding.seen] == [("products", made["uid"])]


async def test_tags_of_two_devices_are_all_there(shop: Shop) -> None:
    """Adds join; a removal takes only what it saw."""
    one, two, product = shop.device("owner"), shop.device("owner"), shop.new_id()
    made = one.mutation("products", product, fields=product_fields(), adds={"tags": ["bar", "estate"]})
    await one.send(made)
    await one.send(one.mutation("products", product, "update", base_version=1, adds={"tags": ["bar"]}))
    removal = two.mutation("products", product, "update", base_version=1, removes={"tags": ["bar", "estate"]})
    (verdict,) = (await two.send(removal))["verdicts"]
    assert (verdict["status"], verdict["superseded"]) == ("merged", ["tags"])
    await two.send(two.mutation("products", product, "update", base_version=1, adds={"tags": ["asporto"]}))
    await two.pull("products")
    assert two.received["products", product]["fields"]["tags"] == ["asporto", "bar"]


async def test_a_value_out_of_range_comes_back_when_its_sale_is_voided(shop: Shop) -> None:
    """A sum that left its column waits, and joins again in whatever transaction brings it back."""
    owner, product = shop.device("owner"), shop.new_id()
    most = owner.mutation("products", product, fields=product_fields(), increments={"stock": "-9999999999.000"})
    await owner.send(most)
    line = {"description": "x", "quantity": "5.000", "unit_price": "1.20", "total": "1.20", "vat_rate": "10.00"}
    sale = owner.sale(lines=[{**line, "product_id": product}])
    await owner.send(sale)
    await owner.pull("products", "sales")
    assert owner.received["sales", sale["record_id"]]["fields"]["flags"] == ["stock_out_of_range"]
    await owner.send(owner.mutation("sales", sale["record_id"], "update", base_version=1, fields={"status": "voided"}))
    await owner.send(owner.mutation("products", product, "update", base_version=1, increments={"stock": "1.000"}))
    await owner.pull("products")
    assert owner.received["products", product]["fields"]["stock"] == "-9999999998.000"


async def test_a_decision_about_a_whole_record_that_is_nonsense_stops_no_queue(shop: Shop) -> None:
    """It is refused alone, before anything is looked up by what it says."""
    one, two = shop.device("owner"), shop.device("owner")
    sale = one.sale()
    await one.send(sale)
    void = one.mutation("sales", sale["record_id"], "update", base_version=1, fields={"status": "voided"})
    back = two.mutation(
        "sales",
        sale["record_id"],
        "update",
        timestamp="2025-11-24T10:00:09.000Z",
        fields={"status": "completed", "note": "x"},
    )
    await one.send(void)
    (verdict,) = (await two.send(back))["verdicts"]
    values = [{"fields": {"customer_id": ["x"]}}, {"status": "completed", "lines": 5}, {"fields": {"lines": 5}}, 7]
    decisions = [
        two.mutation(
            "conflicts", verdict["conflict_id"] or shop.new_id(), "update", fields={"decision": "value", "value": value}
        )
        for value in values
    ]
    answer = await two.send(*decisions, two.sale())
    assert [v["status"] for v in answer["verdicts"]][-1] == "applied"
    assert {v["status"] for v in answer["verdicts"][:-1]} == {"rejected"}
