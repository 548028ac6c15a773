"""Runs seeds: one world each, from its first step to its judgement; what fails is shortened as far as it goes."""

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import anyio

from tests.simulation.case import Case
from tests.simulation.nemesis import Clocks, Clone, Crash, Deploy, DiskTrouble, Nemesis, Scopes, ServerWrites, SetBack
from tests.simulation.nemesis_history import Backup, LiveRewind, Rewind, Winter
from tests.simulation.oracle import judge
from tests.simulation.planting import Plant
from tests.simulation.reading import read_device, read_server
from tests.simulation.standing import Violation
from tests.simulation.storage import Disk, scratch
from tests.simulation.world import Opening, World

ALL: tuple[type[Nemesis], ...] = (
    *(Crash, Clocks, Clone, SetBack, DiskTrouble, ServerWrites, Scopes, Deploy),
    *(Backup, Rewind, LiveRewind, Winter),
)
_NEMESES = (0, 1, 2, 2, 3, 3, 4)


class Result(NamedTuple):
    """What became of a seed. `clause` and `message` are None where all held."""

    seed: int
    steps: int
    trace: list[str]
    clause: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Stage:
    """What all seeds of a run share. `opening` is for a database that is no file."""

    template: bytes
    opening: Opening | None = None

    async def play(self, seed: int, most_steps: int | None = None) -> Result:
        """Live through a seed and judge it; never raises for what is wrong with the product."""
        with scratch() as folder:
            async with anyio.create_task_group() as tasks:
                result = await _lived(self._world(seed, folder, tasks, most_steps))
                tasks.cancel_scope.cancel()
        return result

    async def find(self, plant: Plant, most: int) -> Result | None:
        """The first seed, from 0, that breaks with a fault planted; None where all `most` hold."""
        with plant.planting():
            for seed in range(most):
                result = await self.play(seed)
                if result.clause is not None:
                    return result
        return None

    async def shorten(self, result: Result) -> Result:
        """The same seed with as few steps as still fail, found by halving."""
        low, high, best = 0, result.steps, result
        while low < high:
            middle = (low + high) // 2
            shorter = await self.play(result.seed, middle)
            if shorter.clause is None:
                low = middle + 1
            else:
                high, best = middle, shorter
        return best

    def _world(self, seed: int, folder: Path, tasks: anyio.abc.TaskGroup, most_steps: int | None) -> World:
        disk = Disk(folder / "server.db", self.template) if self.opening is None else None
        opening = self.opening or _opened(disk)
        world = World(seed, folder, opening, disk, [], tasks, most_steps)
        world.nemeses = _drawn(world)
        return world


def _opened(disk: Disk | None) -> Opening:
    assert disk is not None
    return disk.open


def _drawn(world: World) -> list[Nemesis]:
    """Each seed has a few of the nemeses: what one hides, a seed without it shows."""
    possible = [kind for kind in ALL if world.disk_or_none is not None or not kind.files]
    return [kind() for kind in world.random.sample(possible, world.random.choice(_NEMESES))]


async def _lived(world: World) -> Result:
    steps = 0
    try:
        await world.begin()
        world.note("with " + (", ".join(nemesis.name for nemesis in world.nemeses) or "no nemesis"))
        for steps in range(1, world.day.steps + 1):  # noqa: B007  # told when it fails
            await world.step()
        world.asleep.clear()
        await world.quiesce()
        standing = await read_server(world.server.process.database, world.server.tenant_id)
        judge(Case(world.ledger, standing, [read_device(device) for device in world.devices]))
    except Exception as error:  # noqa: BLE001  # a crash of the product is a finding like any other
        return _broken(world, steps, error)
    finally:
        world.close()
        await world.server.stop()
    return Result(world.seed, steps, world.trace)


def _broken(world: World, steps: int, error: Exception) -> Result:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, Violation):
        return Result(world.seed, steps, world.trace, error.clause, str(error))
    told = "".join(traceback.format_exception(error, limit=-6))
    return Result(world.seed, steps, world.trace, type(error).__name__, told)
