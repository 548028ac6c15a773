"""One open office a test."""

from collections.abc import AsyncIterator

import pytest

from tests.sending.office import Office, open_office


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    """On a fresh database, once on each kind."""
    async with open_office(database_url) as opened:
        yield opened


@pytest.fixture
async def lite_office(sqlite_url: str) -> AsyncIterator[Office]:
    """On SQLite alone, for what has nothing to do with the database."""
    async with open_office(sqlite_url) as opened:
        yield opened
