"""Those who judge can find fault: the provider sees who will not wait, and the line loses what it says it loses."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import anyio
import httpx
import pytest
from standardwebhooks import Webhook

from tests.demo.proxy import DECK, Proxy
from tests.support.receiver import GRACE_S, SECRET, Receiver, receiver_process

BODY = '{"type": "sales.created", "data": {"record_id": "one", "fields": {}}}'


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[Receiver]:
    """A provider as a process."""
    async with receiver_process(tmp_path) as running:
        yield running


async def deliver(http: httpx.AsyncClient, url: str, key: str) -> int:
    """Post a delivery; its status."""
    now = datetime.now(UTC)
    signed = {
        "webhook-id": key,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(key, now, BODY),
    }
    headers = {**signed, "Idempotency-Key": key}
    return (await http.post(url, content=BODY, headers=headers)).status_code


async def test_who_was_told_to_wait_and_does_not_is_seen(provider: Receiver) -> None:
    """Told on this connection, and sent on it all the same; another connection may not have heard."""
    await provider.script({"do": "throttle", "seconds": 60})
    async with httpx.AsyncClient(trust_env=False) as told, httpx.AsyncClient(trust_env=False) as unaware:
        statuses = [await deliver(told, provider.url, "first")]
        await anyio.sleep(GRACE_S + 0.05)
        statuses += [await deliver(unaware, provider.url, "second"), await deliver(told, provider.url, "third")]
    assert statuses == [429, 429, 429]
    assert [(entry["key"], entry["early"]) for entry in provider.arrivals()] == [
        ("first", False),
        ("second", False),
        ("third", True),
    ]


async def test_a_lost_answer_was_given_and_a_lost_request_never_came(provider: Receiver) -> None:
    """In one deck of requests every fate is dealt, and the provider has all but what was lost on its way there."""
    port = httpx.URL(provider.url).port
    assert port is not None
    line, outcomes = Proxy(port, seed=3), list[str]()
    async with anyio.create_task_group() as tasks:
        await tasks.start(line.serve)
        async with httpx.AsyncClient(trust_env=False) as http:
            for number in range(len(DECK)):
                try:
                    outcomes.append(str(await deliver(http, f"{line.url}/hook", f"key-{number}")))
                except httpx.TransportError:
                    outcomes.append("none")
        tasks.cancel_scope.cancel()
    assert outcomes.count("none") == sum(fate != "pass" for fate in DECK)
    assert line.counts == {fate: DECK.count(fate) for fate in DECK}
    assert len(provider.kept()) == len(DECK) - DECK.count("lose_request")


async def test_a_line_that_is_down_lets_nothing_through(provider: Receiver) -> None:
    """Neither on a new connection nor on one that was open; and it comes back."""
    port = httpx.URL(provider.url).port
    assert port is not None
    line = Proxy(port, seed=3, rough=False)
    async with anyio.create_task_group() as tasks, httpx.AsyncClient(trust_env=False) as http:
        await tasks.start(line.serve)
        assert await deliver(http, f"{line.url}/hook", "before") == 200
        line.go_down()
        for key in ("during", "still"):
            with pytest.raises(httpx.TransportError):
                await deliver(http, f"{line.url}/hook", key)
        line.come_back(rough=False)
        assert await deliver(http, f"{line.url}/hook", "after") == 200
        tasks.cancel_scope.cancel()
    assert [entry["key"] for entry in provider.kept()] == ["before", "after"]
