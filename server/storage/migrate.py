"""Brings a database forward, and lets tests compare it with the models. Ordinary SQLAlchemy: nothing here is hot.

A migration is one transaction on both databases: what ends in its middle leaves the database as it was. Python's SQLite
driver begins none before a change of tables, so the transaction is begun for it, and at once for writing: of two
processes that start together the second waits, and then finds nothing to do.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from server.storage.database import DatabaseError

_SCRIPTS = Path(__file__).parent / "migrations"
_WAIT_MS = 10 * 60 * 1000
"""On SQLite, for another process that migrates."""


async def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at `url` to a revision; two processes doing so at once wait for each other."""
    await run(url, "upgrade", revision)


async def run(url: str, name: str, *arguments: Any, **options: Any) -> Any:
    """Run an Alembic command, such as upgrade, check or revision. Raises DatabaseError where there is no database."""
    async with migrating(url) as connection:
        return await run_within(connection, name, *arguments, **options)


@asynccontextmanager
async def migrating(url: str) -> AsyncIterator[AsyncConnection]:
    """A transaction to migrate in; others that want one wait for its end. Raises DatabaseError."""
    engine = create_async_engine(url)
    if engine.dialect.name == "sqlite":
        _begin_for_writing(engine)
    try:
        async with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7213654)")
            yield connection
    except (OSError, DBAPIError) as error:
        raise DatabaseError(type(getattr(error, "orig", None) or error).__name__, transient=True) from error
    finally:
        await engine.dispose()


def _begin_for_writing(engine: AsyncEngine) -> None:
    """Have every transaction of a SQLite engine hold all it does, DDL included, and wait for others to begin."""

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins and commits nothing by itself
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


async def run_within(connection: AsyncConnection, name: str, *arguments: Any, **options: Any) -> Any:
    """Run an Alembic command in somebody's transaction."""

    def call(within: Connection) -> Any:
        return getattr(command, name)(_config(within), *arguments, **options)

    return await connection.run_sync(call)


def newest() -> str:
    """The revision that this program works with."""
    return ScriptDirectory.from_config(_scripts()).get_current_head() or ""


def revisions() -> frozenset[str]:
    """Every revision this program knows how to bring forward."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(_scripts()).walk_revisions())


def _config(connection: Connection) -> Config:
    config = _scripts()
    config.attributes["connection"] = connection
    return config


def _scripts() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.set_main_option("path_separator", "os")
    return config
