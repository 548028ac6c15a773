"""One open mailroom a test, and what it logs."""

import logging
from collections.abc import AsyncIterator, Iterator
from io import StringIO

import pytest
import structlog

from server.ops.logs import set_up_logs
from tests.inbox.mailroom import Mailroom, open_mailroom


@pytest.fixture(autouse=True)
def logs() -> Iterator[StringIO]:
    """All that is logged, as the server writes it."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = StringIO()
    set_up_logs("INFO", stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
async def room(database_url: str) -> AsyncIterator[Mailroom]:
    """A shop that is told things, on a fresh database, once on each kind."""
    async with open_mailroom(database_url) as opened:
        yield opened


@pytest.fixture
async def lite_room(sqlite_url: str) -> AsyncIterator[Mailroom]:
    """The same on SQLite alone, for what has nothing to do with the database."""
    async with open_mailroom(sqlite_url) as opened:
        yield opened
