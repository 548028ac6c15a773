"""One provider for all, and an application of its own for each test: on both databases where they matter."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from server.app import Core, create_app, open_core
from server.auth.people import Person
from server.settings import Settings
from server.storage.database import Tx
from server.storage.statement import Statement
from tests.oidc.provider import AUDIENCE, CLIENT_ID, CLIENT_SECRET, PUBLIC_URL, Identity, consent
from tests.support.processes import server_process
from tests.support.serving import in_process
from tests.support.shop import Ids

PEERS = Path(__file__).parents[1] / "peers"
NODE = shutil.which("node")
ATTEMPT = {"attempt": "attempt-of-sixteen-signs"}
_AUDIT = Statement("SELECT action, outcome, reason FROM audit WHERE tenant_id = :tenant_id ORDER BY entry_id")


@pytest.fixture(scope="session")
async def identity(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Identity]:
    """The provider."""
    if NODE is None or not (PEERS / "node_modules").is_dir():
        pytest.skip("needs Node and `npm ci` in tests/peers")
    log = tmp_path_factory.mktemp("people") / "log"
    async with server_process([str(PEERS / "people.mjs"), "{port}"], log, program=NODE) as running:
        yield await Identity.of(running)


@dataclass
class House:
    """The application, two merchants, and the provider of their people."""

    identity: Identity
    http: httpx.AsyncClient
    core: Core
    tenant_id: str
    other_id: str
    new_id: Ids

    async def begin(self, **asked: Any) -> str:
        """Where a browser is sent."""
        answer = await self.http.get("/v1/auth/oidc/start", params=asked)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def end(self, answer: dict[str, str]) -> httpx.Response:
        """What the provider sent back, brought by the same browser."""
        return await self.http.get("/v1/auth/oidc/callback", params=answer)

    async def sign_in(self, subject: str, **asked: Any) -> httpx.Response:
        """All of it."""
        return await self.end(await consent(await self.begin(**asked), subject))

    async def refresh(self) -> httpx.Response:
        """What a page does first, by the cookie that it cannot read."""
        return await self.http.post("/v1/auth/refresh", json=ATTEMPT, headers={"X-Rientro": "1"})

    async def me(self, bearer: str) -> httpx.Response:
        """Who this bearer is."""
        return await self.http.get("/v1/auth/me", headers={"Authorization": f"Bearer {bearer}"})

    async def people(self) -> list[Person]:
        """Of the first merchant."""
        return await self.core.access.people.list(self.tenant_id)

    async def audit(self) -> list[tuple[str, str, str | None]]:
        """What was noted of the first merchant: action, outcome, reason."""

        async def work(tx: Tx) -> list[tuple[str, str, str | None]]:
            return [tuple(row) for row in await tx.fetch(_AUDIT, (self.tenant_id,))]

        return await self.core.database.read(work)


def settings_of(identity: Identity, database_url: str, data: Path) -> Settings:
    """An installation whose people the provider knows."""
    return Settings(
        data=data,
        database_url=SecretStr(database_url),
        relay=False,
        allow_loopback=True,
        sign_in_rate=0,  # all tests come from one address
        public_url=PUBLIC_URL,
        oidc_issuer=identity.url,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=SecretStr(CLIENT_SECRET),
        oidc_audience=AUDIENCE,
        oidc_tenant_claim="merchant",
    )


@asynccontextmanager
async def open_house(identity: Identity, settings: Settings) -> AsyncIterator[House]:
    """Mario is a clerk of the first merchant, Anna its owner."""
    async with open_core(settings, migrate=False) as core:
        tenant_id = await core.admin.add_tenant("Bar Centrale", "bar-centrale")
        other_id = await core.admin.add_tenant("Bar Sport", "bar-sport")
        for one in (tenant_id, other_id):
            await core.admin.add_device(one, "Cassa", "terminal", "centro")
        await core.admin.add_device(tenant_id, "Cassa 2", "terminal", "porto")
        identity.accounts.clear()
        await identity.say("mario", merchant="bar-centrale", role="clerk", shop="centro")
        await identity.say("anna", merchant="bar-centrale", role="owner", shop="centro")
        async with in_process(create_app(settings, migrate=False), raise_app_exceptions=False) as http:
            yield House(identity, http, core, tenant_id, other_id, Ids(7))


@pytest.fixture
async def house(identity: Identity, sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """On the embedded database."""
    async with open_house(identity, settings_of(identity, sqlite_url, tmp_path)) as opened:
        yield opened


@pytest.fixture
async def each_house(identity: Identity, database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """Once on each database."""
    async with open_house(identity, settings_of(identity, database_url, tmp_path)) as opened:
        yield opened
