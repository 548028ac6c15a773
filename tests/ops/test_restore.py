"""Restoring: all of it or nothing, on both databases."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from server.ops.backup import BackupError, backup
from server.ops.backup.copies import _tell
from server.ops.backup.manifest import Reached
from server.storage.database import Tx
from server.storage.migrate import newest, upgrade
from server.storage.postgres import connect_arguments
from server.storage.statement import Statement
from tests.ops.restoring import backed_up, edit_manifest, ignore, lying_about, names, put_back, query
from tests.outbox.outlet import open_outlet
from tests.support.databases import sqlite_url as url_of
from tests.support.shop import TIMESTAMP, Shop, open_shop


async def test_every_merchant_begins_a_new_epoch_with_a_mark(database_url: str, tmp_path: Path) -> None:
    """The mark comes after all that is in the backup."""
    file = tmp_path / "copy"
    async with open_shop(database_url) as shop:
        await shop.admin.add_tenant("Un altro")
        till = shop.device()
        await till.send(till.sale())
        await backup(database_url, shop.writer, file, ignore)
        before = {row[0]: row[1:] for row in await query(shop, "SELECT tenant_id, epoch, seq FROM tenants")}
    done = await put_back(database_url, file)
    assert done.tenants == 2
    async with open_shop(database_url, seed=2) as shop:
        after = dict(await query(shop, "SELECT tenant_id, epoch FROM tenants"))
        marks = dict(await query(shop, "SELECT tenant_id, max(seq) FROM marks GROUP BY tenant_id"))
        assert len(before) == done.tenants
        assert all(after[tenant_id] != epoch for tenant_id, (epoch, _) in before.items())
        assert all(marks[tenant_id] > seq for tenant_id, (_, seq) in before.items())


async def test_a_restore_that_fails_at_its_end_changes_nothing(database_url: str, tmp_path: Path) -> None:
    """The database is the one before, nothing lies about, and the next attempt goes through."""
    file, data = tmp_path / "copy", tmp_path / "rientro.db"
    await backed_up(database_url, file, "Dopo")
    with pytest.raises(ExceptionGroup, check=lambda group: group.subgroup(LookupError) is not None):
        await put_back(database_url, file, nonces=1)
    assert "Dopo" in await names(database_url, seed=2)
    assert not lying_about(tmp_path, "*restor*")
    await put_back(database_url, file)
    assert "Dopo" not in await names(database_url, seed=3)
    assert data.exists() == database_url.startswith("sqlite")


async def test_what_was_under_way_is_free_and_doubtful(database_url: str, tmp_path: Path) -> None:
    """A delivery that was not settled in the backup may have been delivered since: nobody is sent it blindly."""
    file = tmp_path / "copy"
    async with open_outlet(database_url) as shop:
        await shop.bind()
        waiting, leased, settled = await shop.sell(3)
        for state, sale in (("leased", leased), ("delivered", settled)):
            await shop.database.write(_into(state, sale))
        await backup(database_url, shop.writer, file, ignore)
    await put_back(database_url, file)
    async with open_outlet(database_url, seed=2) as shop:
        rows = await query(shop, "SELECT record_id, state, ambiguous, lease_owner, fence FROM outbox")
        assert {row[0]: (row[1], bool(row[2]), *row[3:]) for row in rows} == {
            waiting: ("pending", True, None, 1),
            leased: ("pending", True, None, 1),
            settled: ("delivered", False, None, 0),
        }


def _into(state: str, record_id: str) -> Any:
    async def work(tx: Tx) -> int:
        changed = "UPDATE outbox SET state = :state, lease_owner = :owner WHERE record_id = :record_id"
        owner = "somebody" if state == "leased" else None
        return await tx.execute(Statement(changed), {"state": state, "owner": owner, "record_id": record_id})

    return work


async def test_an_older_backup_is_brought_forward(database_url: str, tmp_path: Path) -> None:
    """A backup made before an update, also of a database that has nowhere to note it, is good after it."""
    file = tmp_path / "copy"
    await _emptied(database_url, tmp_path)
    await upgrade(database_url, "0001")
    async with open_shop(database_url, empty=True) as shop:
        shop.tenant_id = shop.new_id()
        await shop.database.write(_client_of(shop))
        covered = await backup(database_url, shop.writer, file, ignore)
        assert covered.clients == 0
    await put_back(database_url, file)
    async with open_shop(database_url, seed=2) as shop:
        assert await query(shop, "SELECT version_num FROM alembic_version") == [(newest(),)]
        till = shop.device()
        assert (await till.send(till.sale()))["verdicts"][0]["status"] == "applied"


def _client_of(shop: Shop) -> Any:
    """A merchant and a client of its, in the columns of the first version."""
    founded = """INSERT INTO tenants (tenant_id, name, seq, epoch, revision, created_at)
        VALUES (:tenant_id, 'Bar Centrale', 0, 'first', 0, :created_at)"""

    async def work(tx: Tx) -> int:
        await tx.execute(Statement(founded), (shop.tenant_id, TIMESTAMP))
        met = """INSERT INTO clients (tenant_id, client_id, device_id, last_mutation_id, purged_through, created_at)
            VALUES (:tenant_id, :client_id, :device_id, 7, 0, :created_at)"""
        return await tx.execute(Statement(met), (shop.tenant_id, shop.new_id(), shop.new_id(), TIMESTAMP))

    return work


async def _emptied(url: str, folder: Path) -> None:
    if url.startswith("sqlite"):
        (folder / "rientro.db").unlink()
        return
    connection = await asyncpg.connect(**connect_arguments(url))
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()


async def test_a_newer_backup_is_refused(database_url: str, tmp_path: Path) -> None:
    """Nobody here knows how to bring it back."""
    file = tmp_path / "copy"
    await backed_up(database_url, file)
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
    else:
        edit_manifest(file, revision="9999")
    with pytest.raises(BackupError, match="newer"):
        await put_back(database_url, file)


async def test_where_there_is_no_database_there_is_nothing_to_back_up(sqlite_url: str, tmp_path: Path) -> None:
    """Nor where there is no folder for it, nor over a folder."""
    async with open_shop(sqlite_url) as shop:
        for url, file, says in (
            (url_of(tmp_path / "nowhere" / "rientro.db"), tmp_path / "copy", "no database"),
            (sqlite_url, tmp_path / "nowhere" / "copy", "no folder"),
            (sqlite_url, tmp_path, "exists"),
        ):
            with pytest.raises(BackupError, match=says):
                await backup(url, shop.writer, file, ignore, force=True)
    assert not lying_about(tmp_path, ".*")


async def test_a_reach_is_never_lowered_and_not_told_to_another_history(database_url: str, tmp_path: Path) -> None:
    """What a backup holds is not what clients have sent since, under the same numbers, in a new epoch."""
    async with open_shop(database_url) as shop:
        till = shop.device()
        await till.send(till.sale(), till.sale())
        ((epoch,),) = await query(shop, "SELECT epoch FROM tenants")
        for told_epoch, last, expected in ((epoch, 2, 2), (epoch, 1, 2), ("another", 9, 2), (epoch, 3, 3)):
            await _tell(shop.writer, [Reached(shop.tenant_id, told_epoch, till.client_id, last)])
            assert (await till.send(collections=["sales"]))["safe_mutation_id"] == expected
