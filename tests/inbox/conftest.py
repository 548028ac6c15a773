"""One open mailroom a test, what it logs, and the real peers: a receiver and an intermediary for each module."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from io import StringIO

import pytest

from server.outbound import open_outbound
from server.providers.sdi.adapter import SdiProvider
from tests.inbox.mailroom import Mailroom, open_mailroom
from tests.inbox.post import Company
from tests.support.intermediary import Intermediary, intermediary_process
from tests.support.logged import logged
from tests.support.receiver import Receiver, receiver_process

_companies = iter(range(1, 1000))


@pytest.fixture(autouse=True)
def logs() -> Iterator[StringIO]:
    """All that is logged, as the server writes it."""
    with logged("INFO") as stream:
        yield stream


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


@pytest.fixture(scope="module")
async def intermediary(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Intermediary]:
    """One process for all; each test is a company of its own."""
    async with intermediary_process(tmp_path_factory.mktemp("intermediary")) as process:
        yield process


@pytest.fixture
async def company(intermediary: Intermediary) -> AsyncIterator[Company]:
    """A new one; the intermediary behaves well again in the end."""
    yield Company(intermediary, next(_companies))
    await intermediary.behave("well")


@pytest.fixture
async def post(database_url: str, company: Company) -> AsyncIterator[Mailroom]:
    """A shop that receives invoices; its clock is today's, for so is the intermediary's."""
    settings = {**company.intermediary.settings, "backfill_days": 30, "company_id": company.company_id}
    async with (
        open_outbound(allow_loopback=True) as outbound,
        open_mailroom(database_url, SdiProvider(outbound, lambda: 0)) as room,
    ):
        room.shop.clock.ms = int(datetime.now(UTC).timestamp() * 1000)
        await room.add("sdi", settings, company.intermediary.secrets)
        yield room


@pytest.fixture(scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Receiver]:
    """One process for all of a module's tests."""
    async with receiver_process(tmp_path_factory.mktemp("receiver")) as process:
        yield process
