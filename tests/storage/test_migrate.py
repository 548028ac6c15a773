"""Migrations: all of one or nothing of it, and once, however many processes start together."""

from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from server.storage.migrate import run, upgrade
from server.storage.migrations import digests
from tests.support.databases import sqlite_url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database with nothing in it."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "empty.db")
    url: str = request.getfixturevalue("postgres_url")
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        await connection.exec_driver_sql("CREATE SCHEMA public")
    await engine.dispose()
    return url


async def _tables(url: str) -> set[str]:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda within: sa.inspect(within).get_table_names())
    await engine.dispose()
    return set(names)


class _PowerCutError(Exception):
    """What ends a process in the middle of a migration."""


async def test_a_migration_that_ends_in_its_middle_can_be_made_again(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves no table behind, or the next start would find them and never get past."""

    def cut(_connection: sa.Connection) -> None:
        raise _PowerCutError

    await upgrade(empty_url, "0001")
    before = await _tables(empty_url)
    with monkeypatch.context() as patched, pytest.raises(_PowerCutError):
        patched.setattr(digests, "fill_digests", cut)
        await upgrade(empty_url)
    assert await _tables(empty_url) == before
    await upgrade(empty_url)
    assert await _tables(empty_url) > before
    await run(empty_url, "check")


async def test_two_that_start_together_migrate_once(empty_url: str) -> None:
    """The second waits for the first, and finds nothing to do."""
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(upgrade, empty_url)
    await run(empty_url, "check")
