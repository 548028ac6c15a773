"""The whole application on a fresh database, with signed-in devices."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from server.app import create_app, open_core
from server.settings import Settings
from tests.support.serving import in_process
from tests.support.shop import TIMESTAMP, Ids, sale_fields

EMPTY_CLIENT = "0192f0c1-0000-7000-8000-000000000001"


@dataclass
class Api:
    """A client of the application and tokens to use it with."""

    http: httpx.AsyncClient
    tenant_id: str
    tokens: dict[str, str]
    new_id: Ids

    def headers(self, role: str = "terminal") -> dict[str, str]:
        """The header that signs a device in."""
        return {"Authorization": f"Bearer {self.tokens[role]}"}

    async def sync(self, body: bytes | dict[str, Any], role: str = "terminal", **headers: str) -> httpx.Response:
        """Post a body."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post("/v1/sync", content=content, headers=self.headers(role) | headers)

    def sale(self, **fields: Any) -> dict[str, Any]:
        """The creation of a sale, as a client's first mutation."""
        return {
            "mutation_id": 1,
            "uid": self.new_id(),
            "collection": "sales",
            "record_id": self.new_id(),
            "op": "create",
            "timestamp": TIMESTAMP,
            "fields": sale_fields(**fields),
        }

    def request(self, *mutations: Any, **more: Any) -> dict[str, Any]:
        """A request of a client that was never here before."""
        return {"protocol": 1, "client_id": self.new_id(), "mutations": list(mutations)} | more


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """An installation of its own."""
    return Settings(data=tmp_path, database_url=SecretStr(database_url), relay=False, sign_in_rate=0)


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    """The application, one tenant, a device of each role."""
    async with open_core(settings, migrate=False) as core:
        tenant_id = await core.admin.add_tenant("Bar Centrale")
        tokens = {
            role: (await core.admin.add_device(tenant_id, role, role, "centro")).token
            for role in ("owner", "clerk", "terminal")
        }
    async with in_process(create_app(settings, migrate=False), raise_app_exceptions=False) as http:
        yield Api(http, tenant_id, tokens, Ids(7))
