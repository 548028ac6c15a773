"""Live: a head that was not pulled yet wakes the loop, and a lost stream is connected again."""

import json
from collections.abc import AsyncIterator

import anyio
import httpx

from sync.client import Options, Runtime, SyncClient
from sync.client.live import LiveEvent, head_of, parse_events


async def lines(*texts: str) -> AsyncIterator[str]:
    """Lines as they come off a stream."""
    for text in texts:
        yield text


async def test_events_are_read_off_lines() -> None:
    """Comments, unknown fields and events without data are nothing; data may have several lines."""
    stream = lines(": hello", "event: poke", 'data: {"head":', "data:1}", "id: 7", "", "event: x", "", "data: y", "")
    assert [event async for event in parse_events(stream)] == [
        LiveEvent("poke", '{"head":\n1}'),
        LiveEvent("message", "y"),
    ]


def test_a_head_is_read_and_anything_else_is_none() -> None:
    """What cannot be read means no more than that something happened."""
    told = ['{"head": "h1"}', "{}", '{"head": 1}', "[]", "nonsense"]
    assert [head_of(LiveEvent("poke", text)) for text in told] == ["h1", None, None, None, None]


async def test_only_a_new_head_wakes_and_a_lost_stream_comes_back() -> None:
    """Three connections: one refused until later, one cut, one that goes on."""
    connections: list[httpx.Request] = []
    heads: list[list[str]] = [["old", "old"], ["new", "old"]]
    done = anyio.Event()

    async def stream(told: list[str]) -> AsyncIterator[bytes]:
        for head in told:
            yield f"event: poke\r\ndata: {json.dumps({'head': head})}\r\n\r\n".encode()
        if told[0] == "new":
            done.set()
            await anyio.sleep_forever()
        raise httpx.ReadError("cut")

    def answer(request: httpx.Request) -> httpx.Response:
        connections.append(request)
        return httpx.Response(200, content=stream(heads.pop(0))) if len(connections) > 1 else refused

    refused = httpx.Response(429, headers={"Retry-After": "9"})
    waited: list[float] = []

    async def at_once(seconds: float) -> None:
        waited.append(seconds)
        await anyio.lowlevel.checkpoint()

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    client = SyncClient(":memory:", "http://server/", "token", Options(), http=http, runtime=Runtime(sleep=at_once))
    woken: list[str] = []
    client._live._is_news = lambda head: head == "new"
    client._live._news = lambda: woken.append("news")
    async with client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.live)
        await done.wait()
        tasks.cancel_scope.cancel()
    assert woken == ["news"]
    assert [seconds >= 9 for seconds in waited] == [True, False]
    assert {str(request.url) for request in connections} == {"http://server/v1/live"}
    assert (len(connections), connections[0].headers["authorization"]) == (3, "Bearer token")


async def test_what_was_pulled_is_no_news() -> None:
    """The head of the last complete round is known; any other means: pull."""
    client = SyncClient(":memory:", "http://server", "token", Options())
    with client.store._database.transaction() as meta:
        meta.head = "h1"
    assert [client._is_news("h1"), client._is_news("h2")] == [False, True]
    await client.aclose()
