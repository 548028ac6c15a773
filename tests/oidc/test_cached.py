"""What is kept of a provider: fetched once however many want it, and kept through an outage."""

from dataclasses import dataclass, field

import anyio
import pytest

from server.auth.errors import AccessError
from server.auth.oidc.cached import DAY_MS, HOUR_MS, MINUTE_MS, PAUSE_MS, Cached
from server.auth.oidc.fetching import FetchError


@dataclass
class Publisher:
    """Publishes a number, one more each time, when it is let; its clock stands until it is moved."""

    now_ms: int = 0
    times: int = 0
    up: bool = True
    open: anyio.Event = field(default_factory=anyio.Event)

    def cached(self) -> Cached[int]:
        """What keeps it."""
        return Cached("number", self.fetch, lambda: self.now_ms)

    async def fetch(self) -> int:
        """The next one."""
        self.times += 1
        number = self.times
        await self.open.wait()
        if not self.up:
            raise FetchError("connect")
        return number


@pytest.fixture
def publisher() -> Publisher:
    """One that answers at once."""
    made = Publisher()
    made.open.set()
    return made


async def together(count: int, publisher: Publisher, ask: object) -> list[int | None]:
    """What many get who ask before anything was answered."""
    seen: list[int | None] = []
    publisher.open = anyio.Event()

    async def one() -> None:
        assert callable(ask)
        seen.append(await ask())

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        publisher.open.set()
    return seen


async def test_many_who_come_at_once_have_it_fetched_once(publisher: Publisher) -> None:
    """Also when they want a newer one: who waited gets what the other got."""
    cached = publisher.cached()
    assert await together(5, publisher, cached.get) == [1] * 5
    publisher.now_ms = MINUTE_MS
    assert await together(5, publisher, cached.newer) == [2] * 5
    assert await cached.newer() is None
    assert publisher.times == 2


async def test_nobody_waits_for_what_is_fetched_anew(publisher: Publisher) -> None:
    """But who fetches it."""
    cached = publisher.cached()
    await cached.get()
    publisher.now_ms = HOUR_MS
    assert sorted(str(one) for one in await together(3, publisher, cached.get)) == ["1", "1", "2"]


async def test_an_outage_costs_one_try_a_minute_and_ends_after_a_day(publisher: Publisher) -> None:
    """Until then what was there goes on."""
    cached = publisher.cached()
    await cached.get()
    publisher.up = False
    for at_ms in (HOUR_MS, HOUR_MS + PAUSE_MS, HOUR_MS + MINUTE_MS - 1, HOUR_MS + MINUTE_MS, DAY_MS - 1):
        publisher.now_ms = at_ms
        assert await cached.get() == 1
    assert publisher.times == 4
    publisher.now_ms = DAY_MS
    with pytest.raises(AccessError, match="does not answer"):
        await cached.get()
    publisher.up, publisher.now_ms = True, DAY_MS + PAUSE_MS
    assert await cached.get() == publisher.times


async def test_what_was_never_had_is_tried_again_soon(publisher: Publisher) -> None:
    """Not at once."""
    cached, publisher.up = publisher.cached(), False
    for _ in range(3):
        with pytest.raises(AccessError):
            await cached.get()
    publisher.up, publisher.now_ms = True, PAUSE_MS
    assert (await cached.get(), publisher.times) == (2, 2)
