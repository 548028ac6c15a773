"""Migrations: all of one or nothing of it, and once, however many processes start together."""

from hashlib import sha256
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from server.storage.migrate import run, upgrade
from server.storage.migrations import digests
from tests.support.databases import sqlite_url

VERSIONS = Path(digests.__file__).parent / "versions"


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


LANDED = {
    "0001_first.py": "c1a3035ede8504569eb956c3ce3fc664d8c083b98d428c009f0e6caeb090af02",
    "0002_depth.py": "e72ead53013c2e6b1d4adca71ab60918bbe61c4385baa9f401bfc371c84a5ec7",
}
"""What databases out there were made by: a line for each migration that has left the house, never changed."""


def test_a_migration_that_others_ran_stays_as_it_was() -> None:
    """A database that is at it already would never see what was added to it later."""
    found = {name: sha256((VERSIONS / name).read_bytes()).hexdigest() for name in LANDED}
    assert found == LANDED


async def test_what_waited_before_an_update_has_its_author_after_it(empty_url: str) -> None:
    """Until then who sent it last was taken for who wrote it; and nothing else of the database is wanting."""
    await upgrade(empty_url, "0002")
    engine = create_async_engine(empty_url)
    async with engine.begin() as connection:
        await connection.execute(sa.text(_WAITS), _WAITING)
    await engine.dispose()
    await upgrade(empty_url)
    await run(empty_url, "check")
    async with engine.connect() as connection:
        ((author_id,),) = (await connection.execute(sa.text("SELECT author_id FROM waiting"))).all()
    await engine.dispose()
    assert str(author_id) == _WAITING["client_id"]


_AT = "2026-11-24T09:00:00.000Z"
_WAITING = {
    "tenant_id": "0192f0c1-0000-7000-8000-000000000001",
    "uid": "0192f0c1-0000-7000-8000-000000000002",
    "client_id": "0192f0c1-0000-7000-8000-000000000003",
    "device_id": "0192f0c1-0000-7000-8000-000000000004",
    "record_id": "0192f0c1-0000-7000-8000-000000000005",
}
_WAITS = f"""INSERT INTO waiting (tenant_id, uid, client_id, device_id, mutation_id, collection, record_id, role,
       audiences, body, correlation_id, place, received_at) VALUES (:tenant_id, :uid, :client_id, :device_id, 1,
       'sales', :record_id, 'terminal', '[]', '{{}}', 'c', 1, '{_AT}')"""  # noqa: S608  # our own text
