"""One open shop a test."""

from collections.abc import AsyncIterator

import pytest

from tests.support.shop import Shop, open_shop


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    """An engine on a fresh database, once on each kind."""
    async with open_shop(database_url) as opened:
        yield opened
