"""The line that fails: each fault is what it says."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from tests.faults.line import FAULTS, Fate, Line
from tests.support.raw_http import Response

LATE_S = 1
PATIENCE_S = {"late_answer": 0.3, "late_request": 0.3}

# What the caller gets (a status, or why nothing), and how often the other side sees the request.
SEEN: Mapping[Fate, tuple[int | type[httpx.TransportError], int]] = {
    "pass": (200, 1),
    "refuse": (httpx.RemoteProtocolError, 0),
    "lose_request": (httpx.RemoteProtocolError, 0),
    "lose_answer": (httpx.RemoteProtocolError, 1),
    "late_answer": (httpx.ReadTimeout, 1),
    "late_request": (httpx.ReadTimeout, 1),
    "double": (200, 2),
    "double_at_once": (200, 2),
    "cut_answer": (httpx.RemoteProtocolError, 1),
    "throttle": (429, 0),
    "error": (500, 0),
    "error_after": (503, 1),
    "garbage": (httpx.RemoteProtocolError, 1),
}


class Peer(Line):
    """The other side: a line whose requests all end here."""

    def __init__(self) -> None:
        super().__init__([], 0)
        self.seen = 0

    async def _answer(self, _target: str, _headers: Mapping[str, str], _body: bytes) -> Response:
        self.seen += 1
        return Response(200, {"seen": self.seen})


@asynccontextmanager
async def lined() -> AsyncIterator[tuple[Peer, Line]]:
    """A peer, and a line to it."""
    async with Peer().open() as peer:
        assert isinstance(peer, Peer)
        async with Line([peer.url], 1, LATE_S).open() as line:
            yield peer, line


async def called(line: Line, fate: Fate = "pass") -> int | type[Exception]:
    """What a caller gets, who waits for long unless it is about waiting."""
    timeout = httpx.Timeout(10, read=PATIENCE_S.get(fate, 10))
    async with httpx.AsyncClient(trust_env=False, timeout=timeout) as http:
        try:
            return (await http.post(line.url, content=b"{}")).status_code
        except (httpx.ReadError, httpx.RemoteProtocolError, AttributeError):
            return httpx.RemoteProtocolError
        except httpx.TransportError as error:
            return type(error)


@pytest.mark.parametrize("fate", [*SEEN])
async def test_a_fault_is_what_it_says(fate: Fate) -> None:
    """What the caller is told, and whether the other side saw anything of it."""
    async with lined() as (peer, line):
        line.rough, line._deck = True, [fate]
        told, often = SEEN[fate]
        assert await called(line, fate) == told
        with anyio.fail_after(5):
            while peer.seen < often:
                await anyio.sleep(0.01)
        assert ([passage.fate for passage in line.passed], peer.seen) == ([fate], often)


async def test_nothing_befalls_a_smooth_line() -> None:
    """Until it is rough."""
    async with lined() as (peer, line):
        assert [await called(line) for _ in range(20)] == [200] * 20
        assert (peer.seen, {passage.fate for passage in line.passed}) == (20, {"pass"})


async def test_a_deck_has_every_fault_and_a_seed_draws_the_same_cards() -> None:
    """A short run sees them all, and may be run again."""
    first, second = (Line([], 7, passes=3) for _ in range(2))
    first.rough = second.rough = True
    drawn = [first._draw() for _ in range(2 * (len(FAULTS) + 3))]
    assert sorted(drawn) == sorted([*FAULTS, *["pass"] * 3] * 2)
    assert drawn == [second._draw() for _ in drawn]


async def test_a_line_that_is_down_refuses_connections_until_it_is_up() -> None:
    """As a dead machine does: nothing answers at all."""
    async with lined() as (_peer, line):
        await line.go_down()
        assert await called(line) is httpx.ConnectError
        await line.go_up()
        assert await called(line) == 200


async def test_what_is_poisoned_is_answered_so_whatever_is_drawn() -> None:
    """And the other side does not see it."""
    async with lined() as (peer, line):
        line.rough, line.poison = True, lambda body: 422 if body == b"{}" else None
        assert [await called(line) for _ in range(5)] == [422] * 5
        assert peer.seen == 0
