"""The servers that play Stripe, each once a session, and a shop with an account at one for each test."""

import shutil
from collections.abc import AsyncIterator, Iterator
from io import StringIO
from pathlib import Path

import pytest

from tests.stripe.house import SECRET, House, open_house
from tests.support.logged import logged
from tests.support.processes import ServerProcess, server_process

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "tests" / "peers"
NODE = shutil.which("node")


@pytest.fixture(autouse=True)
def logs() -> Iterator[StringIO]:
    """All that is logged, as the server writes it."""
    with logged("INFO") as stream:
        yield stream


@pytest.fixture(scope="session")
async def localstripe(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """A stateful Stripe with signed webhooks: customers, cards, intents, refunds, plans, invoices, events."""
    python = ROOT / ".venv-peers" / "bin" / "python"
    if not python.exists():
        pytest.skip("needs `make .venv-peers/.ready`")
    log = tmp_path_factory.mktemp("localstripe") / "log"
    async with server_process([str(PEERS / "local_stripe.py"), "{port}"], log, program=str(python)) as running:
        yield running


@pytest.fixture(scope="session")
async def stateful_mock(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """A stateful Stripe that honours idempotency keys."""
    if NODE is None or not (PEERS / "node_modules").is_dir():
        pytest.skip("needs Node and `npm ci` in tests/peers")
    log = tmp_path_factory.mktemp("stripe") / "log"
    async with server_process([str(PEERS / "stripe.mjs"), "{port}"], log, program=NODE) as running:
        yield running


@pytest.fixture(scope="session")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """A Stripe of our own, for what the other two lack: old keys, lost answers, disputes."""
    log = tmp_path_factory.mktemp("desk") / "log"
    async with server_process(["-m", "tests.support.stripe_desk", "{port}"], log) as running:
        yield running


@pytest.fixture
async def at_desk(sqlite_url: str, desk: ServerProcess) -> AsyncIterator[House]:
    """A shop with an account at our own Stripe, which tells nobody; on SQLite, for the database has no part in it."""
    async with open_house(sqlite_url, desk) as opened:
        yield opened
        await opened.ask("POST", "/control/behave", do="well", times="0")


@pytest.fixture
async def lite_house(sqlite_url: str, localstripe: ServerProcess) -> AsyncIterator[House]:
    """A shop at localstripe on SQLite alone, told by nobody but the test."""
    async with open_house(sqlite_url, localstripe) as opened:
        await opened.ask("DELETE", "/_config/data")
        await opened.ask("POST", "/_config/webhooks/house", url="http://127.0.0.1:1/nobody", secret="whsec_nobody")
        yield opened


@pytest.fixture
async def house(database_url: str, localstripe: ServerProcess) -> AsyncIterator[House]:
    """A shop with an account at localstripe, which tells it; on both databases."""
    async with open_house(database_url, localstripe, on_unsubscribe="now") as opened:
        await opened.ask("DELETE", "/_config/data")
        form = {"url": opened.url, "secret": SECRET}
        await opened.ask("POST", "/_config/webhooks/house", **form)
        yield opened
