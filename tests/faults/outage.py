"""A provider that is down for a while: a shop of its own sells on, and its backlog leaves when the provider is back.

Nobody is killed here, so that every opening of the breaker is the outage's.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import anyio

from server.storage.statement import Statement
from sync.client import SyncClient
from tests.faults.clause import Clause, each_once, none_of
from tests.faults.evidence import Attempt, Delivery, attempts, deliveries, fetch
from tests.faults.line import Line
from tests.faults.people import Till
from tests.faults.stage import OPTIONS, SHOP, Stage
from tests.support.shop import product_fields

SALES = 40
RATE = 40
BURST = 8
FAILURES = 10
ON_THEIR_WAY = 8
"""How many calls may go when the breaker opens in another process."""

_LIMITS = {"timeout": "1", "rate": str(RATE), "burst": str(BURST), "breaker_failures": str(FAILURES),
           "breaker_pause": "0.4", "breaker_cap": "0.4"}  # fmt: skip
_LOOK_S = 0.01
_PROBES = 4
_GATE = Statement("SELECT state, fence FROM gates WHERE tenant_id = :tenant_id")


@dataclass
class Watched:
    """A breaker as it was seen, look by look: its states and how many probes it has let through.

    One that nobody has noted anything of is closed.
    """

    states: list[str] = field(default_factory=lambda: ["closed"])
    probes: int = 0

    @property
    def story(self) -> list[str]:
        """Closed or not, one after the other."""
        return [word for word, _ in groupby("closed" if state == "closed" else "open" for state in self.states)]


async def outage(stage: Stage) -> list[Clause]:
    """Play it and judge it."""
    tenant_id = await stage.core.admin.add_tenant("Bar al Buio")
    line = Line([stage.provider.process.url], stage.plan.seed)
    watched, before = Watched(), len(stage.provider.arrivals())
    async with line.open(), anyio.create_task_group() as tasks:
        hooked = {"url": f"{line.url}/hook", "secret": stage.provider.secret, **_LIMITS}
        await stage.core.endpoints.add(tenant_id, "http", "provider", hooked)
        await line.go_down()
        tasks.start_soon(_watch, stage, tenant_id, watched)
        await _sell(stage, tenant_id)
        with anyio.move_on_after(stage.plan.patience_s):
            while watched.probes < _PROBES:
                await anyio.sleep(_LOOK_S)
        await line.go_up()
        await _settle(stage, tenant_id)
        await _look(stage, tenant_id, watched)
        tasks.cancel_scope.cancel()
    rows, tried = await deliveries(stage.core.database, tenant_id), await attempts(stage.core.database, tenant_id)
    kept = [one["key"] for one in stage.provider.arrivals()[before:] if one["did"] == "kept"]
    return list(_judge(rows, tried, kept, watched))


async def _sell(stage: Stage, tenant_id: str) -> None:
    device = await stage.core.admin.add_device(tenant_id, "till", "owner", SHOP)
    async with SyncClient(stage.folder / "dark.db", stage.fleet.urls[0], device.token, OPTIONS) as client:
        product = client.create("products", product_fields()).record_id
        Till("till", client, product, random.Random(stage.plan.seed)).sell(SALES)
        await client.drain()


async def _watch(stage: Stage, tenant_id: str, watched: Watched) -> None:
    while True:
        await _look(stage, tenant_id, watched)
        await anyio.sleep(_LOOK_S)


async def _look(stage: Stage, tenant_id: str, watched: Watched) -> None:
    for state, fence in await fetch(stage.core.database, _GATE, (tenant_id,)):
        watched.states.append(state)
        watched.probes = fence


async def _settle(stage: Stage, tenant_id: str) -> None:
    with anyio.move_on_after(stage.plan.patience_s):
        while any(one.state != "delivered" for one in await deliveries(stage.core.database, tenant_id)):
            await anyio.sleep(_LOOK_S)


def _judge(
    rows: Sequence[Delivery], tried: Sequence[Attempt], kept: Sequence[str], watched: Watched
) -> Iterator[Clause]:
    yield each_once("down: all arrives once when it is back", [one.key for one in rows], kept)
    wrong = [] if watched.story == ["closed", "open", "closed"] else [f"it was {', '.join(watched.story)}"]
    yield Clause("down: the breaker opens and closes, once", f"{watched.probes} probes", wrong)
    yield _spent(tried, watched.probes)
    yield none_of("down: the backlog leaves at its rate", len(tried), herd([one.started_ms for one in tried]))


def _spent(tried: Sequence[Attempt], probes: int) -> Clause:
    """Once it is open, probes go and nothing else, but what was on its way."""
    failed = [one for one in tried if one.outcome == "transient" and one.ended_ms is not None]
    ended_ms = sorted(one.ended_ms for one in failed if one.ended_ms is not None)
    opened_ms = ended_ms[FAILURES - 1] if len(ended_ms) >= FAILURES else 0
    late = sum(one.started_ms > opened_ms for one in failed)
    wrong = [f"{late} calls at an open breaker, {probes} were probes"] if late > probes + ON_THEIR_WAY else []
    return Clause("down: an open breaker lets probes through", f"{late}", wrong)


def herd(started_ms: Sequence[int]) -> Iterator[str]:
    """Whatever two moments are looked at, no more went between them than rate and burst allow."""
    ordered = sorted(started_ms)
    for first, begin in enumerate(ordered):
        for last in range(first, len(ordered)):
            most = BURST + 1 + (ordered[last] - begin) * RATE / 1000
            if last - first + 1 > most:
                yield f"{last - first + 1} in {ordered[last] - begin} ms"
                return
