"""One open desk a test."""

from collections.abc import AsyncIterator

import pytest

from tests.auth.desk import Desk, desk_of
from tests.support.shop import open_shop


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """On a fresh database, once on each kind."""
    async with open_shop(database_url) as opened:
        yield desk_of(opened)
