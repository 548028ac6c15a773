"""The composition root: settings become an application. The only module that names concrete adapters."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from server.auth.admin import Admin
from server.collections import registry as described
from server.credentials.vault import Vault, open_vault
from server.engine.records import Records
from server.ids import uuid7
from server.settings import Settings
from server.storage.database import Database
from server.storage.migrate import upgrade
from server.storage.open import open_database
from server.storage.writer import Writer
from sync.protocol import Registry


def now_ms() -> int:
    """Milliseconds since 1970: the process's one clock."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Core:
    """What every way of running rientro has in common: the server, the relay alone, the command line."""

    database: Database
    registry: Registry
    writer: Writer
    records: Records
    vault: Vault
    admin: Admin


@asynccontextmanager
async def open_core(settings: Settings, *, migrate: bool = True) -> AsyncIterator[Core]:
    """Open the database and its writer, and close them at the end; jobs under way are finished first."""
    settings.data.mkdir(parents=True, exist_ok=True)
    if migrate:
        await upgrade(settings.database())
    secret = settings.secret_key.get_secret_value() if settings.secret_key is not None else None
    database = open_database(settings.database())
    writer = Writer(database, clock=now_ms, nonce=lambda: secrets.token_hex(8))
    registry = described()
    core = Core(
        database=database,
        registry=registry,
        writer=writer,
        records=Records(registry),
        vault=open_vault(settings.data, secret),
        admin=Admin(writer, uuid7),
    )
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer.run)
            yield core
            tasks.cancel_scope.cancel()
    finally:
        await database.close()
