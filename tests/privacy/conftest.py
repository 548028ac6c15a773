"""A customer's whole file, on either database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.settings import Settings
from tests.privacy.file import File, open_file


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """An installation of its own."""
    return Settings(data=tmp_path, database_url=SecretStr(database_url), relay=False)


@pytest.fixture
async def file(settings: Settings) -> AsyncIterator[File]:
    """Everything that can be held about one customer."""
    async with open_file(settings) as opened:
        yield opened
