"""Canaries through every door: what is sent to us is in no log and in no answer that refuses it."""

import gzip
import io
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from server.app import open_core
from server.settings import Settings
from server.storage.database import Tx
from server.storage.statement import Statement
from tests.http.conftest import Api
from tests.ops.canaries import ALL, DEVICE_TOKEN, EMAIL, SECRET, TAX_CODE, WORD, found_in

POS_SECRET = "whsec_c2VjcmV0LW9mLXRoZS1wb2ludC1vZi1zYWxlLTAwMDE="
EVERYTHING = " ".join(ALL)


@pytest.fixture
async def address(api: Api, settings: Settings) -> AsyncIterator[str]:
    """Where a point of sale's webhooks come to."""
    async with open_core(settings, migrate=False) as core:
        values = {"shop": "centro", "scheme": "standard", "secret": POS_SECRET}
        yield (await core.endpoints.add(api.tenant_id, "pos", "Chiosco", values)).webhook_path


async def test_no_body_comes_back_in_a_refusal_or_stays_in_a_log(api: Api, lines: io.StringIO) -> None:
    """Accepted, rejected by a rule, malformed, of a wrong type, broken, too deep: logs and problems name no value."""
    await api.sync(api.request(api.sale(note=EVERYTHING)))
    refused = [
        await api.sync(f'{{"protocol": 1, "{WORD}": "{EVERYTHING}"'.encode()),
        await api.sync(json.dumps({"protocol": EVERYTHING, "client_id": EVERYTHING}).encode()),
        await api.sync({"protocol": 1, "client_id": api.new_id(), EVERYTHING: EVERYTHING}),
        await api.sync(gzip.compress(EVERYTHING.encode())[:-3], **{"content-encoding": "gzip"}),
        await api.sync(EVERYTHING.encode(), **{"content-encoding": EVERYTHING}),
        await api.sync(b"[" * 5_000 + WORD.encode()),
    ]
    assert [found_in(answer.text) for answer in refused] == [[]] * len(refused)
    await api.sync(api.request(api.sale(total=EVERYTHING, payment_method=EMAIL)))
    await api.sync(api.request(api.sale(terminal_id={"x": WORD})))
    assert found_in(lines.getvalue()) == []


async def test_no_address_or_header_stays_in_a_log(api: Api, lines: io.StringIO) -> None:
    """Queries, paths with a person's address in them, tokens that let nobody in, correlation ids that are none."""
    asked = [
        await api.http.get("/v1/rejected", params={"after": EVERYTHING, "token": WORD}, headers=api.headers()),
        await api.http.get(f"/v1/customers/{EMAIL}/{TAX_CODE}"),
        await api.http.get("/v1/schema", headers={"Authorization": f"Bearer {DEVICE_TOKEN}"}),
        await api.http.get("/v1/schema", headers={"Authorization": f"Basic {WORD}", "Cookie": f"x={WORD}"}),
        await api.http.get("/health/live", headers={"X-Request-ID": f"{SECRET} {WORD}"}),
        await api.http.get("/metrics", headers={"Authorization": f"Bearer {WORD}"}),
    ]
    assert [found_in(answer.text + str(answer.headers)) for answer in asked] == [[]] * len(asked)
    assert found_in(lines.getvalue()) == []


async def test_no_webhook_leaves_a_trace_of_its_body_or_headers(
    api: Api, settings: Settings, address: str, lines: io.StringIO
) -> None:
    """Forged, unsigned, at an address that is nobody's; nothing of it is stored either."""
    headers = {"webhook-id": WORD, "webhook-timestamp": "1", "webhook-signature": f"v1,{WORD}", "x-signature": WORD}
    asked: list[httpx.Response] = [
        await api.http.post(address, content=EVERYTHING, headers=headers),
        await api.http.post(address, content=json.dumps({"email": EMAIL})),
        await api.http.post(f"/v1/webhooks/{EMAIL}/{WORD.lower()}", content=EVERYTHING, headers=headers),
    ]
    assert [answer.status_code for answer in asked] == [401, 401, 404]
    assert [found_in(answer.text) for answer in asked] == [[], [], []]
    assert found_in(lines.getvalue()) == []

    async def refusals(tx: Tx) -> str:
        return str(await tx.fetch(Statement("SELECT reason, times FROM refusals")))

    async with open_core(settings, migrate=False) as core:
        kept = await core.database.read(refusals)
    assert ("unsigned" in kept or "bad_signature" in kept, found_in(kept)) == (True, [])


async def test_a_defect_of_ours_tells_its_place_and_no_value(
    api: Api, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception with a body in its message and its locals: a 500 with a correlation id, a line with a place."""

    def explode(_body: bytes) -> None:
        customer = EVERYTHING
        raise ValueError(customer)

    monkeypatch.setattr("sync.protocol.Registry.parse_request", lambda _self, body: explode(body))
    answer = await api.sync(EVERYTHING.encode())
    assert (answer.status_code, found_in(answer.text), found_in(lines.getvalue())) == (500, [], [])
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    (failed,) = [line for line in told if line["event"] == "unexpected_error"]
    assert (failed["exception"], failed["alarm"]) == ("ValueError", True)
    assert failed["correlation_id"] == answer.headers["x-request-id"]
