"""A look at what would be sent: the same code renders it, secrets are masked, and nobody hears of it."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.outbound import open_outbound
from server.outbound.preview import MASK, open_preview
from server.outbox.call import Caller
from server.outbox.listing import OutboxError
from server.outbox.preview import Preview, Previewer
from server.ports import Answer, Call, Provider
from server.providers.http.provider import HttpProvider
from tests.outbox.outlet import OpenSecrets, Outlet, Scripted
from tests.support.receiver import SECRET, Receiver, receiver_process

NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
async def _running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Receiver]:
    async with receiver_process(tmp_path_factory.mktemp("receiver")) as running:
        yield running


@pytest.fixture
async def receiver(_running: Receiver) -> Receiver:
    """A real receiving process that has forgotten the tests before."""
    _running.forget()
    return _running


async def looked_at(
    outlet: Outlet, delivery_id: str, to: str | None = None, provider: Provider | None = None
) -> Preview:
    """The preview of a delivery."""
    async with open_preview(allow_loopback=True) as (outbound, recorder):
        adapter = provider or HttpProvider(outbound, outlet.clock)
        caller = Caller({"http": adapter}, OpenSecrets(), outlet.clock, 30)
        routes = {route.name: route for route in outlet.routes}
        return await Previewer(outlet.database, routes, caller, recorder).preview(outlet.tenant_id, delivery_id, to)


async def test_what_is_shown_is_what_is_sent(outlet: Outlet, receiver: Receiver) -> None:
    """Byte for byte, and only then; the row has not changed by being looked at."""
    outlet.clock.ms = time.time_ns() // 1_000_000  # the receiver's clock
    await outlet.bind(url=receiver.url, secret=SECRET)
    await outlet.sell()
    (before,) = await outlet.rows()
    seen = await looked_at(outlet, before.delivery_id)
    (request,) = seen.requests
    assert (seen.code, receiver.arrivals(), await outlet.rows()) == ("not_sent", [], [before])
    async with open_outbound(allow_loopback=True) as outbound:
        await outlet.relay(HttpProvider(outbound, outlet.clock)).drain()
    (arrival,) = receiver.arrivals()
    assert (request.method, request.url, request.body) == ("POST", receiver.url, arrival["body"])
    assert request.headers["idempotency-key"] == arrival["key"]
    assert request.headers["x-request-id"] == arrival["correlation_id"]


async def test_no_secret_is_shown_in_whatever_form(outlet: Outlet) -> None:
    """In the address, a header of any name, or the body; nor a signature, which would make the copy a delivery."""
    canary = "canary/of+all=secrets"
    url = "https://till.example/in?k=canary%2Fof%2Ball%3Dsecrets"
    await outlet.bind(url=url, api_key_header="X-Till", secrets={"secret": SECRET, "api_key": canary})
    await outlet.sell()
    (row,) = await outlet.rows()
    (request,) = (await looked_at(outlet, row.delivery_id)).requests
    shown = json.dumps(request)
    assert "canary" not in shown
    assert SECRET not in shown
    assert request.headers["webhook-signature"] == request.headers["x-till"] == MASK
    assert request.url == f"https://till.example/in?k={MASK}"


async def test_an_access_token_is_not_fetched_for_a_look(outlet: Outlet) -> None:
    """To renew one would spend the refresh token."""
    await outlet.bind(
        url="https://till.example/in", oauth_grant="client_credentials", oauth_client_id="us",
        oauth_token_url="https://till.example/token", secrets={"secret": SECRET, "oauth_client_secret": "hidden-one"},
    )  # fmt: skip
    await outlet.sell()
    (row,) = await outlet.rows()
    (request,) = (await looked_at(outlet, row.delivery_id)).requests
    assert request.url == "https://till.example/in"
    assert request.headers["authorization"] == MASK


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"url": "http://till.example/in"}, "insecure_url"),
        ({"url": "https://till.example/in", "timeout": 99}, "bad_settings"),
        ({"url": "https://till.example/in", "trusted_roots": "none"}, "bad_settings"),
    ],
)
async def test_what_could_not_be_sent_says_why(outlet: Outlet, settings: dict[str, Any], code: str) -> None:
    """As the attempt would."""
    await outlet.bind(secret=SECRET, **settings)
    await outlet.sell()
    (row,) = await outlet.rows()
    assert await looked_at(outlet, row.delivery_id) == (row.delivery_id, "pending", row.endpoint_id, [], code)


async def test_what_may_have_taken_effect_is_looked_up_first_and_so_it_is_shown(outlet: Outlet) -> None:
    """An operation that promises at most one effect is not called at all then."""
    await outlet.bind()
    await outlet.sell()
    await outlet.relay(Scripted(lambda _call: Answer(503))).drain()
    (row,) = await outlet.rows()
    asked: list[str] = []

    def known(call: Call) -> Answer:
        asked.append(call.idempotency_key)
        return Answer(200)

    provider = Scripted(promise="lookup")
    provider.known = known
    await looked_at(outlet, row.delivery_id, provider=provider)
    assert (asked, provider.calls) == ([row.idempotency_key], [])
    assert (await looked_at(outlet, row.delivery_id, provider=Scripted(promise="once"))).code == "maybe_done"


async def test_it_is_shown_as_if_it_went_through_another_account(outlet: Outlet) -> None:
    """With the same key: that is the first account's."""
    await outlet.bind(url="https://one.example/in", secret=SECRET)
    await outlet.sell()
    (row,) = await outlet.rows()
    other = await outlet.bind(url="https://two.example/in", secret=SECRET)
    (request,) = (await looked_at(outlet, row.delivery_id, to=other)).requests
    assert (request.url, request.headers["idempotency-key"]) == ("https://two.example/in", row.idempotency_key)


async def test_a_delivery_of_nobodys_is_not_shown(outlet: Outlet) -> None:
    """Nor is one through an account that is not there."""
    await outlet.bind(url="https://one.example/in", secret=SECRET)
    await outlet.sell()
    (row,) = await outlet.rows()
    for delivery_id, to in ((NOBODY, None), (row.delivery_id, NOBODY)):
        with pytest.raises(OutboxError):
            await looked_at(outlet, delivery_id, to)
