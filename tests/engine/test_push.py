"""Push: one transaction, a verdict for each mutation, nothing twice, nothing lost."""

import json
from typing import Any

import pytest

from server.storage.database import Tx
from server.storage.statement import Statement
from sync.errors import ClientForkedError, ForeignClientError, MutationGapError
from tests.support.shop import Shop, Till, line, product_fields, sale_fields

_REJECTED = Statement("SELECT code, body FROM rejected WHERE tenant_id = :tenant_id ORDER BY mutation_id")
_COUNT = Statement("SELECT count(*) FROM sales WHERE tenant_id = :tenant_id")
_SUPERSEDED = Statement("SELECT field, value, author FROM superseded WHERE tenant_id = :tenant_id")


async def _rows(shop: Shop, statement: Statement) -> list[Any]:
    async def work(tx: Tx) -> list[Any]:
        return [tuple(row) for row in await tx.fetch(statement, (shop.tenant_id,))]

    return await shop.database.read(work)


def _statuses(answer: dict[str, Any]) -> list[str]:
    return [verdict["status"] for verdict in answer["verdicts"]]


async def test_a_sale_comes_home_and_reaches_another_till(shop: Shop) -> None:
    """What one till pushed, another one pulls, field by field."""
    till, other = shop.device(), shop.device()
    sale = till.sale(note="con «virgolette»\te \\ barra")
    assert _statuses(await till.send(sale)) == ["applied"]
    (change,) = await other.pull("sales")
    assert change["record_id"] == sale["record_id"]
    assert {name: change["fields"][name] for name in sale["fields"]} == sale["fields"]
    assert change["fields"]["shop"] == "centro"


async def test_each_sale_of_a_batch_keeps_what_is_unusual_about_it(shop: Shop) -> None:
    """Columns that hold the usual value in all of a batch are stored another way than those that differ in one."""
    till, other = shop.device(), shop.device()
    text, drink = {"note": "a\tb\nc\rd\\N \\."}, {**sale_fields()["lines"][0], "description": 'tè "verde" \\'}
    voided = {"status": "voided", "customer_id": shop.new_id()}
    batches: list[list[dict[str, Any]]] = [[{}, {}], [{}, text, voided, {"lines": [drink]}]]
    for unusual in batches:
        batch = [till.sale(**fields) for fields in unusual]
        assert set(_statuses(await till.send(*batch))) == {"applied"}
        pulled = {change["record_id"]: change["fields"] for change in await other.pull("sales")}
        usual = {"customer_id": None, "status": "completed", "note": None, "shop": "centro", "forward_status": None}
        for sale in batch:
            flags = ["unknown_customers"] if "customer_id" in sale["fields"] else []
            wanted = {**usual, "flags": flags, **sale["fields"]}
            assert {name: pulled[sale["record_id"]][name] for name in wanted} == wanted


async def test_a_mutation_sent_again_gets_the_stored_verdict(shop: Shop) -> None:
    """A lost answer costs a repetition, and no second sale."""
    till = shop.device()
    batch = [till.sale(), till.sale(total="9.99"), till.sale()]
    first = await till.send(*batch)
    again = await till.send(*batch)
    assert _statuses(first) == ["applied", "rejected", "applied"]
    assert [v | {"duplicate": False} for v in again["verdicts"]] == first["verdicts"]
    assert all(v["duplicate"] for v in again["verdicts"])
    assert await _rows(shop, _COUNT) == [(2,)]


async def test_a_bad_mutation_is_rejected_alone_and_kept_whole(shop: Shop) -> None:
    """The queue goes on, and what was refused can be read back as it was sent."""
    till = shop.device()
    bad = till.mutation("sales", shop.new_id(), fields=sale_fields(total=1.5, note="\ud83d \x00"))
    unknown = till.mutation("nothing", "not even a uuid", fields={"a": [None, 1.5]})
    answer = await till.send(bad, unknown, till.sale())
    assert _statuses(answer) == ["rejected", "rejected", "applied"]
    assert [v["code"] for v in answer["verdicts"]] == ["invalid", "unknown_collection", None]
    assert [(code, json.loads(body)) for code, body in await _rows(shop, _REJECTED)] == [
        ("invalid", bad),
        ("unknown_collection", unknown),
    ]


async def test_a_gap_keeps_what_came_before_it(shop: Shop) -> None:
    """An id that skips one ends the batch; the expected one is named."""
    till = shop.device()
    first = till.sale()
    till.last_id += 1
    with pytest.raises(MutationGapError) as raised:
        await till.send(first, till.sale())
    assert raised.value.members["expected_mutation_id"] == 2
    assert [v["status"] for v in raised.value.members["verdicts"]] == ["applied"]
    assert await _rows(shop, _COUNT) == [(1,)]


async def test_a_cloned_database_is_told_apart_and_loses_nothing(shop: Shop) -> None:
    """The same ids with other uids are a fork; renumbered under a new client id, everything arrives once."""
    till = shop.device()
    shared = till.sale()
    clone = Till(shop, till.principal, till.client_id, till.last_id)
    await till.send(shared, till.sale())
    own = clone.sale()
    with pytest.raises(ClientForkedError) as raised:
        await clone.send(shared, own)
    assert [v["duplicate"] for v in raised.value.members["verdicts"]] == [True]
    clone.client_id = shop.new_id()
    renumbered = [shared | {"mutation_id": 1}, own | {"mutation_id": 2}]
    answer = await clone.send(*renumbered)
    assert [(v["mutation_id"], v["status"], v["duplicate"]) for v in answer["verdicts"]] == [
        (1, "applied", True),
        (2, "applied", False),
    ]
    assert await _rows(shop, _COUNT) == [(3,)]


async def test_a_client_belongs_to_the_device_that_first_used_it(shop: Shop) -> None:
    """Another device's queue under the same client id is refused, and nothing of it applied."""
    till, thief = shop.device(), shop.device()
    await till.send(till.sale())
    thief.client_id, thief.last_id = till.client_id, 1
    with pytest.raises(ForeignClientError):
        await thief.send(thief.sale())
    assert await _rows(shop, _COUNT) == [(1,)]


async def test_stock_follows_the_sales_and_a_void_gives_it_back(shop: Shop) -> None:
    """Stock equals the deltas, exactly, whichever came first: the product or its sale."""
    owner, till = shop.device("owner"), shop.device()
    product = shop.new_id()
    early = till.sale(lines=[line(product, "2.500")])
    await till.send(early)
    stocked = owner.mutation("products", product, fields=product_fields(), increments={"stock": "10"})
    await owner.send(stocked)
    await till.send(till.sale(lines=[line(product, "0.250"), line(product, "1")]))
    await owner.pull("products", "sales")
    assert owner.received["products", product]["fields"]["stock"] == "6.250"
    assert owner.received["sales", early["record_id"]]["fields"]["flags"] == ["unknown_products"]
    void = till.mutation("sales", early["record_id"], "update", base_version=1, fields={"status": "voided"})
    assert _statuses(await till.send(void)) == ["applied"]
    await owner.pull("products")
    assert owner.received["products", product]["fields"]["stock"] == "8.750"


async def test_a_voided_sale_stays_voided(shop: Shop) -> None:
    """The way back is a new sale; the refused mutation is kept."""
    till = shop.device()
    sale = till.sale()
    void = till.mutation("sales", sale["record_id"], "update", fields={"status": "voided"})
    back = till.mutation("sales", sale["record_id"], "update", fields={"status": "completed"})
    answer = await till.send(sale, void, back)
    assert [(v["status"], v["code"]) for v in answer["verdicts"]] == [
        ("applied", None),
        ("applied", None),
        ("rejected", "rule_broken"),
    ]


async def test_what_happened_cannot_be_deleted(shop: Shop) -> None:
    """A sale is a fact."""
    owner = shop.device("owner")
    sale = owner.sale()
    gone = owner.mutation("sales", sale["record_id"], "delete")
    assert [v["code"] for v in (await owner.send(sale, gone))["verdicts"]] == [None, "fact_not_deletable"]


async def test_concurrent_edits_merge_by_field_and_the_loser_is_kept(shop: Shop) -> None:
    """The later timestamp wins a field; the value that lost can be read back."""
    one, two = shop.device("owner"), shop.device("owner")
    customer = shop.new_id()
    await one.send(one.mutation("customers", customer, fields={"name": "Rossi"}))
    late = "2025-11-24T10:00:05.000Z"
    mine = one.mutation("customers", customer, "update", base_version=1, timestamp=late, fields={"note": "dopo"})
    theirs = two.mutation("customers", customer, "update", base_version=1, fields={"note": "prima", "phone": "0532"})
    await one.send(mine)
    (verdict,) = (await two.send(theirs))["verdicts"]
    assert (verdict["status"], verdict["superseded"], verdict["version"]) == ("merged", ["note"], 3)
    await two.pull("customers")
    fields = two.received["customers", customer]["fields"]
    assert (fields["note"], fields["phone"]) == ("dopo", "0532")
    assert await _rows(shop, _SUPERSEDED) == [("note", '"prima"', two.client_id)]


async def test_a_client_never_loses_to_itself(shop: Shop) -> None:
    """Edits chained offline on one stale base all apply, whatever the clock did meanwhile."""
    owner = shop.device("owner")
    customer = shop.new_id()
    created = owner.mutation("customers", customer, fields={"name": "Bianchi"})
    edits = [
        owner.mutation(
            "customers",
            customer,
            "update",
            timestamp=f"2025-11-24T0{9 - n}:00:00.000Z",
            fields={"name": f"Bianchi {n}"},
        )
        for n in range(5)
    ]
    answer = await owner.send(created, *edits)
    assert _statuses(answer) == ["applied"] * 6
    await owner.pull("customers")
    assert owner.received["customers", customer]["fields"]["name"] == "Bianchi 4"


@pytest.mark.parametrize(
    ("role", "collection", "op", "code"),
    [
        ("terminal", "products", "create", "forbidden"),
        ("clerk", "invoices", "create", "forbidden"),
        ("terminal", "sales", "restore", "forbidden"),
    ],
)
async def test_a_role_writes_only_what_it_may(shop: Shop, role: str, collection: str, op: str, code: str) -> None:
    """What a role may not do is rejected, not an error of the request."""
    device = shop.device(role)
    fields = {"products": product_fields(), "invoices": {}, "sales": {}}[collection]
    (verdict,) = (await device.send(device.mutation(collection, shop.new_id(), op, fields=fields)))["verdicts"]
    assert (verdict["status"], verdict["code"]) == ("rejected", code)


async def test_another_shops_sale_looks_like_one_that_does_not_exist(shop: Shop) -> None:
    """Verdicts about a foreign record and about none differ in nothing but their ids."""
    till, stranger = shop.device(shop="centro"), shop.device(shop="stazione")
    sale = till.sale()
    await till.send(sale)
    foreign = stranger.mutation("sales", sale["record_id"], "update", fields={"note": "x"})
    nothing = stranger.mutation("sales", shop.new_id(), "update", fields={"note": "x"})
    about = (await stranger.send(foreign, nothing))["verdicts"]
    assert about[0] | {"mutation_id": 0, "uid": ""} == about[1] | {"mutation_id": 0, "uid": ""}
    assert await stranger.pull("sales") == []


async def test_a_till_cannot_ring_up_for_another_shop(shop: Shop) -> None:
    """A record that would belong to somebody else is refused."""
    till = shop.device(shop="centro")
    (verdict,) = (await till.send(till.sale(shop="stazione")))["verdicts"]
    assert verdict["code"] == "out_of_scope"


async def test_a_counter_that_leaves_its_range_rejects_that_mutation_alone(shop: Shop) -> None:
    """Sums are exact, and what does not fit is refused, never cut."""
    owner = shop.device("owner")
    product = shop.new_id()
    created = owner.mutation("products", product, fields=product_fields(), increments={"stock": "9999999999"})
    beyond = owner.mutation("products", product, "update", increments={"stock": "0.999"})
    over = owner.mutation("products", product, "update", increments={"stock": "0.001"})
    answer = await owner.send(created, beyond, over)
    assert [v["code"] for v in answer["verdicts"]] == [None, None, "out_of_range"]


async def test_a_clock_far_ahead_is_clamped_and_told(shop: Shop) -> None:
    """A till that lives tomorrow does not win until tomorrow."""
    owner = shop.device("owner")
    customer = owner.mutation("customers", shop.new_id(), timestamp="2031-01-01T00:00:00.000Z", fields={"name": "Neri"})
    first = await owner.send(customer)
    again = await owner.send(customer)
    assert first["verdicts"][0]["clamped"] is True
    assert again["verdicts"][0]["clamped"] is True


async def test_a_client_of_another_epoch_gets_nothing_applied(shop: Shop) -> None:
    """After a rewind its journal comes first; so the batch waits and a reset is sent."""
    till = shop.device()
    await till.pull("sales")
    answer = await till.send(till.sale(), epoch="another", cursor=till.cursor, collections=["sales"])
    assert (answer["verdicts"], answer["reset"], answer["last_mutation_id"]) == ([], True, 0)
    assert await _rows(shop, _COUNT) == [(0,)]
