"""From the open port to the record: an account made as an owner makes it, a webhook as Square sends it."""

from pathlib import Path

import httpx
from pydantic import SecretStr

from server.app import create_app, open_core
from server.settings import Settings
from tests.support.serving import in_process
from tests.support.vendors import HOOK, PUBLIC_URL, Vendors, square_webhook


async def test_squares_webhook_is_taken_at_the_public_address_and_nowhere_else(
    tmp_path: Path, sqlite_url: str, vendors: Vendors
) -> None:
    """The address that was printed, behind RIENTRO_PUBLIC_URL, is what the signature covers."""
    settings = Settings(data=tmp_path, database_url=SecretStr(sqlite_url), relay=False, public_url=f"{PUBLIC_URL}/")
    async with open_core(settings, migrate=False) as core:
        tenant_id = await core.admin.add_tenant("Bar Sport")
        values = {name: str(value) for name, value in vendors.settings["square"].items()}
        made = await core.endpoints.add(tenant_id, "square", "cassa", {**values, **vendors.secrets["square"]})
        hints = await core.endpoints.add(
            tenant_id,
            "sumup",
            "lettore",
            {"shop": "centro", "merchant_code": "MH4H92C7", "api_key": "k", "hook": HOOK},
        )
    assert hints.webhook_path.endswith(f".{HOOK}")
    async with in_process(create_app(settings, migrate=False)) as http:
        assert await _post(http, made.webhook_path, PUBLIC_URL + made.webhook_path) == (200, "stored")
        assert (await _post(http, made.webhook_path, "http://127.0.0.1" + made.webhook_path))[0] == 401


async def _post(http: httpx.AsyncClient, path: str, url: str) -> tuple[int, str | None]:
    body, headers = square_webhook(url, "o1", "e1")
    answer = await http.post(path, content=body, headers=headers)
    return answer.status_code, answer.json().get("status")
