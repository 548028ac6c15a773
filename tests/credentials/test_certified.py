"""Against a certified provider whose refresh tokens rotate, and where one used twice takes its whole grant with it."""

import html
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import anyio
import httpx
import pytest

from server.credentials.consents import ConsentError
from server.credentials.tokens import Place
from tests.credentials.keeping import Keeper, oauth, open_keeper
from tests.support.nursery import run
from tests.support.processes import ServerProcess, server_process

PEERS = Path(__file__).parents[1] / "peers"
CALLBACK = "http://127.0.0.1:1"
NODE = shutil.which("node")
CALLERS = int(os.environ.get("RIENTRO_TEST_CALLERS", "20"))
PROCESSES = int(os.environ.get("RIENTRO_TEST_PROCESSES", "2"))
ROUNDS = int(os.environ.get("RIENTRO_TEST_ROUNDS", "6"))

pytestmark = pytest.mark.skipif(
    NODE is None or not (PEERS / "node_modules").is_dir(), reason="needs Node and `npm ci` in tests/peers"
)


@pytest.fixture(scope="module")
async def certified(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """The provider."""
    log = tmp_path_factory.mktemp("oidc") / "log"
    async with server_process([str(PEERS / "oidc.mjs"), "{port}"], log, program=NODE or "") as running:
        yield running


@pytest.fixture
async def timely(database_url: str, tmp_path: Path) -> AsyncIterator[Keeper]:
    """A keeper in the provider's own time."""
    async with open_keeper(database_url, tmp_path, real_time=True) as opened:
        yield opened


async def consent(url: str) -> dict[str, str]:
    """Sign in and agree, as a person would in a browser; what the provider sends back by it."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        response = await browser.get(url)
        while True:
            while response.is_redirect:
                url = urljoin(str(response.url), response.headers["location"])
                if url.startswith(CALLBACK):
                    return dict(httpx.URL(url).params)
                response = await browser.get(url)
            action = re.search(r'action="([^"]+)"', response.text)
            prompt = re.search(r'name="prompt" value="([^"]+)"', response.text)
            assert action is not None, response.text
            assert prompt is not None, response.text
            form = {"prompt": prompt[1], "login": "mario", "password": "any"}
            response = await browser.post(urljoin(str(response.url), html.unescape(action[1])), data=form)


def settings_of(certified: ServerProcess) -> dict[str, str]:
    """How an account there is set up."""
    return {**oauth(certified.url), "oauth_issuer": certified.url}


async def counts(certified: ServerProcess) -> Any:
    """What the provider says happened."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"{certified.url}/counts")).json()


async def connected(keeper: Keeper, certified: ServerProcess) -> Place:
    """An account that somebody consented to."""
    place = await keeper.endpoint(**settings_of(certified))
    url = await keeper.consents.begin(place, CALLBACK, allow_loopback=True)
    assert await keeper.consents.end(await consent(url), keeper.outbound, keeper.clock) == place
    return place


async def test_a_person_connects_an_account(timely: Keeper, certified: ServerProcess) -> None:
    """PKCE, state and issuer are what the provider expects; the token it gave lets a request in."""
    place = await connected(timely, certified)
    account = await timely.account(place)
    reply = await timely.outbound.post(f"{certified.url}/hook", b"{}", {}, 5, account)
    assert reply.status == 200
    token = await timely.access.token(account)
    assert await timely.access.token(account, refused=token) != token


async def test_an_answer_is_good_once_and_from_its_issuer_only(timely: Keeper, certified: ServerProcess) -> None:
    """The second use of a state, and somebody else's answer, are refused before anything is asked."""
    place = await timely.endpoint(**settings_of(certified))
    answer = await consent(await timely.consents.begin(place, CALLBACK, allow_loopback=True))
    with pytest.raises(ConsentError, match="did not come from the provider"):
        await timely.consents.end({**answer, "iss": "https://evil.example"}, timely.outbound, timely.clock)
    with pytest.raises(ConsentError, match="is not known, was used"):
        await timely.consents.end(answer, timely.outbound, timely.clock)


async def test_a_client_gets_a_token_of_its_own(timely: Keeper, certified: ServerProcess) -> None:
    """Its secret has letters that the header needs encoded."""
    settings = oauth(certified.url, "client_credentials")
    account = await timely.account(await timely.endpoint(**{**settings, "oauth_scope": "openid"}))
    assert (await timely.outbound.post(f"{certified.url}/hook", b"{}", {}, 5, account)).status == 200


async def test_many_callers_in_several_processes_never_use_a_refresh_token_twice(
    timely: Keeper, certified: ServerProcess, database_url: str, tmp_path: Path
) -> None:
    """Each has its token refused in every round; the provider, which detects reuse, never sees any.

    RIENTRO_TEST_{PROCESSES,CALLERS,ROUNDS} make it longer.
    """
    place = await connected(timely, certified)
    before = await counts(certified)
    arguments = [database_url, str(tmp_path), *place, str(CALLERS), str(ROUNDS)]
    caller = partial(run, "tests.credentials.caller", *arguments, environment=os.environ, timeout_s=600)
    told: list[Any] = []

    async def process() -> None:
        done = await anyio.to_thread.run_sync(caller)
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))

    async with anyio.create_task_group() as tasks:
        for _ in range(PROCESSES):
            tasks.start_soon(process)
    after = await counts(certified)
    rotations = after["refreshed"] - before["refreshed"]
    assert [one["errors"] for one in told] == [[]] * PROCESSES
    assert after["errors"] == before["errors"]
    tokens = {token for one in told for token in one["tokens"]}
    assert rotations >= ROUNDS - 1
    assert len(tokens) <= rotations + 1
    if "RIENTRO_TEST_ROUNDS" in os.environ:
        sys.stdout.write(
            f"{rotations} rotations, {PROCESSES} x {CALLERS} callers, {max(one['ms'] for one in told)} ms\n"
        )
