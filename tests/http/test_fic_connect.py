"""Fatture in Cloud from the owner's consent to an invoice in the feed: the whole application against the peer."""

from pathlib import Path
from typing import Any

import anyio
import httpx
from pydantic import SecretStr

from server.app import create_app, open_core
from server.app.core import now_ms
from server.credentials.tokens import Place
from server.settings import Settings
from tests.support import fatture
from tests.support.fic import fatture_in_cloud
from tests.support.serving import in_process

OURS = "https://shop.example"


async def invoices(http: httpx.AsyncClient, token: str) -> list[dict[str, Any]]:
    """What the owner's phone has, once there is something."""
    body = {"protocol": 1, "client_id": "0192f0c1-0000-7000-8000-0000000000c1", "collections": ["invoices"]}
    while True:
        answer = await http.post("/v1/sync", json=body, headers={"Authorization": f"Bearer {token}"})
        if answer.json()["changes"]:
            return [change["fields"] for change in answer.json()["changes"]]
        await anyio.sleep(0.05)


async def test_from_consent_to_an_invoice(sqlite_url: str, tmp_path: Path) -> None:
    """Connected by code and PKCE, asked whether it expects webhooks, told of an invoice, which is then here."""
    here = Settings(data=tmp_path, database_url=SecretStr(sqlite_url), public_url=OURS, allow_loopback=True)
    async with fatture_in_cloud() as fic, httpx.AsyncClient(trust_env=False) as browser:
        async with open_core(here, migrate=False) as core:
            tenant_id = await core.admin.add_tenant("Bar Centrale")
            token = (await core.admin.add_device(tenant_id, "owner", "owner", "centro")).token
            made = await core.endpoints.add(
                tenant_id, "fattureincloud", "Fatture", {**fic.settings, "backfill_days": "0"}
            )
            url = await core.credentials.consents.begin(Place(tenant_id, made.endpoint_id), OURS)
        async with in_process(create_app(here, migrate=False)) as http:
            back = (await browser.get(url)).headers["location"]
            assert (await http.get(back.removeprefix(OURS))).status_code == 200
            sink, at = f"{OURS}{made.webhook_path}", now_ms() // 1000
            asked = {"x-fic-verification-challenge": "292ff90a", "authorization": fic.token(sink, "c", at)}
            assert (await http.get(made.webhook_path, headers=asked)).json() == {"verification": "292ff90a"}
            assert (await http.get(made.webhook_path)).status_code == 401
            body, headers = fic.event(sink, [fic.add(fatture.invoice())], at)
            assert (await http.post(made.webhook_path, content=body, headers=headers)).json() == {"status": "stored"}
            with anyio.fail_after(30):
                (invoice,) = await invoices(http, token)
    assert (invoice["number"], invoice["total"]) == ("2026/17", "122.00")
    assert fic.access
