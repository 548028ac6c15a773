"""Sessions over HTTP: renewed by body or cookie, never for another site, out at once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from server.app import Core, create_app, open_core
from server.audit import OPERATOR
from server.auth.keys import Terms
from server.auth.sessions import Issued
from server.settings import Settings
from server.storage.writer import Job, Writing
from tests.http.conftest import Api
from tests.support.serving import in_process
from tests.support.shop import Ids

ATTEMPT = {"attempt": "attempt-of-sixteen-signs"}
MEANT = {"X-Rientro": "1"}
READ_ONLY = Terms(["pull"])


@dataclass
class Desk:
    """The application, and another process's core on the same database."""

    api: Api
    core: Core
    device_id: str

    async def sign_in(self) -> Issued:
        """A session on the device."""

        async def job(writing: Writing) -> Issued:
            return await self.core.access.sessions.open(writing, self.api.tenant_id, self.device_id, None)

        return await self.core.writer.submit(Job([self.api.tenant_id], job))

    async def refresh(self, issued: Issued, **headers: str) -> httpx.Response:
        """By the cookie a browser would send."""
        cookies = {"Cookie": f"rientro_refresh={issued.refresh_token}"}
        return await self.api.http.post("/v1/auth/refresh", json=ATTEMPT, headers=cookies | headers)

    async def pushes(self, bearer: str) -> int:
        """The status that a sale is answered with."""
        headers = {"Authorization": f"Bearer {bearer}"}
        body = self.api.request(self.api.sale(), collections=["sales"])
        return (await self.api.http.post("/v1/sync", json=body, headers=headers)).status_code


@pytest.fixture
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    """A till that signs in by a session."""
    async with open_core(settings, migrate=False) as core:
        tenant_id = await core.admin.add_tenant("Bar Centrale")
        made = await core.admin.add_device(tenant_id, "Cassa 1", "terminal", "centro")
        async with in_process(create_app(settings, migrate=False), raise_app_exceptions=False) as http:
            yield Desk(Api(http, tenant_id, {"terminal": made.token}, Ids(7)), core, made.device_id)


async def test_a_session_sells_and_is_renewed_in_the_body(desk: Desk) -> None:
    """The access token is a bearer like any other; the refresh gives both anew."""
    issued = await desk.sign_in()
    assert await desk.pushes(issued.access_token) == 200
    answer = await desk.api.http.post("/v1/auth/refresh", json=ATTEMPT | {"refresh_token": issued.refresh_token})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "set-cookie" not in answer.headers
    told = answer.json()
    assert told["refresh_token"] not in {None, issued.refresh_token}
    assert await desk.pushes(told["access_token"]) == 200


async def test_a_browser_never_sees_its_refresh_token(desk: Desk) -> None:
    """It comes and goes in a cookie that no script reads and no other site can have sent."""
    answer = await desk.refresh(await desk.sign_in(), **MEANT)
    assert (answer.status_code, answer.json()["refresh_token"]) == (200, None)
    cookie = answer.headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip() for part in cookie.split(";")}


@pytest.mark.parametrize(
    "headers",
    [{}, MEANT | {"Origin": "https://evil.example"}, MEANT | {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}],
)
async def test_another_site_renews_nothing(desk: Desk, headers: dict[str, str]) -> None:
    """And spends nothing: the shop's own page goes on with the same token."""
    issued = await desk.sign_in()
    answer = await desk.refresh(issued, **headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    own = MEANT | {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
    assert (await desk.refresh(issued, **own)).status_code == 200


async def test_a_device_that_is_revoked_elsewhere_pushes_nothing_more(desk: Desk) -> None:
    """At the very next request, though this process remembers having let it in a moment ago."""
    issued, key = await desk.sign_in(), desk.api.tokens["terminal"]
    assert [await desk.pushes(one) for one in (issued.access_token, key)] == [200, 200]
    await desk.core.admin.revoke_device(desk.api.tenant_id, desk.device_id)
    assert [await desk.pushes(one) for one in (issued.access_token, key)] == [401, 401]


async def test_signing_out_takes_the_cookie_and_the_session(desk: Desk) -> None:
    """At once, also for an access token that has minutes left."""
    issued = await desk.sign_in()
    headers = MEANT | {"Cookie": f"rientro_refresh={issued.refresh_token}"}
    answer = await desk.api.http.post("/v1/auth/sign-out", headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"status": "signed_out"})
    assert 'rientro_refresh=""' in answer.headers["set-cookie"]
    assert await desk.pushes(issued.access_token) == 401
    assert (await desk.refresh(issued, **MEANT)).json()["code"] == "invalid_refresh"


async def test_a_key_that_only_reads_pushes_nothing(desk: Desk) -> None:
    """It is told what it lacks."""
    made = await desk.core.access.keys.issue(desk.api.tenant_id, desk.device_id, "Schermo", READ_ONLY, OPERATOR)
    headers = {"Authorization": f"Bearer {made.token}"}
    answer = await desk.api.http.post("/v1/sync", json=desk.api.request(desk.api.sale()), headers=headers)
    assert (answer.status_code, answer.json()["code"], answer.json()["permission"]) == (403, "not_permitted", "push")
    read = await desk.api.http.post("/v1/sync", json=desk.api.request(collections=["sales"]), headers=headers)
    assert read.status_code == 200


async def test_the_public_keys_are_public(desk: Desk) -> None:
    """Nothing of them is private."""
    answer = await desk.api.http.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert [set(key) for key in answer.json()["keys"]] == [{"kty", "crv", "x", "y", "use", "alg", "kid"}] * 3


@pytest.mark.parametrize("body", [b"", b"{}", b'{"attempt": "short"}', b'{"attempt": 1}', b"[]", b"\xff", b'{"x": 1}'])
async def test_a_refresh_that_is_not_of_its_form_is_refused_plainly(desk: Desk, body: bytes) -> None:
    """Without quoting what came."""
    answer = await desk.api.http.post("/v1/auth/refresh", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
