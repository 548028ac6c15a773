"""A shop, a till, and what compares."""

from collections.abc import AsyncIterator

import pytest

from tests.reconcile.desk import Desk, open_desk


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """On a fresh database, once on each kind."""
    async with open_desk(database_url) as opened:
        yield opened


@pytest.fixture
async def lite(sqlite_url: str) -> AsyncIterator[Desk]:
    """The same on SQLite alone, for what has nothing to do with the database."""
    async with open_desk(sqlite_url) as opened:
        yield opened
