"""Connections that never end, or are too many: cut off, refused, and the others served."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import anyio
import httpx
import pytest
import uvicorn

from server.app import create_app
from server.cli.protocol import Protocol
from server.settings import Settings
from tests.support.serving import served_by


class Hasty(Protocol):
    """Bounds that a test can wait for."""

    HEAD_S = BODY_S = 0.3


class Crowded(Protocol):
    """Nobody is exempt, and the bound is one that a test can reach."""

    MOST_FROM_ADDRESS: ClassVar[int] = 3

    def _is_exempt(self, _host: str) -> bool:
        return False


@asynccontextmanager
async def serving(folder: Path, protocol: type[Protocol]) -> AsyncIterator[tuple[str, int]]:
    """A real server with our protocol."""
    app = create_app(Settings(data=folder, relay=False), migrate=False)
    async with served_by(uvicorn.Config(app, log_config=None, http=protocol, proxy_headers=False)) as url:
        yield "127.0.0.1", int(url.rpartition(":")[2])


@pytest.fixture
async def hasty(sqlite_url: str, tmp_path: Path) -> AsyncIterator[tuple[str, int]]:
    """A server that waits for nobody."""
    async with serving(tmp_path, Hasty) as address:
        yield address


@pytest.fixture
async def crowded(sqlite_url: str, tmp_path: Path) -> AsyncIterator[tuple[str, int]]:
    """A server with few places."""
    async with serving(tmp_path, Crowded) as address:
        yield address


async def heard(address: tuple[str, int], *parts: bytes, each_s: float = 0) -> bytes:
    """What comes back until the server closes, while `parts` are sent one after the other."""
    heard = bytearray()
    async with await anyio.connect_tcp(*address) as stream, anyio.create_task_group() as tasks:

        async def trickle() -> None:
            for part in parts:
                await stream.send(part)
                await anyio.sleep(each_s)

        tasks.start_soon(trickle)
        try:
            with anyio.fail_after(5):
                while True:
                    heard += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            tasks.cancel_scope.cancel()
    return bytes(heard)


_POST = b"POST /v1/auth/refresh HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([b""], b""),
        ([b"GET / HTTP/1.1\r\n"], b"HTTP/1.1 408"),
        ([b"GET /health/live HTTP/1.1\r\nx-a: ", *[b"a"] * 100], b"HTTP/1.1 408"),
        ([b"\r\n"] * 100, b"HTTP/1.1 408"),
        ([_POST, *[b"{"] * 100], b"HTTP/1.1 408"),
    ],
    ids=["silence", "half a head", "a header without an end", "no request at all", "a body that trickles in"],
)
async def test_what_never_ends_is_cut_off(
    hasty: tuple[str, int], parts: Sequence[bytes], status: bytes, lines: Any
) -> None:
    """However it trickles; the log has no alarm of it."""
    answer = await heard(hasty, *parts, each_s=0.02)
    assert answer.startswith(status)
    assert bool(answer) == bool(status)
    assert '"alarm": true' not in lines.getvalue()


@pytest.mark.parametrize(
    "head",
    [
        b"x-long: " + b"a" * 70_000,
        b"\r\n".join(b"x-%d: a" % number for number in range(200)),
        b"x-long: a\r\n" * 3 + b"x: " + b"b" * 40_000 + b"\r\n\r\n",
    ],
    ids=["one", "many", "whole"],
)
async def test_a_head_that_is_too_long_is_refused(hasty: tuple[str, int], head: bytes) -> None:
    """431, and the connection is closed."""
    parts = [head[at : at + 4096] for at in range(0, len(head), 4096)]
    answer = await heard(hasty, b"GET /health/live HTTP/1.1\r\nhost: x\r\n", *parts)
    assert answer.startswith(b"HTTP/1.1 431")


async def test_one_connection_serves_many_requests_and_large_bodies(hasty: tuple[str, int]) -> None:
    """The bounds are for heads, and for each request anew."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{hasty[1]}", trust_env=False) as http:
        for _ in range(3):
            assert (await http.get("/health/live")).status_code == 200
            large = await http.post("/v1/auth/refresh", content=b"x" * 300_000)
            assert (large.status_code, large.json()["code"]) == (413, "too_large")
            await anyio.sleep(0.2)


async def test_one_address_has_a_bounded_number_of_connections(crowded: tuple[str, int]) -> None:
    """One more is closed at once; when another has ended, there is room again."""
    first, *others = [await anyio.connect_tcp(*crowded) for _ in range(3)]
    async with await anyio.connect_tcp(*crowded) as more:
        with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await more.receive()
    await first.aclose()
    with anyio.fail_after(5):
        while not await _is_served(crowded):
            await anyio.sleep(0.01)
    for one in others:
        await one.aclose()


async def _is_served(address: tuple[str, int]) -> bool:
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(f"http://127.0.0.1:{address[1]}/health/live")).status_code == 200
    except httpx.TransportError:
        return False
