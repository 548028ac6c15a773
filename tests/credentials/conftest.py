"""A keeper and a token endpoint for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.credentials.authorizer import Authorizer, authorizer
from tests.credentials.keeping import Keeper, open_keeper


@pytest.fixture
async def keeper(database_url: str, tmp_path: Path) -> AsyncIterator[Keeper]:
    """Credentials of one merchant, once on each database."""
    async with open_keeper(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def lite(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Keeper]:
    """The same where the database makes no difference."""
    async with open_keeper(sqlite_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def provider() -> AsyncIterator[Authorizer]:
    """A token endpoint that can be told to misbehave."""
    async with authorizer() as running:
        yield running
