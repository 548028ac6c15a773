"""A few hundred seeds of the simulation, on both databases: whatever happens, in the end what must be true is true.

`make simulate SEEDS=10000` runs more. What fails here says how to replay it.
"""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from server.storage.open import open_database
from tests.simulation.models import errands_ddl
from tests.simulation.plant import PLANTS
from tests.simulation.run import Result, Stage
from tests.simulation.storage import migrated

_A_PART = 25


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    """What the seeds share: an empty, migrated SQLite file."""
    return Stage(await migrated(tmp_path))


def held(result: Result) -> None:
    """Fail with what replays it."""
    if result.clause is not None:
        told = "\n".join([*result.trace[-30:], str(result.message)])
        pytest.fail(f"python -m tests.simulation --seed {result.seed} --trace\n{told}", pytrace=False)


@pytest.mark.parametrize("part", range(6))
async def test_whatever_happens_it_comes_right_in_the_end(stage: Stage, part: int) -> None:
    """Lost, doubled and delayed requests, crashes, wrong clocks, clones, restores."""
    for seed in range(part * _A_PART, (part + 1) * _A_PART):
        held(await stage.play(seed))


@pytest.mark.postgres
@pytest.mark.parametrize("seed", range(5))
async def test_it_comes_right_on_postgresql_too(postgres_url: str, seed: int) -> None:
    """The same days, without what needs the server's file."""
    engine = create_async_engine(postgres_url)
    async with engine.begin() as connection:
        for statement in errands_ddl(engine.dialect):
            await connection.exec_driver_sql(statement)
    await engine.dispose()
    held(await Stage(b"", lambda: open_database(postgres_url)).play(seed))


async def test_a_seed_tells_the_same_story_every_time(stage: Stage) -> None:
    """Else no failure could be replayed."""
    assert (await stage.play(7)).trace == (await stage.play(7)).trace


@pytest.mark.parametrize("name", ["increment-twice", "page-short", "late-untold"])
async def test_a_planted_fault_is_found(stage: Stage, name: str) -> None:
    """A simulation that finds nothing proves nothing; the README lists all of them."""
    (plant,) = [plant for plant in PLANTS if plant.name == name]
    assert await stage.find(plant, 60) is not None


async def test_what_fails_is_told_with_as_few_steps_as_still_fail(stage: Stage) -> None:
    """By halving: people read the end of a short day."""
    (plant,) = [plant for plant in PLANTS if plant.name == "page-short"]
    found = await stage.find(plant, 60)
    assert found is not None
    with plant.planting():
        shorter = await stage.shorten(found)
    assert (shorter.clause is not None, shorter.steps <= found.steps) == (True, True)
