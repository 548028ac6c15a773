"""`GET /v1/oauth/callback`: a person comes back from a provider."""

import pytest

from server.app import create_app, open_core
from server.credentials.tokens import Place
from server.settings import Settings
from tests.credentials.authorizer import authorizer
from tests.credentials.keeping import oauth
from tests.http.conftest import Api
from tests.support.receiver import SECRET
from tests.support.serving import in_process


async def test_who_comes_back_with_a_code_is_connected(settings: Settings) -> None:
    """Once; the page holds nothing, is not kept, and passes nothing on."""
    here = settings.model_copy(update={"allow_loopback": True})
    async with open_core(here, migrate=False) as core, authorizer() as provider:
        tenant_id = await core.admin.add_tenant("Bar Centrale")
        values = {**oauth(provider.url), "secret": SECRET}
        place = Place(tenant_id, (await core.endpoints.add(tenant_id, "http", "Ufficio", values)).endpoint_id)
        url = await core.credentials.consents.begin(place, "https://shop.example")
        state = url.partition("&state=")[2].partition("&")[0]
        back = f"/v1/oauth/callback?state={state}&code=c&session_state=theirs"
        async with in_process(create_app(here, migrate=False)) as http:
            preview = await http.head(back)
            first, again = await http.get(back), await http.get(back)
        held = await core.credentials.tokens.load(place)
    assert (preview.status_code, preview.text) == (200, "")
    assert (first.status_code, first.text) == (200, "Connected. This page can be closed.\n")
    assert (first.headers["cache-control"], first.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert (again.status_code, again.json()["code"]) == (400, "unknown_state")
    assert held is not None
    assert held.access_token == "access-2"


@pytest.mark.parametrize("query", ["", "?state=x", "?code=c", "?state=%ff.%00&code=c", "?error=access_denied"])
async def test_who_comes_with_anything_else_is_told_so(api: Api, query: str) -> None:
    """Nothing is asked of anybody."""
    answer = await api.http.get(f"/v1/oauth/callback{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_state")
