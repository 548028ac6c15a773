"""Restoring onto whatever is left of a database, from whatever is given as a backup."""

import json
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from server.ops.backup import BackupError, backup, restore
from server.storage.postgres import connect_arguments
from tests.ops.restoring import STAMP, Nonces, backed_up, edit_manifest, ignore, names, put_back, query
from tests.support.databases import back_up_file
from tests.support.databases import sqlite_url as url_of
from tests.support.shop import START_MS, open_shop


async def test_a_broken_file_is_no_obstacle(sqlite_url: str, tmp_path: Path) -> None:
    """That is why somebody restores; what is left of it is kept, its log with it."""
    file, data = tmp_path / "copy", tmp_path / "rientro.db"
    await backed_up(sqlite_url, file)
    data.write_bytes(b"what the disk made of it" * 1000)
    (tmp_path / "rientro.db-wal").write_bytes(b"its log")
    done = await put_back(sqlite_url, file)
    kept = tmp_path / f"rientro.db.before-restore-{STAMP}"
    assert done.kept == str(kept)
    assert kept.read_bytes().startswith(b"what the disk made of it")
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == b"its log"
    assert await names(sqlite_url, seed=2) == {"Bar Centrale"}


async def test_a_log_that_was_left_lying_does_not_get_into_the_new_database(sqlite_url: str, tmp_path: Path) -> None:
    """Somebody removed the database and forgot its log: SQLite would take it for the new one's."""
    file, data, log = tmp_path / "copy", tmp_path / "rientro.db", tmp_path / "rientro.db-wal"
    await backed_up(sqlite_url, file)
    with closing(sqlite3.connect(data)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE not_in_the_backup (one)")
        shutil.copy(log, tmp_path / "log")
    data.unlink()
    shutil.copy(tmp_path / "log", log)
    await put_back(sqlite_url, file)
    with closing(sqlite3.connect(data)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'not_in_the_backup'").fetchall() == []


async def test_the_replaced_file_is_whole_and_a_backup_itself(sqlite_url: str, tmp_path: Path) -> None:
    """With what was only in its log: the way back from a restore is another restore."""
    file = tmp_path / "copy"
    await backed_up(sqlite_url, file, "Dopo")
    done = await put_back(sqlite_url, file)
    assert done.kept is not None
    assert (tmp_path / "rientro.db").stat().st_mode & 0o777 == 0o600
    await restore(sqlite_url, Path(done.kept), "later", clock=lambda: START_MS + 2, nonce=Nonces())
    assert await names(sqlite_url, seed=2) == {"Bar Centrale", "Dopo"}


async def test_a_copy_that_sqlite_made_is_a_backup_too(tmp_path: Path, sqlite_url: str) -> None:
    """In WAL mode, as an administrator's own tool leaves it; and into a folder where there is nothing yet."""
    async with open_shop(sqlite_url) as shop:
        back_up_file(tmp_path / "rientro.db", tmp_path / "copy")
        assert shop.tenant_id
    (tmp_path / "new").mkdir()
    target = url_of(tmp_path / "new" / "rientro.db")
    done = await put_back(target, tmp_path / "copy")
    assert done.kept is None
    assert await names(target, seed=2) == {"Bar Centrale"}


@pytest.mark.postgres
async def test_no_flipped_bit_of_a_backup_goes_unnoticed(postgres_url: str, tmp_path: Path) -> None:
    """Wherever it is: in a table's content, in its packing, in the list of what there is."""
    file = tmp_path / "copy"
    async with open_shop(postgres_url) as shop:
        till = shop.device()
        await till.send(*(till.sale() for _ in range(20)))
        await backup(postgres_url, shop.writer, file, ignore)
    whole = file.read_bytes()
    for place in _places(file):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(BackupError):
            await put_back(postgres_url, file)
    assert "Bar Centrale" in await names(postgres_url, seed=2)


def _places(file: Path) -> Iterator[int]:
    """Places in what is packed; the very end of it may hold bits that mean nothing."""
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            begin = info.header_offset + 30 + len(info.filename) + 20
            yield from range(begin, begin + info.compress_size - 10, 1 + info.compress_size // 5)


@pytest.mark.postgres
async def test_tables_of_others_are_left_alone(postgres_url: str, tmp_path: Path) -> None:
    """They are in no backup, and stay where they are when one is put back."""
    file = tmp_path / "copy"
    connection = await asyncpg.connect(**connect_arguments(postgres_url))
    await connection.execute("CREATE TABLE somebody_s AS SELECT 1 AS one")
    await connection.close()
    await backed_up(postgres_url, file)
    done = await put_back(postgres_url, file)
    assert done.kept == f"before_restore_{STAMP.lower()}"
    async with open_shop(postgres_url, seed=2) as shop:
        assert await query(shop, "SELECT one FROM somebody_s") == [(1,)]
        assert len(await query(shop, f"SELECT tenant_id FROM {done.kept}.tenants")) == 1  # noqa: S608


@pytest.mark.postgres
async def test_a_backup_names_no_tables_of_others(postgres_url: str, tmp_path: Path) -> None:
    """It is only a file: it may not write where it likes."""
    file = tmp_path / "copy"
    await backed_up(postgres_url, file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("pg_authid", "")
        manifest = json.loads(archive.read("manifest.json"))
    nothing = {
        "columns": ["rolname"],
        "rows": 0,
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }
    edit_manifest(file, tables={**manifest["tables"], "pg_authid": nothing})
    with pytest.raises(BackupError, match="pg_authid"):
        await put_back(postgres_url, file)
