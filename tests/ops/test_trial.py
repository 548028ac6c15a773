"""Trying an account: each step in plain words, the first that fails named, and nothing made on either side."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from server.adapter import Health
from server.ops.trial import Place, Step, try_account
from server.outbound import Outbound, OutboundError, Reply, open_outbound
from server.outbound.guard import _REASONS, Reason
from server.ports import Account
from server.providers.http.provider import HttpProvider
from server.providers.pos.provider import PosProvider
from server.resilience.errors import PermanentError
from tests.outbox.outlet import OpenSecrets, Outlet, open_outlet
from tests.support.receiver import API_KEY, SECRET, Receiver, receiver_process


@pytest.fixture
async def outlet(sqlite_url: str) -> AsyncIterator[Outlet]:
    """A tenant whose accounts are tried; what is read is one row, so one kind of database will do."""
    async with open_outlet(sqlite_url) as opened:
        yield opened


@pytest.fixture(scope="module")
async def outbound() -> AsyncIterator[Outbound]:
    """A client that may talk to this machine."""
    async with open_outbound(allow_loopback=True) as client:
        yield client


@pytest.fixture(scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Receiver]:
    """A real receiving process."""
    async with receiver_process(tmp_path_factory.mktemp("receiver")) as running:
        yield running


class Saying(HttpProvider):
    """A provider whose health is what a test says."""

    def __init__(self, said: Health | Exception) -> None:
        self.said = said

    async def health(self, _account: Account) -> Health:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


async def tried(outlet: Outlet, adapter: Any, **settings: Any) -> list[Step]:
    """The steps of an account with these settings."""
    endpoint = await outlet.bind(secret=SECRET, **settings)
    return await try_account(outlet.database, Place(outlet.tenant_id, endpoint), [adapter], OpenSecrets())


def results(steps: list[Step]) -> Mapping[str, bool]:
    """What became of each step, in order."""
    return {step.step: step.good for step in steps}


async def test_an_account_that_works_passes_every_step(outlet: Outlet, outbound: Outbound, receiver: Receiver) -> None:
    """And the receiver has made nothing of it: what was asked was not signed, and not a delivery."""
    steps = await tried(outlet, HttpProvider(outbound, outlet.clock), url=receiver.url)
    names = ("account", "secrets", "settings", "credentials", "address", "connection", "answer")
    assert results(steps) == dict.fromkeys(names, True)
    heard = [json.loads(line)["did"] for line in receiver._file.read_text().splitlines()]
    assert heard == ["forged"]
    assert SECRET not in json.dumps(steps)


async def test_a_page_that_says_how_it_does_is_asked_with_the_credentials(
    outlet: Outlet, outbound: Outbound, receiver: Receiver
) -> None:
    """Where there is one, it decides."""
    health_url = f"{receiver.process.url}/objects/none"
    provider = HttpProvider(outbound, outlet.clock)
    steps = await tried(outlet, provider, url=receiver.url, health_url=f"{receiver.process.url}/health/live")
    assert steps[-1] == ("answer", True, "it says that it works")
    for key, status in ((API_KEY, 404), ("another", 401)):
        steps = await tried(outlet, provider, url=receiver.url, health_url=health_url, api_key=key)
        assert steps[-1] == ("answer", False, f"its health_url answers {status}, not 2xx")


@pytest.mark.parametrize(
    ("status", "good"), [(200, True), (204, True), (404, True), (405, True), (401, True), (501, True), (503, False)]
)
async def test_what_an_answer_to_options_means(
    outlet: Outlet,
    outbound: Outbound,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    good: bool,  # noqa: FBT001
) -> None:
    """Reached is all that can be seen there without sending something."""

    async def options(*_arguments: Any) -> Reply:
        return Reply(status, {}, b"")

    monkeypatch.setattr(outbound, "options", options)
    steps = await tried(outlet, HttpProvider(outbound, outlet.clock), url="https://example.com/in")
    assert steps[-1].good == good


@pytest.mark.parametrize(
    ("url", "failed"),
    [
        ("http://example.com/in", "address"),
        ("https://10.0.0.1/in", "address"),
        ("https://name.invalid/in", "connection"),
        ("http://127.0.0.1:1/in", "connection"),
    ],
)
async def test_the_step_that_fails_is_the_last_one(outlet: Outlet, outbound: Outbound, url: str, failed: str) -> None:
    """And those before it are good."""
    *before, last = await tried(outlet, HttpProvider(outbound, outlet.clock), url=url)
    assert (last.step, last.good) == (failed, False)
    assert all(step.good for step in before)


async def test_every_reason_for_no_answer_has_words(outlet: Outlet) -> None:
    """One that is not in the table would be told as its bare word."""
    reasons: set[Reason] = {reason for _, reason in _REASONS} | {"private_address", "tls", "unresolved", "read"}
    for reason in sorted(reasons - {"not_sent"}):  # that is for who does not want an answer
        steps = await tried(outlet, Saying(OutboundError(reason)), url="https://example.com/in")
        assert not steps[-1].good
        assert " " in steps[-1].said


async def test_what_is_stored_is_looked_at_before_anybody_is_asked(outlet: Outlet) -> None:
    """A provider that is gone, settings that no longer fit, secrets that do not open, no such account."""
    adapter = Saying(Health(good=True, said="never asked"))
    assert results(await tried(outlet, adapter, url="https://x.example", timeout=99)) == {
        "account": True, "secrets": True, "settings": False,
    }  # fmt: skip
    assert results(await tried(outlet, adapter, provider="gone")) == {"account": False}
    endpoint = await outlet.bind(secret=SECRET, url="https://x.example")

    class Closed:
        def unseal(self, *_arguments: str) -> dict[str, str]:
            raise ValueError

    place = Place(outlet.tenant_id, endpoint)
    assert results(await try_account(outlet.database, place, [adapter], Closed())) == {
        "account": True,
        "secrets": False,
    }
    assert await try_account(outlet.database, Place(endpoint, endpoint), [adapter], OpenSecrets()) == []


async def test_a_token_that_cannot_be_had_is_told(outlet: Outlet) -> None:
    """By its stable word."""
    steps = await tried(outlet, Saying(PermanentError("consent_lost")), url="https://example.com/in")
    assert steps[-1] == ("token", False, "it cannot be asked: consent_lost")


async def test_a_defect_of_a_providers_is_told_as_such(outlet: Outlet, lines: Any) -> None:
    """Its message may hold anything: it goes to the log, where it is masked, and not to the screen."""
    steps = await tried(outlet, Saying(RuntimeError("canary")), url="https://example.com/in")
    assert steps[-1] == ("answer", False, "the provider's own code failed: see the log")
    assert "health_raised" in lines.getvalue()


async def test_who_cannot_be_asked_is_not_asked(outlet: Outlet, outbound: Outbound) -> None:
    """A point of sale tells us; there is no step towards it."""
    adapter = PosProvider(outbound, outlet.clock)
    steps = await tried(outlet, adapter, provider="pos", shop="centro")
    assert results(steps) == {"account": True, "secrets": True, "settings": True, "answer": True}
