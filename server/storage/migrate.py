"""Brings a database forward, and lets tests compare it with the models. Ordinary SQLAlchemy: nothing here is hot."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from server.storage.database import DatabaseError

_SCRIPTS = Path(__file__).parent / "migrations"


async def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at `url` to a revision; two processes doing so at once wait for each other on PostgreSQL."""
    await run(url, "upgrade", revision)


async def run(url: str, name: str, *arguments: Any, **options: Any) -> Any:
    """Run an Alembic command, such as upgrade, check or revision. Raises DatabaseError where there is no database."""
    async with migrating(url) as connection:
        return await run_within(connection, name, *arguments, **options)


@asynccontextmanager
async def migrating(url: str) -> AsyncIterator[AsyncConnection]:
    """A transaction to migrate in; on PostgreSQL others that want one wait for its end. Raises DatabaseError."""
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7213654)")
            yield connection
    except (OSError, DBAPIError) as error:
        raise DatabaseError(type(getattr(error, "orig", None) or error).__name__, transient=True) from error
    finally:
        await engine.dispose()


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
