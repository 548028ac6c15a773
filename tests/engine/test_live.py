"""Pokes: one read a poke, at most four a second and never the last one lost; time is in the tests' hands."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anyio
import pytest

from server import meters
from server.engine.live import AT_ONCE, REST_S, TROUBLE_S, Listener, Pokes, Standing, Told
from server.storage.database import DatabaseError
from server.storage.writer import UnknownTenantError

NEVER_S = 3600.0


class Time:
    """Rests end when the test says so."""

    def __init__(self) -> None:
        self.resting: list[tuple[float, anyio.Event]] = []

    async def rest(self, seconds: float) -> None:
        over = anyio.Event()
        self.resting.append((seconds, over))
        await over.wait()

    def pass_by(self) -> list[float]:
        """All that rest go on; for how long they meant to rest."""
        resting, self.resting = self.resting, []
        for _, over in resting:
            over.set()
        return [seconds for seconds, _ in resting]


@dataclass
class Tenant:
    """A tenant that stands where the test puts it; `trouble` is raised instead of an answer."""

    head: int = 1
    revision: int = 0
    reads: int = 0
    trouble: Exception | None = None
    time: Time = field(default_factory=Time)

    async def read(self, _tenant_id: str) -> Standing:
        self.reads += 1
        await anyio.lowlevel.checkpoint()
        if self.trouble is not None:
            raise self.trouble
        return Standing(str(self.head), self.revision)

    def pokes(self, heartbeat_s: float = NEVER_S) -> Pokes:
        return Pokes(self.read, heartbeat_s, self.time.rest)


class Hearing:
    """What a stream was told so far."""

    def __init__(self, listener: Listener) -> None:
        self.told: list[Told] = []
        self.over = False
        self._listener = listener

    async def run(self) -> None:
        async for told in self._listener:
            self.told.append(told)
        self.over = True

    @property
    def heads(self) -> list[str]:
        return [told.standing.head for told in self.told]


@pytest.fixture
def tenant() -> Tenant:
    """A tenant at head 1."""
    return Tenant()


@pytest.fixture
async def hearing(tenant: Tenant) -> AsyncIterator[tuple[Pokes, Hearing]]:
    """One open stream of it."""
    pokes = tenant.pokes()
    async with pokes.running(), anyio.create_task_group() as tasks:
        with pokes.listening("t") as listener:
            heard = Hearing(listener)
            tasks.start_soon(heard.run)
            await _settled()
            yield pokes, heard
            tasks.cancel_scope.cancel()


async def _settled() -> None:
    """Everything that can go on without time passing has gone on: nothing here takes more turns of the loop."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def test_how_long_a_poke_takes_is_counted_once_it_is_told(tenant: Tenant, hearing: tuple[Pokes, Hearing]) -> None:
    """Many pokes that are told as one are one; what brought no news, and a heartbeat, are none."""
    pokes, _ = hearing
    before = _poke_count()
    tenant.time.pass_by()
    await _settled()
    pokes.poke("t")
    await _settled()
    assert _poke_count() == before
    tenant.head += 1
    for _ in range(3):
        pokes.poke("t")
    tenant.time.pass_by()
    await _settled()
    assert _poke_count() == before + 1


def _poke_count() -> float:
    return meters.REGISTRY.get_sample_value("rientro_poke_seconds_count") or 0


async def test_a_hundred_commits_a_second_are_four_pokes(tenant: Tenant, hearing: tuple[Pokes, Hearing]) -> None:
    """The first is told at once, the last for certain, and those between as one."""
    pokes, heard = hearing
    tenant.time.pass_by()
    await _settled()
    for tick in range(100):
        tenant.head += 1
        pokes.poke("t")
        await _settled()
        if tick % 25 == 24:
            assert tenant.time.pass_by() == [REST_S]
            await _settled()
    assert heard.heads == ["1", "2", "26", "51", "76", "101"]
    assert tenant.reads == len(heard.heads)


async def test_a_poke_that_says_nothing_new_is_not_told(tenant: Tenant, hearing: tuple[Pokes, Hearing]) -> None:
    """PostgreSQL tells us of our own commits too, and SQLite of other tenants'."""
    pokes, heard = hearing
    for poked in ("t", None, "another"):
        tenant.time.pass_by()
        pokes.poke(poked)
        await _settled()
    assert (heard.heads, tenant.reads) == (["1"], 3)


async def test_a_changed_device_is_told_even_where_no_record_changed(
    tenant: Tenant, hearing: tuple[Pokes, Hearing]
) -> None:
    """Or a revoked device would listen until the next sale."""
    pokes, heard = hearing
    tenant.time.pass_by()
    tenant.revision += 1
    pokes.poke(None)
    await _settled()
    assert [told.standing.revision for told in heard.told] == [0, 1]


async def test_a_database_that_is_away_ends_no_stream(tenant: Tenant, hearing: tuple[Pokes, Hearing]) -> None:
    """It is asked once a second for all of them, and the news is told when it is back, without another poke."""
    pokes, heard = hearing
    tenant.time.pass_by()
    tenant.head, tenant.trouble = 2, DatabaseError("away", transient=True)
    pokes.poke("t")
    await _settled()
    assert (tenant.time.pass_by(), heard.heads) == ([TROUBLE_S], ["1"])
    await _settled()
    tenant.trouble = None
    assert tenant.time.pass_by() == [TROUBLE_S]
    await _settled()
    assert (heard.heads, heard.over) == (["1", "2"], False)


@pytest.mark.parametrize("end", ["gone", "stopping"])
async def test_streams_end(tenant: Tenant, hearing: tuple[Pokes, Hearing], end: str) -> None:
    """When their tenant is gone, and when the server stops."""
    pokes, heard = hearing
    tenant.time.pass_by()
    if end == "gone":
        tenant.trouble = UnknownTenantError()
        pokes.poke("t")
    else:
        pokes.stopping.set()
    await _settled()
    assert heard.over
    with pokes.listening("t") as late, anyio.fail_after(5):
        assert [told async for told in late] == []


async def test_a_lost_poke_costs_a_heartbeat(tenant: Tenant) -> None:
    """A heartbeat reads anew, whatever was told last."""
    pokes = tenant.pokes(heartbeat_s=0.001)
    async with pokes.running():
        with pokes.listening("t") as listener:
            assert await anext(listener) == Told("poke", Standing("1", 0))
            tenant.head = 2
            await _settled()
            tenant.time.pass_by()
            assert await anext(listener) == Told("heartbeat", Standing("2", 0))


async def test_pokes_that_say_nothing_new_hold_up_no_heartbeat(tenant: Tenant) -> None:
    """Other tenants of a busy SQLite file poke all the time; a quiet stream would be cut by what lies on its way."""
    pokes = tenant.pokes(heartbeat_s=0.01)
    async with pokes.running(), anyio.create_task_group() as tasks:
        with pokes.listening("t") as listener:
            heard = Hearing(listener)
            tasks.start_soon(heard.run)
            with anyio.fail_after(2):
                while len(heard.told) < 3:
                    pokes.poke(None)
                    tenant.time.pass_by()
                    await _settled()
            tasks.cancel_scope.cancel()
    assert [told.kind for told in heard.told] == ["poke", "heartbeat", "heartbeat"]


async def test_requests_get_their_turn_while_many_are_told(tenant: Tenant) -> None:
    """A stream that comes late is told what was read for the others, and nobody is told more than `AT_ONCE` at once."""
    pokes, told_before, most = tenant.pokes(), 0, 0
    async with pokes.running():
        listeners = [pokes.listening("t") for _ in range(1000)]
        streams = [one.__enter__() for one in listeners]
        while told_before < len(streams):
            await anyio.lowlevel.checkpoint()
            now = sum(stream.has_news for stream in streams)
            most, told_before = max(most, now - told_before), now
        with pokes.listening("t") as late:
            assert (await anext(late)).standing.head == "1"
        for one in listeners:
            one.__exit__(None, None, None)
    assert (most, tenant.reads) == (AT_ONCE, 1)
