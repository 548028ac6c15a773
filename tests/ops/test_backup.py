"""Backups: consistent, read back, told to clients; and what happens to a shop that goes back to one."""

import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest

from server.engine.holes import list_holes
from server.ops.backup import BackupError, backup, restore
from server.storage.database import Tx
from server.storage.statement import Statement
from sync.client import SyncClient
from tests.client.samples import product, sale
from tests.support.linked import linked
from tests.support.shop import Shop, open_shop

STAMP = "20251124T100000"
_SALES = Statement("SELECT receipt_no FROM sales WHERE tenant_id = :tenant_id ORDER BY receipt_no")
_STOCK = Statement("SELECT stock FROM products WHERE tenant_id = :tenant_id")
_SAFE = Statement("SELECT client_id, safe_mutation_id FROM clients WHERE tenant_id = :tenant_id")
_FORGET = ("DELETE FROM mutations WHERE mutation_id BETWEEN 2 AND 4", "UPDATE client SET pruned_to = 4")


def _ignore(_done: int, _total: int) -> None:
    return None


async def _rows(shop: Shop, statement: Statement) -> list[Any]:
    async def work(tx: Tx) -> list[Any]:
        return [tuple(row) for row in await tx.fetch(statement, (shop.tenant_id,))]

    return await shop.database.read(work)


async def _sell(till: SyncClient, count: int, product_id: str | None = None) -> None:
    for _ in range(count):
        lines = [{**sale()["lines"][0], "product_id": product_id}]
        till.sell(sale(lines=lines) if product_id else sale())
    await till.drain()


async def test_a_backup_is_a_whole_database_and_is_kept_from_others_eyes(database_url: str, tmp_path: Path) -> None:
    """It is made beside its name and read back before it gets it; an old one is not overwritten unasked."""
    file = tmp_path / "copy"
    async with open_shop(database_url) as shop, linked(shop, shop.device().principal, ("sales",)) as till:
        await _sell(till, 3)
        seen: list[tuple[int, int]] = []
        covered = await backup(database_url, shop.writer, file, lambda done, total: seen.append((done, total)))
        assert (covered.file, covered.clients) == (file, 1)
        assert covered.rows > 3
        assert seen[-1][0] == seen[-1][1] > 0
        assert file.stat().st_mode & 0o777 == 0o600
        assert not file.with_name(".copy.part").exists()
        with pytest.raises(BackupError, match="exists"):
            await backup(database_url, shop.writer, file, _ignore)
        await backup(database_url, shop.writer, file, _ignore, force=True)


async def test_clients_hear_how_far_a_backup_covers_them(database_url: str, tmp_path: Path) -> None:
    """Their own queue and nobody else's; what came after it is theirs to keep."""
    async with (
        open_shop(database_url) as shop,
        linked(shop, shop.device().principal, ("sales",)) as one,
        linked(shop, shop.device().principal, ()) as two,
    ):
        await _sell(one, 3)
        await _sell(two, 5)
        await backup(database_url, shop.writer, tmp_path / "copy", _ignore)
        await _sell(one, 1)
        await _sell(two, 1)
        assert [client.store.meta().safe_mutation_id for client in (one, two)] == [3, 5]
        assert sorted(safe for _, safe in await _rows(shop, _SAFE)) == [3, 5]


async def test_a_damaged_backup_is_found_before_anything_is_touched(database_url: str, tmp_path: Path) -> None:
    """Cut short, changed within, or no backup at all."""
    file = tmp_path / "copy"
    async with open_shop(database_url) as shop, linked(shop, shop.device().principal, ("sales",)) as till:
        await _sell(till, 3)
        await backup(database_url, shop.writer, file, _ignore)
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], _bent(file, tmp_path / "bent"), b"something else"):
        file.write_bytes(damaged)
        with pytest.raises(BackupError):
            await restore(database_url, file, STAMP, clock=lambda: 0, nonce=lambda: "x")
    with pytest.raises(BackupError):
        await restore(database_url, tmp_path / "nothing", STAMP, clock=lambda: 0, nonce=lambda: "x")
    async with open_shop(database_url, seed=2) as shop:
        assert len(await shop.admin.tenants()) == 2


def _bent(file: Path, bent: Path) -> bytes:
    """The same backup with another table's content: a ZIP that is whole in itself, a database that is not."""
    if not zipfile.is_zipfile(file):
        whole = file.read_bytes()
        return whole.replace(b"cassa-1", b"cassa-2", 1)[: len(whole) - 4096] + b"x" * 4096
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(bent, "w") as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name).replace(b"cash", b"card"))
    return bent.read_bytes()


async def test_a_database_in_use_is_not_replaced(database_url: str, tmp_path: Path) -> None:
    """Somebody may be writing to it."""
    file = tmp_path / "copy"
    async with open_shop(database_url) as shop, linked(shop, shop.device().principal, ("sales",)) as till:
        await _sell(till, 1)
        await backup(database_url, shop.writer, file, _ignore)
        with pytest.raises(BackupError, match="stop"):
            await restore(database_url, file, STAMP, clock=shop.clock, nonce=lambda: shop.new_id().replace("-", ""))


async def test_a_shop_that_goes_back_to_a_backup_loses_nothing_its_tills_know(
    database_url: str, tmp_path: Path
) -> None:
    """Sales and stock after the backup come again from the journals, once; the replaced database is kept."""
    file = tmp_path / "copy"
    async with open_shop(database_url) as shop:
        owner, tills = shop.device("owner").principal, [shop.device().principal for _ in range(2)]
        async with linked(shop, owner, ("products",), tmp_path / "owner.db") as client:
            goods = client.create("products", product("caffè"), increments={"stock": "100"}).record_id
            await client.drain()
        for number, till in enumerate(tills):
            async with linked(shop, till, ("sales", "products"), tmp_path / f"{number}.db") as client:
                await _sell(client, 4, goods)
        await backup(database_url, shop.writer, file, _ignore)
        shop.clock.ms += 1000
        for number, till in enumerate(tills):
            async with linked(shop, till, ("sales", "products"), tmp_path / f"{number}.db") as client:
                await _sell(client, 3, goods)
        tenant_id, before = shop.tenant_id, await _rows(shop, _SALES)
    done = await restore(database_url, file, STAMP, clock=shop.clock, nonce=lambda: shop.new_id().replace("-", ""))
    assert done.kept is not None
    async with open_shop(database_url, seed=2) as shop:
        shop.tenant_id, shop.clock.ms = tenant_id, shop.clock.ms + 2000
        assert len(await _rows(shop, _SALES)) == 8
        for number, till in enumerate(tills):
            async with linked(shop, till, ("sales", "products"), tmp_path / f"{number}.db") as client:
                await client.drain()
                assert (client.status.pending, client.status.rejected) == (0, 0)
        assert await _rows(shop, _SALES) == before
        assert [str(stock) for (stock,) in await _rows(shop, _STOCK)] in (["86.000"], ["86000"])
        assert await list_holes(shop.database, tenant_id) == []


async def test_what_neither_backup_nor_journal_has_is_listed(database_url: str, tmp_path: Path) -> None:
    """The till says from where it goes on, keeps its numbers, and what is missing has a name."""
    file, local = tmp_path / "copy", tmp_path / "till.db"
    async with open_shop(database_url) as shop:
        principal = shop.device().principal
        async with linked(shop, principal, ("sales",), local) as client:
            await _sell(client, 1)
            await backup(database_url, shop.writer, file, _ignore)
            await _sell(client, 5)
        tenant_id = shop.tenant_id
    with sqlite3.connect(local) as journal:
        for statement in _FORGET:
            journal.execute(statement)
    journal.close()
    await restore(database_url, file, STAMP, clock=shop.clock, nonce=lambda: shop.new_id().replace("-", ""))
    async with open_shop(database_url, seed=2) as shop, linked(shop, principal, ("sales",), local) as client:
        shop.tenant_id, shop.clock.ms = tenant_id, shop.clock.ms + 2000
        await client.drain()
        assert [number for (number,) in await _rows(shop, _SALES)] == [1, 5, 6]
        (hole,) = await list_holes(shop.database, tenant_id)
        assert (hole.first_id, hole.last_id) == (2, 4)
        assert client.store.meta().resume_from is None
        await _sell(client, 1)
        assert len(await _rows(shop, _SALES)) == 4
