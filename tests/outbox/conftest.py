"""One open outlet a test, and what was logged meanwhile."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.outbox.outlet import Outlet, open_outlet

Logged = list[Any]


@pytest.fixture
async def outlet(database_url: str) -> AsyncIterator[Outlet]:
    """A shop whose sales go out, on a fresh database, once on each kind."""
    async with open_outlet(database_url) as opened:
        yield opened


@pytest.fixture(autouse=True)
def logged() -> Iterator[Logged]:
    """What is logged, as dictionaries."""
    with capture_logs() as entries:
        yield entries
