"""A run: trouble for some seconds, then calm, then a provider that is down for a while; and its judgement."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.abc

from tests.faults.clause import Clause
from tests.faults.evidence import Evidence, Parked, deliveries, events, gather
from tests.faults.fleet import KILLS, suffering
from tests.faults.oracle import judge
from tests.faults.outage import outage
from tests.faults.people import STUCK
from tests.faults.stage import Plan, Stage, only_refused, open_stage

_LOOK_S = 0.1
_ENDED = frozenset(("delivered", "dead", "answered", "in_doubt", "superseded", "cancelled"))
_FINISHED = frozenset(("done", "ignored", "stale", "quarantined", "dead"))

Telling = Callable[[str, float], None]
"""Told what is going on, and how far the whole run is, from 0 to 1."""


class Played(NamedTuple):
    """What a run ended with: every clause, broken ones among them, and what those of the trouble were judged by."""

    clauses: Sequence[Clause]
    evidence: Evidence

    @property
    def broken(self) -> list[Clause]:
        """The clauses that do not hold."""
        return [clause for clause in self.clauses if not clause.holds]


async def play(plan: Plan, folder: Path, tell: Telling = lambda _what, _share: None) -> Played:
    """Everything, from the first sale to the judgement."""
    async with open_stage(plan, folder) as stage, anyio.create_task_group() as tasks:
        for till in stage.tills:
            tasks.start_soon(till.client.run)
        await _trouble(stage, tasks, tell)
        tell("calm", 0.8)
        parked = await _calm(stage)
        evidence = await gather(stage, parked)
        tell("the provider is down", 0.9)
        down = await outage(stage)
        tasks.cancel_scope.cancel()
    return Played([*judge(evidence), *down], evidence)


async def _trouble(stage: Stage, tasks: anyio.abc.TaskGroup, tell: Telling) -> None:
    """Load, faults and kills; then none of them, but what was begun goes on."""
    plan = stage.plan
    stage.fleet.risk = plan.risk
    await stage.fleet.restart()
    stage.outgoing.rough = stage.incoming.rough = True
    async with suffering(stage.fleet), anyio.create_task_group() as working:
        for till in stage.tills:
            working.start_soon(till.work, plan.pace)
        working.start_soon(stage.kiosk.work, plan.pace, tasks)
        steps = max(int(plan.seconds), 1)
        for step in range(steps):
            tell("trouble", 0.8 * step / steps)
            await anyio.sleep(plan.seconds / steps)
        await _until(stage, lambda: _has_suffered(stage))
        working.cancel_scope.cancel()
    stage.outgoing.rough = stage.incoming.rough = False


async def _calm(stage: Stage) -> Parked:
    """Wait until all but the stuck have come to their end, look, then let those go as well."""
    await _until(stage, lambda: _is_quiet(stage))
    parked = await _look(stage)
    stage.outgoing.poison = only_refused
    await _until(stage, lambda: _has_ended(stage))
    return parked


async def _until(stage: Stage, condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for it, for as long as the plan's patience lasts; what is missing then is the oracle's to tell."""
    with anyio.move_on_after(stage.plan.patience_s):
        while not await condition():
            await anyio.sleep(_LOOK_S)


async def _has_suffered(stage: Stage) -> bool:
    """Whether everything that is meant to go wrong did at least once: on a slow machine that takes longer."""
    lines = (stage.outgoing, stage.incoming)
    return all(line.has_done_all for line in lines) and all(stage.fleet.killed[how] for how in KILLS)


async def _is_quiet(stage: Stage) -> bool:
    """Whether nothing is left to do but what is stuck."""
    if not stage.kiosk.done or any(till.client.status.pending for till in stage.tills):
        return False
    unfinished = [one for one in await events(stage.core.database, stage.tenant_id) if one.state not in _FINISHED]
    return not unfinished and (await _look(stage)).open == 0


async def _has_ended(stage: Stage) -> bool:
    rows = await deliveries(stage.core.database, stage.tenant_id)
    return all(one.state in _ENDED for one in rows)


async def _look(stage: Stage) -> Parked:
    """Who waits, and who does not have to."""
    stuck = {record_id for till in stage.tills for record_id, note in till.sold.notes.items() if note == STUCK}
    rows = await deliveries(stage.core.database, stage.tenant_id)
    healthy = [one for one in rows if one.record_id not in stuck]
    behind = [one for one in rows if one.record_id in stuck and one.is_void]
    return Parked(
        healthy=sum(one.state in _ENDED for one in healthy),
        open=sum(one.state not in _ENDED for one in healthy),
        stuck=sum(one.record_id in stuck and not one.is_void and one.state not in _ENDED for one in rows),
        behind=len(behind),
        tried=sum(one.attempts > 0 for one in behind),
    )
