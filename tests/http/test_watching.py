"""`/metrics` and `/health/integrations`: who may look, and what they show."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from server.app import create_app, create_relay, open_core
from server.settings import Settings
from tests.http.conftest import Api
from tests.support.serving import in_process

TOKEN = "a-scraper-s-token-0001"
HERE = {"host": "localhost:8000"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def watched(settings: Settings, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The same installation with a token for scrapers."""
    known = settings.model_copy(update={"metrics_token": SecretStr(TOKEN)})
    async with in_process(create_app(known, migrate=False), raise_app_exceptions=False) as http:
        yield http


async def _add_account(settings: Settings, tenant_id: str) -> str:
    async with open_core(settings, migrate=False) as core:
        values = {"url": "https://example.org/in", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
        return (await core.endpoints.add(tenant_id, "http", "Ufficio di Mario", values)).endpoint_id


async def test_only_this_machine_may_look_without_a_token(api: Api) -> None:
    """Not a stranger, not a signed-in till, and not whoever a proxy on this machine passes on."""
    asked = [
        await api.http.get("/metrics"),
        await api.http.get("/metrics", headers=api.headers("owner")),
        await api.http.get("/metrics", headers={**HERE, "x-forwarded-for": "127.0.0.1"}),
        await api.http.get("/metrics", headers={**HERE, "Forwarded": "for=10.0.0.1"}),
        await api.http.get("/metrics", headers={"host": "shop.example"}),
        await api.http.get("/metrics", headers=BEARER),
    ]
    assert [answer.status_code for answer in asked] == [401] * len(asked)
    assert (await api.http.get("/metrics", headers=HERE)).status_code == 200


async def test_the_token_lets_a_scraper_in_from_anywhere(watched: httpx.AsyncClient) -> None:
    """And a wrong one does not."""
    assert (await watched.get("/metrics", headers=BEARER)).status_code == 200
    assert (await watched.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}x"})).status_code == 401
    assert (await watched.get("/metrics", headers={"Authorization": f"Basic {TOKEN}"})).status_code == 401


async def test_a_relay_tells_its_own_counts_and_nothing_else(settings: Settings) -> None:
    """To the same people: it has counters of its own, and serves no client."""
    known = settings.model_copy(update={"metrics_token": SecretStr(TOKEN)})
    async with in_process(create_relay(known), raise_app_exceptions=False) as http:
        told = await http.get("/metrics", headers=BEARER)
        asked = [await http.get("/metrics"), await http.get("/metrics", headers=HERE), await http.get("/openapi.json")]
    assert (told.status_code, "rientro_database_up 1.0" in told.text) == (200, True)
    assert [answer.status_code for answer in asked] == [401, 200, 404]


async def test_what_waits_is_told_by_opaque_ids(api: Api, settings: Settings, watched: httpx.AsyncClient) -> None:
    """A sale that nobody forwards yet: its account, one delivery, and nobody's name."""
    endpoint_id = await _add_account(settings, api.tenant_id)
    await api.sync(api.request(api.sale()))
    text = (await watched.get("/metrics", headers=BEARER)).text
    assert f'rientro_outbox_waiting{{endpoint="{endpoint_id}",provider="http"}} 1.0' in text
    assert 'rientro_http_requests_total{method="POST",route="/v1/sync",status="200"}' in text
    assert "rientro_database_up 1.0" in text
    assert [word for word in ("Mario", "Ufficio", "Centrale", api.tenant_id) if word in text] == []


async def test_a_device_sees_how_its_own_merchant_s_accounts_do(
    api: Api, settings: Settings, watched: httpx.AsyncClient
) -> None:
    """An owner sees each, a till only how they do; another merchant's are not there; the token sees all."""
    endpoint_id = await _add_account(settings, api.tenant_id)
    async with open_core(settings, migrate=False) as core:
        stranger = (await core.admin.add_device(await core.admin.add_tenant("Bar"), "x", "owner", "y")).token
    mine = (await api.http.get("/health/integrations", headers=api.headers("owner"))).json()
    till = await api.http.get("/health/integrations", headers=api.headers("terminal"))
    theirs = await api.http.get("/health/integrations", headers={"Authorization": f"Bearer {stranger}"})
    all_of_them = (await watched.get("/health/integrations/http", headers=BEARER)).json()
    accounts = {one["name"]: one["accounts"] for one in mine["integrations"]}
    assert set(accounts) == {
        *("http", "pos", "square", "shopify", "sumup", "sdi", "fattureincloud", "sdicoop", "stripe", "webpush")
    }
    assert {one["status"] for one in mine["integrations"]} == {"unknown"}
    assert {"endpoint_id": endpoint_id, "status": "unknown"}.items() <= accounts["http"][0].items()
    assert [endpoint_id in answer.text for answer in (theirs, till)] == [False, False]
    assert [one["endpoint_id"] for one in all_of_them["accounts"]] == [endpoint_id]
    assert (await api.http.get("/health/integrations")).status_code == 401


async def test_one_integration_is_asked_for_by_its_name(api: Api) -> None:
    """And a name nobody knows is not found."""
    known = await api.http.get("/health/integrations/sdi", headers=api.headers())
    unknown = await api.http.get("/health/integrations/fax", headers=api.headers())
    assert (known.json(), unknown.status_code) == ({"name": "sdi", "status": "unknown", "accounts": []}, 404)


async def test_a_path_that_nobody_declared_makes_no_series(api: Api, watched: httpx.AsyncClient) -> None:
    """Whoever asks for many addresses cannot fill the scraper's disk."""
    await api.http.get("/mario.rossi@example.org")
    text = (await watched.get("/metrics", headers=BEARER)).text
    assert "mario" not in text
    assert 'rientro_http_requests_total{method="GET",route="none",status="404"}' in text
