"""Fixtures of the client's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.client.support import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A server and tills with databases on disk."""
    world = World(tmp_path)
    yield world
    await world.aclose()
