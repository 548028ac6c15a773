"""Rewinds: history that went back is noticed by whoever meets it, ends its epoch once, and loses nothing.

A backup is made inside the database, table by table, and put back behind the engine's back.
"""

from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlmodel import SQLModel
from structlog.testing import capture_logs

from server.storage.database import DatabaseError, Tx
from server.storage.sqlite import SqliteDatabase
from server.storage.statement import Statement
from sync.client import SyncClient
from tests.client.samples import sale
from tests.support.databases import back_up_file, put_back_file
from tests.support.linked import linked
from tests.support.shop import Shop, Till, open_shop, product_fields

_TENANT = Statement("SELECT epoch, seq FROM tenants WHERE tenant_id = :tenant_id")
_MARKS = Statement("SELECT seq, nonce FROM marks WHERE tenant_id = :tenant_id ORDER BY seq")
_SALES = Statement("SELECT receipt_no FROM sales WHERE tenant_id = :tenant_id ORDER BY receipt_no")


async def _run(shop: Shop, *statements: str) -> None:
    async def work(tx: Tx) -> None:
        for statement in statements:
            await tx.execute(Statement(statement))

    await shop.database.write(work)


_TABLES = [name for name in SQLModel.metadata.tables if name != "audit"]
"""All but what the database itself keeps from being taken away."""


async def _back_up(shop: Shop) -> None:
    for name in _TABLES:
        await _run(shop, f"CREATE TABLE saved_{name} AS SELECT * FROM {name}")  # noqa: S608  # names of our own


async def _put_back(shop: Shop) -> None:
    for name in _TABLES:
        await _run(shop, f"DELETE FROM {name}", f"INSERT INTO {name} SELECT * FROM saved_{name}")  # noqa: S608


async def _restart(shop: Shop) -> None:
    """A new process remembers nothing."""
    shop.writer.forget_marks()
    shop.writer._furthest.clear()
    shop.puller._history._seen.clear()


async def _lose_connections(shop: Shop) -> None:
    """Everybody else's connections to this shop's database are lost, or lead to a file that was put back."""
    if shop.database.dialect == "sqlite":
        ((file,),) = await _fetch(shop, "SELECT file FROM pragma_database_list WHERE name = 'main'")
        copy = Path(f"{file}.copy")
        back_up_file(Path(file), copy)
        put_back_file(copy, Path(file))
    else:
        await _fetch(
            shop,
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()""",
        )


async def _fetch(shop: Shop, text: str) -> list[Any]:
    async def work(tx: Tx) -> list[Any]:
        return list(await tx.fetch(Statement(text)))

    return await shop.database.write(work)


async def _rows(shop: Shop, statement: Statement) -> list[Any]:
    async def work(tx: Tx) -> list[Any]:
        return [tuple(row) for row in await tx.fetch(statement, {"tenant_id": shop.tenant_id})]

    return await shop.database.read(work)


async def _epoch(shop: Shop) -> str:
    ((epoch, _),) = await _rows(shop, _TENANT)
    return str(epoch)


def _sell(client: SyncClient, count: int) -> None:
    for _ in range(count):
        client.sell(sale())


async def test_a_cursor_of_lost_history_ends_the_epoch(shop: Shop) -> None:
    """The answer is a reset that names the new one; there is a mark of it, and an alarm."""
    till, reader = shop.device(), shop.device()
    await till.send(till.sale())
    await _back_up(shop)
    await till.send(till.sale())
    await reader.pull("sales")
    old = await _epoch(shop)
    await _put_back(shop)
    await _restart(shop)
    with capture_logs() as logs:
        answer = await reader.send(collections=["sales"], cursor=reader.cursor)
    assert (answer["reset"], len(answer["changes"])) == (True, 1)
    assert answer["epoch"] == await _epoch(shop) != old
    assert [seq for seq, _ in await _rows(shop, _MARKS)] == [0, 1, 3]
    assert [(log["event"], log["alarm"]) for log in logs] == [("history_rewound", True)]
    again = await reader.send(collections=["sales"], cursor=answer["cursor"])
    assert (again["reset"], again["epoch"]) == (False, answer["epoch"])


async def test_a_history_that_grew_past_the_cursor_is_told_from_its_own(shop: Shop) -> None:
    """The head is beyond the cursor again; its mark is not of this history."""
    till, reader = shop.device(), shop.device()
    await till.send(till.sale())
    await _back_up(shop)
    shop.clock.ms += 61_000
    await till.send(till.sale())
    await reader.pull("sales")
    old = await _epoch(shop)
    await _put_back(shop)
    await _restart(shop)
    other = shop.device()
    await other.send(*(other.sale() for _ in range(9)))
    answer = await reader.send(collections=["sales"], cursor=reader.cursor)
    assert (answer["reset"], len(answer["changes"])) == (True, 10)
    assert answer["epoch"] != old


async def test_many_who_notice_at_once_draw_one_epoch(shop: Shop) -> None:
    """The second look is under the tenant's lock."""
    till, readers = shop.device(), [shop.device() for _ in range(5)]
    await till.send(till.sale())
    await _back_up(shop)
    await till.send(till.sale())
    for reader in readers:
        await reader.pull("sales")
    await _put_back(shop)
    await _restart(shop)
    with capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            for reader in readers:
                tasks.start_soon(reader.pull, "sales")
    assert [log["event"] for log in logs] == ["history_rewound"]
    assert {reader.epoch for reader in readers} == {await _epoch(shop)}


async def test_a_writer_that_committed_more_notices_before_any_job_runs(shop: Shop) -> None:
    """What a client of the old epoch pushes is not applied to a history it knows nothing of."""
    till = shop.device()
    await till.pull("sales")
    await till.send(till.sale(), epoch=till.epoch)
    await _back_up(shop)
    await till.send(till.sale(), till.sale(), epoch=till.epoch)
    await _put_back(shop)
    with capture_logs() as logs:
        answer = await till.send(till.sale(), epoch=till.epoch)
    assert (answer["verdicts"], answer["last_mutation_id"]) == ([], 1)
    assert answer["epoch"] == await _epoch(shop) != till.epoch
    assert await _rows(shop, _SALES) == [(1,)]
    assert [log["event"] for log in logs] == ["history_rewound"]


async def test_what_was_seen_in_lost_history_does_not_count_as_seen(shop: Shop) -> None:
    """A push whose cursor shows the rewind is not applied, though its numbers go on and nobody has noticed yet."""
    owner, office = shop.device("owner"), shop.device("owner")
    record_id = shop.new_id()
    await owner.send(owner.mutation("products", record_id, fields=product_fields()))
    await office.pull("products")
    await _back_up(shop)
    await owner.send(owner.mutation("products", record_id, "update", base_version=1, fields={"name": "lost"}))
    await office.pull("products")
    await _put_back(shop)
    await _restart(shop)
    edit = office.mutation("products", record_id, "update", base_version=2, fields={"name": "seen"})
    answer = await office.send(edit, epoch=office.epoch, cursor=office.cursor, collections=["products"])
    assert (answer["verdicts"], answer["reset"]) == ([], True)
    assert answer["epoch"] == await _epoch(shop) != office.epoch
    assert [change["version"] for change in answer["changes"]] == [1]


async def test_what_was_read_before_a_lost_connection_vouches_for_nothing(shop: Shop, database_url: str) -> None:
    """Another process took the history further meanwhile, past all that was seen here; nobody has read it since."""
    owner, office, record_id = shop.device("owner"), shop.device("owner"), shop.new_id()
    await owner.send(owner.mutation("products", record_id, fields=product_fields()))
    await _back_up(shop)
    await owner.send(owner.mutation("products", record_id, "update", base_version=1, fields={"name": "lost"}))
    await office.pull("products")
    async with open_shop(database_url, seed=2) as another:
        await _put_back(another)
        other = Till(another, owner.principal, another.new_id())
        await other.send(other.mutation("products", record_id, "update", base_version=1, fields={"name": "new"}))
        await other.send(*(other.sale() for _ in range(5)))
        await _lose_connections(another)
    edit = office.mutation("products", record_id, "update", base_version=2, fields={"name": "seen"})
    with capture_logs() as logs:
        answer = await office.send(edit, epoch=office.epoch, cursor=office.cursor)
    assert (answer["verdicts"], answer["epoch"]) == ([], await _epoch(shop))
    assert answer["epoch"] != office.epoch
    assert [log["event"] for log in logs] == ["history_rewound"]


async def test_what_a_process_read_before_its_first_write_vouches_for_nothing(shop: Shop, database_url: str) -> None:
    """It has no connection to lose yet."""
    till, office = shop.device(), shop.device("owner")
    await till.send(till.sale())
    await _back_up(shop)
    await till.send(till.sale())
    async with open_shop(database_url, seed=2) as another:
        reader = Till(another, office.principal, office.client_id)
        another.tenant_id = shop.tenant_id
        await reader.pull("sales")
        await _put_back(shop)
        await _restart(shop)
        other = shop.device()
        await other.send(*(other.sale() for _ in range(5)))
        answer = await reader.send(reader.sale(), epoch=reader.epoch, cursor=reader.cursor)
        assert (answer["verdicts"], answer["epoch"]) == ([], await _epoch(shop))
    assert answer["epoch"] != reader.epoch


async def test_a_lost_connection_alone_ends_no_epoch(shop: Shop, database_url: str) -> None:
    """The history that comes back is the one that was read, whoever went on with it."""
    till = shop.device()
    await till.send(till.sale())
    await till.pull("sales")
    async with open_shop(database_url, seed=2) as another:
        other = Till(another, till.principal, another.new_id())
        await other.send(other.sale())
        await _lose_connections(another)
    answer = await till.send(till.sale(), epoch=till.epoch, cursor=till.cursor)
    assert ([verdict["status"] for verdict in answer["verdicts"]], answer["epoch"]) == (["applied"], till.epoch)
    assert len(await _rows(shop, _MARKS)) == 4


async def test_a_stranger_with_a_cursor_of_another_shop_ends_no_epoch(shop: Shop) -> None:
    """It is authentic and of a history of ours, but of another tenant's: a reset."""
    till = shop.device()
    await till.send(till.sale())
    await till.pull("sales")
    stranger = shop.device()
    stranger.principal = stranger.principal._replace(tenant_id=await shop.admin.add_tenant("Un altro"))
    before = await _epoch(shop)
    await stranger.pull("sales")
    first = stranger.epoch
    answer = await stranger.send(collections=["sales"], cursor=till.cursor)
    assert (answer["reset"], answer["epoch"], answer["changes"]) == (True, first, [])
    assert await _epoch(shop) == before


@pytest.mark.parametrize("noticed_by", ["reader", "writer"])
async def test_clients_bring_back_what_a_backup_did_not_have(shop: Shop, noticed_by: str) -> None:
    """Journal first, then what is pending; every sale is there once, whoever noticed first."""
    collections = ("sales",)
    async with (
        linked(shop, shop.device().principal, collections, batch=3, page=4) as one,
        linked(shop, shop.device().principal, collections, batch=3, page=4) as two,
    ):
        _sell(one, 5)
        _sell(two, 5)
        await one.drain()
        await two.drain()
        await _back_up(shop)
        _sell(one, 7)
        await one.drain()
        await two.drain()
        old = await _epoch(shop)
        await _put_back(shop)
        if noticed_by == "reader":
            await _restart(shop)
        _sell(two, 2)
        for client in (two, one, two):
            await client.drain()
        assert await _epoch(shop) != old
        assert one.records("sales") == two.records("sales")
        numbers = sorted(record.fields["receipt_no"] for record in one.records("sales").values())
        assert numbers == sorted([*range(1, 13), *range(1, 8)])
        assert one.status.pending == two.status.pending == 0
        assert [number for (number,) in await _rows(shop, _SALES)] == numbers


async def test_a_file_put_back_under_an_open_engine_is_opened_anew(sqlite_url: str, tmp_path: Path) -> None:
    """The path is what counts, not the file that was opened; the writer hears of it as of a lost connection."""
    async with open_shop(sqlite_url) as shop:
        file = tmp_path / "rientro.db"
        till = shop.device()
        await till.send(till.sale())
        back_up_file(file, tmp_path / "copy.db")
        await till.send(till.sale())
        old = await _epoch(shop)
        put_back_file(tmp_path / "copy.db", file)
        assert await _rows(shop, _SALES) == [(1,)]
        other = shop.device()
        await other.send(other.sale())
        assert await _epoch(shop) != old
        assert [seq for seq, _ in await _rows(shop, _MARKS)] == [0, 1, 3]


async def test_nothing_is_written_to_a_file_that_is_gone(sqlite_url: str, tmp_path: Path) -> None:
    """It would be lost with it: trouble of ours, and the queue stays with its client."""
    async with open_shop(sqlite_url) as shop:
        file, till = tmp_path / "rientro.db", shop.device()
        await till.send(till.sale())
        file.rename(tmp_path / "elsewhere.db")
        with pytest.raises(Exception, match="gone") as raised:
            await till.send(till.sale())
        assert getattr(raised.value, "transient", False)
        (tmp_path / "elsewhere.db").rename(file)
        till.last_id -= 1
        await till.send(till.sale())
        assert await _rows(shop, _SALES) == [(1,), (2,)]


async def test_no_reader_makes_a_new_file_where_one_was_moved_away(tmp_path: Path, sqlite_url: str) -> None:
    """An empty database in its place would be taken for the shop's, and the real one could not be put back over it."""
    async with open_shop(sqlite_url) as shop:
        file, till = tmp_path / "rientro.db", shop.device()
        await till.send(till.sale())
        file.rename(tmp_path / "un altro? #1.db")
        for _ in range(4):  # more than there are threads that read
            with pytest.raises(DatabaseError, match="gone") as raised:
                await _rows(shop, _SALES)
            assert (raised.value.transient, file.exists()) == (True, False)
        (tmp_path / "un altro? #1.db").rename(file)
        assert await _rows(shop, _SALES) == [(1,)]


async def test_a_file_may_have_any_name(tmp_path: Path, sqlite_url: str) -> None:
    """Whichever thread opens it, and however often."""
    file = tmp_path / "bar? #1 100%.db"
    (tmp_path / "rientro.db").rename(file)
    database = SqliteDatabase(str(file))

    async def work(tx: Tx) -> int:
        return int((await tx.fetch(Statement("SELECT count(*) FROM sqlite_master WHERE name = 'sales'")))[0][0])

    assert [await database.write(work), await database.read(work)] == [1, 1]
    await database.close()


async def test_a_database_in_memory_has_no_file_to_lose() -> None:
    """There is nothing to look at."""
    database = SqliteDatabase(":memory:")

    async def work(tx: Tx) -> int:
        return int((await tx.fetch(Statement("SELECT 1")))[0][0])

    assert await database.write(work) == await database.write(work) == 1
    await database.close()
