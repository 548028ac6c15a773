"""What the API shows of itself: its document, its collections, its pokes, its correlation ids."""

import json
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest

from server.app import create_app
from server.collections import registry
from server.routes.api import operations
from server.routes.pages import pages
from server.settings import Settings
from tests.http.conftest import Api
from tests.support.serving import served


async def test_the_document_describes_every_route_and_no_other(api: Api, settings: Settings) -> None:
    """It is made of the declarations that make the routes."""
    document = (await api.http.get("/openapi.json")).json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    routes = {
        (method, route.path)  # type: ignore[attr-defined]
        for route in create_app(settings).routes[: -len(pages())]  # those of the app are files
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    assert described == routes == {(o.method, o.path) for o in operations(registry())}


async def test_each_collection_is_described_with_its_policies(api: Api) -> None:
    """Types for clients are generated from this."""
    schema = (await api.http.get("/v1/schema", headers=api.headers())).json()
    assert set(schema["collections"]) == {
        *("sales", "products", "customers", "invoices", "issued_invoices", "conflicts", "quarantined"),
        *("payments", "subscriptions", "closures", "reconciliations"),
    }
    sales = schema["collections"]["sales"]
    assert sales["properties"]["total"]["x-policy"] == "immutable"
    assert sales["properties"]["forward_status"]["x-policy"] == "server_owned"
    assert schema["collections"]["products"]["properties"]["stock"]["x-policy"] == "counter"


async def test_a_callers_correlation_id_comes_back(api: Api) -> None:
    """Unless it could not go into a log as it stands."""
    kept = await api.http.get("/health/live", headers={"X-Request-ID": "till-1-0000042"})
    replaced = await api.http.get("/health/live", headers={"X-Request-ID": "a b\tc; drop"})
    assert kept.headers["x-request-id"] == "till-1-0000042"
    assert len(replaced.headers["x-request-id"]) == 32


async def test_health_needs_no_token(api: Api) -> None:
    """A load balancer has none."""
    assert (await api.http.get("/health/live")).json() == {"status": "live"}
    assert (await api.http.get("/health/ready")).json() == {"status": "ready"}


@pytest.fixture
async def url(settings: Settings) -> AsyncIterator[str]:
    """A real server beside the in-process one, on the same database."""
    async with served(create_app(settings, migrate=False)) as address:
        yield address


async def test_a_push_pokes_open_streams_with_the_new_head(api: Api, url: str) -> None:
    """A stream hears of a sale that came in by another process, and a pull then finds it."""
    heard: list[str] = []
    async with httpx.AsyncClient(base_url=url, headers=api.headers()) as http, http.stream("GET", "/v1/live") as stream:
        lines = stream.aiter_lines()
        heard.append(await _head(lines))
        answer = (await api.sync(api.request(api.sale()))).json()
        with anyio.fail_after(5):
            while heard[-1] != answer["head"]:
                heard.append(await _head(lines))
    assert heard[0] != heard[-1]


async def _head(lines: AsyncIterator[str]) -> str:
    async for line in lines:
        if line.startswith("data:"):
            head: str = json.loads(line.removeprefix("data:"))["head"]
            return head
    raise AssertionError("the stream ended")
