"""The route: bytes in, stored, acknowledged in milliseconds; what is wrong is a problem with a code, never a 500."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from asgi_correlation_id import CorrelationIdMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware

from server.inbox.hints import BURST
from server.inbox.listing import Filter, list_events, list_refusals
from server.inbox.receive import MAX_BODY_BYTES
from server.routes.openapi import openapi, starlette_routes
from server.routes.problem import HANDLERS
from server.routes.webhooks import webhook_operation
from tests.inbox.mailroom import OTHER_SECRET, Mailroom, sale, scripted


class OnlyReceiver:
    """The one service this route asks for."""

    def __init__(self, room: Mailroom) -> None:
        self.receiver = room.receiver


@pytest.fixture
async def http(room: Mailroom) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with this one route."""
    app = Starlette(
        routes=starlette_routes([webhook_operation()]),
        exception_handlers=HANDLERS,
        middleware=[Middleware(CorrelationIdMiddleware, validator=None, transformer=str)],
    )

    services = OnlyReceiver(room)

    async def with_state(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {"services": services}}, receive, send)

    transport = httpx.ASGITransport(with_state, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


async def test_a_webhook_is_acknowledged_with_what_became_of_it(room: Mailroom, http: httpx.AsyncClient) -> None:
    """2xx for everything that was kept, and the request's own correlation id goes with the event."""
    path = f"/v1/webhooks/pos/{await room.add_pos()}"
    body, headers = room.signed(sale())
    other, same_id = room.signed(sale(total="9.99"))
    headers["X-Request-ID"] = "from-the-vendor-17"
    answers = [
        await http.post(path, content=body, headers=headers),
        await http.post(path, content=body, headers=headers),
        await http.post(path, content=other, headers=same_id),
    ]
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (200, {"status": "stored"}),
        (200, {"status": "rearmed"}),
        (200, {"status": "contradicts"}),
    ]
    first, _ = await room.events()
    assert first.correlation_id == answers[0].headers["x-request-id"] == "from-the-vendor-17"


async def test_a_forgery_is_a_401_that_says_nothing_about_why(room: Mailroom, http: httpx.AsyncClient) -> None:
    """Whatever is wrong with it, the answer is the same."""
    path = f"/v1/webhooks/pos/{await room.add_pos()}"
    forged = room.signed(sale(), secret=OTHER_SECRET)
    stale = room.signed(sale(), off_s=-1000)
    answers = [await http.post(path, content=body, headers=headers) for body, headers in (forged, stale)]
    answers.append(await http.post(path, content=forged[0]))
    assert [answer.status_code for answer in answers] == [401] * 3
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].headers["content-type"] == "application/problem+json"
    refused = await list_refusals(room.shop.database, room.shop.tenant_id)
    assert {(one.reason, one.times) for one in refused} == {("bad_signature", 1), ("stale", 1), ("unsigned", 1)}
    assert await list_events(room.shop.database, room.shop.tenant_id, Filter()) == []


@pytest.mark.parametrize("address", ["x", "a.b", f"{'0' * 32}.{'0' * 32}", "%00", "..%2f.."])
async def test_an_address_that_is_none_is_a_404(room: Mailroom, http: httpx.AsyncClient, address: str) -> None:
    """Unknown or malformed: the same."""
    answer = await http.post(f"/v1/webhooks/pos/{address}", content=b"{}")
    assert (answer.status_code, answer.json()["code"]) in {(404, "unknown_webhook"), (404, "not_found")}


async def test_a_body_has_a_bound_and_comes_raw(room: Mailroom, http: httpx.AsyncClient) -> None:
    """A mebibyte; and a compressed one is not inflated, for the signature covers what came."""
    path = f"/v1/webhooks/scripted/{await room.add('scripted', {}, {})}"
    most = b"x" * MAX_BODY_BYTES
    assert (await http.post(path, content=most, headers={"x-event": "e1"})).status_code == 200
    answer = await http.post(path, content=most + b"x", headers={"x-event": "e2"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    odd = {"x-event": "e3", "content-encoding": "gzip"}
    assert (await http.post(path, content=b"not gzip", headers=odd)).status_code == 200
    bodies = [row[0] for row in await room.fetch("SELECT body FROM inbox ORDER BY event_id")]
    assert bodies == [most, b"not gzip"]


async def test_too_many_hints_are_a_429_that_says_when_to_come_again(room: Mailroom, http: httpx.AsyncClient) -> None:
    """And nothing more is stored; without its secret part the address hears nothing."""
    scripted(room).kind = "hint"
    address = await room.add("scripted", {}, {"hook": "a" * 32})
    path, headers = f"/v1/webhooks/scripted/{address}", {"x-event": "e", "x-object": "object/a"}
    assert (await http.post(path, content=b"{}", headers=headers)).status_code == 401
    answers = [await http.post(f"{path}.{'a' * 32}", content=b"{}", headers=headers) for _ in range(BURST + 1)]
    assert [answer.status_code for answer in answers] == [200] * BURST + [429]
    assert (answers[-1].json()["code"], answers[-1].headers["retry-after"]) == ("too_many_hints", "1")
    assert await room.states() == {"pending": 1}


async def test_trouble_of_ours_is_a_503_and_the_vendor_comes_again(room: Mailroom, http: httpx.AsyncClient) -> None:
    """Nothing is acknowledged that is not stored."""
    address = await room.add_pos()
    body, headers = room.signed(sale())
    await room.execute("ALTER TABLE inbox RENAME TO hidden")
    answer = await http.post(f"/v1/webhooks/pos/{address}", content=body, headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    await room.execute("ALTER TABLE hidden RENAME TO inbox")
    assert (await http.post(f"/v1/webhooks/pos/{address}", content=body, headers=headers)).json() == {
        "status": "stored"
    }


async def test_it_is_described(room: Mailroom) -> None:
    """Public, with its path's parameters and its problems."""
    described = openapi([webhook_operation()])["paths"]["/v1/webhooks/{provider}/{address}"]["post"]
    assert described["security"] == []
    assert set(described["responses"]) == {"200", "401", "404", "410", "413", "429", "503"}
    assert [parameter["name"] for parameter in described["parameters"]] == ["provider", "address"]
    json.dumps(described)
