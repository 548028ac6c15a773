"""One push service for all, and a shop of its own for each test."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.processes import server_process
from tests.webpush.beach import Beach, open_beach
from tests.webpush.service import PushService

PEERS = Path(__file__).parents[1] / "peers"
NODE = shutil.which("node")


@pytest.fixture(scope="session")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PushService]:
    """The push service."""
    if NODE is None or not (PEERS / "node_modules").is_dir():
        pytest.skip("needs Node and `npm ci` in tests/peers")
    log = tmp_path_factory.mktemp("push") / "log"
    async with server_process([str(PEERS / "push.mjs"), "{port}"], log, program=NODE) as running:
        yield PushService(running.url)


@pytest.fixture
async def beach(database_url: str, service: PushService) -> AsyncIterator[Beach]:
    """On a fresh database, once on each kind."""
    async with open_beach(database_url, service) as opened:
        yield opened
