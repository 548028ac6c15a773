"""Pull: rounds of pages that skip nothing, and cursors that are believed only where their history stands."""

import json
from typing import Any

import anyio
import pytest

from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from sync.cursor import CursorKeys
from tests.support.shop import Shop, product_fields


@pytest.mark.parametrize("limit", [1, 3, 7, 1000])
async def test_pages_of_any_size_give_every_record_once(shop: Shop, limit: int) -> None:
    """A round of small pages equals one big page."""
    owner, reader = shop.device("owner"), shop.device()
    sales = [owner.sale() for _ in range(10)]
    products = [owner.mutation("products", shop.new_id(), fields=product_fields()) for _ in range(5)]
    await owner.send(*sales, *products)
    changes = await reader.pull("sales", "products", limit=limit)
    assert [c["record_id"] for c in changes] == [m["record_id"] for m in [*sales, *products]]
    assert await reader.pull("sales", "products", limit=limit) == []


async def test_a_record_changed_during_a_round_comes_in_the_next_one(shop: Shop) -> None:
    """A round's target is the head at its first page, so a round ends under any load."""
    till, reader = shop.device(), shop.device()
    sales = [till.sale() for _ in range(4)]
    await till.send(*sales)
    first = await reader.send(collections=["sales"], limit=2)
    note = till.mutation("sales", sales[0]["record_id"], "update", base_version=1, fields={"note": "x"})
    await till.send(note, till.sale())
    second = await reader.send(collections=["sales"], limit=2, cursor=first["cursor"])
    assert [first["more"], second["more"]] == [True, False]
    assert len(first["changes"] + second["changes"]) == 4
    third = await reader.send(collections=["sales"], cursor=second["cursor"])
    assert [c["fields"]["note"] for c in third["changes"]] == ["x", None]


async def test_a_deleted_record_arrives_as_a_bare_tombstone(shop: Shop) -> None:
    """Its values stay behind."""
    owner, reader = shop.device("owner"), shop.device()
    customer = owner.mutation("customers", shop.new_id(), fields={"name": "Verdi"})
    await owner.send(customer, owner.mutation("customers", customer["record_id"], "delete", base_version=1))
    (change,) = await reader.pull("customers")
    assert change == {
        "collection": "customers",
        "record_id": customer["record_id"],
        "version": 2,
        "audience": "tenant",
        "deleted": True,
        "fields": {},
    }


async def test_a_restored_record_has_the_values_that_met_its_tombstone(shop: Shop) -> None:
    """What was written meanwhile is kept in the tombstone and returns."""
    one, two = shop.device("owner"), shop.device("owner")
    sale_customer = shop.new_id()
    await one.send(one.mutation("customers", sale_customer, fields={"name": "Gallo"}))
    await one.send(one.mutation("customers", sale_customer, "delete", base_version=1))
    await one.send(one.mutation("customers", sale_customer, "restore", base_version=2))
    await two.pull("customers")
    assert two.received["customers", sale_customer]["fields"]["name"] == "Gallo"


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "é" * 20, "A" * 2_000_000])
async def test_an_unreadable_cursor_is_answered_by_a_reset_with_a_first_page(shop: Shop, cursor: str) -> None:
    """Nobody is turned away for a cursor."""
    till = shop.device()
    await till.send(till.sale())
    answer = await till.send(collections=["sales"], cursor=cursor)
    assert (answer["reset"], len(answer["changes"])) == (True, 1)


async def test_a_forged_cursor_is_not_believed(shop: Shop) -> None:
    """A cursor signed with another key starts from nothing."""
    till = shop.device()
    await till.pull("sales")
    assert till.cursor is not None
    ours = CursorKeys(b"k" * 32).decode(till.cursor)
    answer = await till.send(collections=["sales"], cursor=CursorKeys(b"x" * 32).encode(ours))
    assert answer["reset"] is True


async def test_an_ordinary_restart_resets_nobody(shop: Shop) -> None:
    """A new process leaves a mark, and old cursors go on."""
    till, reader = shop.device(), shop.device()
    await till.send(till.sale())
    await reader.pull("sales")
    shop.writer.forget_marks()
    await till.send(till.sale())
    answer = await reader.send(collections=["sales"], cursor=reader.cursor)
    assert (answer["reset"], len(answer["changes"])) == (False, 1)


async def test_an_owner_sees_all_shops_and_a_till_only_its_own(shop: Shop) -> None:
    """Buckets decide what comes out."""
    centro, stazione = shop.device(shop="centro"), shop.device(shop="stazione")
    await centro.send(centro.sale())
    await stazione.send(stazione.sale())
    owner = shop.device("owner", shops=("centro", "stazione"))
    assert [len(await device.pull("sales")) for device in (centro, stazione, owner)] == [1, 1, 2]


async def test_an_owner_of_many_shops_reads_them_in_pages_of_the_size_asked_for(shop: Shop) -> None:
    """More buckets than one SELECT of SQLite takes terms: each record comes once, in the order of the sequence."""
    shops = [f"negozio-{number}" for number in range(120)]
    tills = [shop.device(shop=name) for name in shops[::17]]
    for _ in range(2):
        for till in tills:
            await till.send(till.sale(), till.sale())
    owner, pages = shop.device("owner", shop=shops[0], shops=shops), list[dict[str, Any]]()
    collections = ["sales", "invoices", "products", "customers", "conflicts"]
    while not pages or pages[-1]["more"]:
        pages.append(await owner.send(collections=collections, limit=13, cursor=owner.cursor))
        owner.cursor = pages[-1]["cursor"]
    assert [len(page["changes"]) for page in pages] == [13, 13, 6]
    audiences = [change["audience"] for page in pages for change in page["changes"]]
    assert audiences == [f"shop:{till.principal.shop}" for till in tills for _ in range(2)] * 2


async def test_a_collection_asked_for_later_is_read_from_its_beginning(shop: Shop) -> None:
    """A gained bucket is a second range; a lost one is told."""
    owner = shop.device("owner")
    product = owner.mutation("products", shop.new_id(), fields=product_fields())
    await owner.send(product, owner.sale())
    assert len(await owner.pull("sales")) == 1
    assert [c["collection"] for c in await owner.pull("sales", "products")] == ["products"]
    answer = await owner.send(collections=["products"], cursor=owner.cursor)
    assert answer["dropped"] == [{"collection": "sales", "audience": "shop:centro"}]


async def test_another_tenant_sees_nothing(shop: Shop) -> None:
    """Not the records, and not that there are any."""
    till = shop.device()
    await till.send(till.sale())
    other_tenant = await shop.admin.add_tenant("Un altro")
    stranger = shop.device("owner")
    stranger.principal = stranger.principal._replace(tenant_id=other_tenant)
    answer = await stranger.send(collections=["sales", "products", "customers", "invoices"])
    assert answer["changes"] == []
    known = await till.send(collections=["sales"])
    assert answer["head"] != known["head"]


async def test_a_page_is_bounded_by_bytes_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large records make small pages, and each page brings at least one."""
    monkeypatch.setattr("server.engine.pages.MAX_PAGE_BYTES", 1500)
    till, reader = shop.device(), shop.device()
    await till.send(*(till.sale(note="x" * 400) for _ in range(5)))
    answer = await reader.send(collections=["sales"])
    assert 1 <= len(answer["changes"]) < 5
    assert answer["more"] is True
    assert len(await reader.pull("sales")) == 5


async def test_no_cursor_skips_a_change_while_many_write(shop: Shop) -> None:
    """Readers pull all the while; in the end each has every sale, in a sequence without holes."""
    tills = [shop.device() for _ in range(6)]
    readers = [shop.device() for _ in range(3)]
    done = anyio.Event()

    async def write(till: Any) -> None:
        for _ in range(10):
            await till.send(*(till.sale() for _ in range(3)))

    async def read(reader: Any) -> None:
        while not done.is_set():
            await reader.pull("sales", limit=7)

    async with anyio.create_task_group() as readings:
        for reader in readers:
            readings.start_soon(read, reader)
        async with anyio.create_task_group() as writings:
            for till in tills:
                writings.start_soon(write, till)
        done.set()
    for reader in readers:
        await reader.pull("sales")
        assert len(reader.received) == 180


async def test_jobs_that_wait_share_a_transaction_and_fail_alone(shop: Shop) -> None:
    """One job that breaks leaves the others of its group in place."""
    statement = Statement("INSERT INTO shops (tenant_id, shop) VALUES (:tenant_id, :shop)")

    def add(name: str) -> Job[int]:
        async def run(writing: Writing) -> int:
            await writing.tx.execute(statement, (shop.tenant_id, name))
            return writing.now_ms

        return Job([shop.tenant_id], run)

    ended: dict[str, str] = {}

    async def submit(name: str) -> None:
        try:
            await shop.writer.submit(add(name))
            ended[name] = "stored"
        except Exception as error:  # noqa: BLE001  # its kind is what is looked at
            ended[name] = f"{type(error).__name__}:{getattr(error, 'unique', None)}"

    async with anyio.create_task_group() as tasks:
        for name in ("a", "b", "a", "c"):
            tasks.start_soon(submit, name)
    assert ended == {"a": "DatabaseError:True", "b": "stored", "c": "stored"}
    assert json.dumps(sorted(await _shops(shop))) == '["a", "b", "c"]'


async def _shops(shop: Shop) -> list[str]:
    async def work(tx: Tx) -> list[str]:
        rows = await tx.fetch(Statement("SELECT shop FROM shops WHERE tenant_id = :tenant_id"), (shop.tenant_id,))
        return [row[0] for row in rows]

    return await shop.database.read(work)
