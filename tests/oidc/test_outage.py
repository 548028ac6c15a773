"""A provider that is down takes nobody with it who has nothing to do with it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from server.app import create_app
from tests.oidc.conftest import settings_of
from tests.oidc.provider import Identity, new_key
from tests.support.processes import reserved_port
from tests.support.serving import in_process


@pytest.fixture
def down() -> Iterator[Identity]:
    """A provider whom nobody reaches."""
    with reserved_port() as port:
        yield Identity(f"http://127.0.0.1:{port}", new_key("k"), {"mario": {"role": "clerk"}})


@pytest.fixture
async def http(down: Identity, sqlite_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The application without it."""
    settings = settings_of(down, sqlite_url, tmp_path)
    async with in_process(create_app(settings, migrate=False), raise_app_exceptions=False) as client:
        yield client


async def test_a_token_of_ours_that_is_at_its_end_is_told_so(http: httpx.AsyncClient, down: Identity) -> None:
    """A client renews it then; only who names the provider as issuer is told to come again."""
    ours = down.made_up("mario", iss="https://shop.example")
    theirs = down.made_up("mario")
    seen = [
        await http.get("/v1/auth/me", headers={"Authorization": f"Bearer {one}"}) for one in (ours, "a.b.c", theirs)
    ]
    assert [answer.status_code for answer in seen] == [401, 401, 503]
    assert (seen[2].json()["code"], seen[2].headers["retry-after"]) == ("oidc_unavailable", "10")


async def test_who_wants_to_sign_in_is_told_to_come_again(http: httpx.AsyncClient) -> None:
    """And the other ways in are open."""
    answer = await http.get("/v1/auth/oidc/start")
    assert (answer.status_code, answer.json()["retry_after_s"]) == (503, 10)
    assert (await http.get("/v1/auth/ways")).json()["password"] is True
