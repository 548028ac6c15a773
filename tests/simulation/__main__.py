"""`python -m tests.simulation --seeds 10000`: run many; `--seed 42 --trace`: replay one."""

import argparse
import json
import logging
import time

import anyio
import structlog
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.simulation.plant import PLANTS
from tests.simulation.run import Result, Stage
from tests.simulation.storage import migrated, scratch

_LAST = 30
CONSOLE = Console(markup=False, highlight=False, soft_wrap=True)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser("python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many to run")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one alone")
    parser.add_argument("--steps", type=int, help="and only that many steps of it")
    parser.add_argument("--trace", action="store_true", help="and tell all that happens")
    parser.add_argument("--plants", action="store_true", help="plant faults one at a time, and see each found")
    parser.add_argument("--json", action="store_true", help="tell the result as JSON")
    return parser.parse_args()


async def run(asked: argparse.Namespace) -> int:
    """Run what was asked for; the exit code."""
    with scratch() as folder:
        stage = Stage(await migrated(folder))
    if asked.seed is not None:
        result = await stage.play(asked.seed, asked.steps)
        tell(result, whole=asked.trace)
        return result.clause is not None
    if asked.plants:
        return await plants(stage, asked.seeds)
    started, failed = time.monotonic(), None
    seeds = range(asked.first, asked.first + asked.seeds)
    for seed in track(seeds, "simulating", console=CONSOLE, transient=True, disable=asked.json):
        result = await stage.play(seed)
        if result.clause is not None:
            failed = await stage.shorten(result)
            break
    took_s = time.monotonic() - started
    if asked.json:
        CONSOLE.print(
            json.dumps({"seeds": len(seeds), "failed": failed and failed._asdict(), "seconds": round(took_s, 1)})
        )
    elif failed is not None:
        tell(failed, whole=False)
    else:
        CONSOLE.print(f"{len(seeds)} seeds held, {took_s:.1f} s, {1000 * took_s / len(seeds):.0f} ms each")
    return failed is not None


async def plants(stage: Stage, most: int) -> int:
    """Plant every fault, and tell after how many seeds it was found; the exit code."""
    table = Table("fault", "what it does", "seeds", "broke")
    escaped = 0
    for plant in track(PLANTS, "planting", console=CONSOLE, transient=True):
        found = await stage.find(plant, most)
        escaped += found is None
        seeds, clause = ("not found", "") if found is None else (str(found.seed + 1), str(found.clause))
        table.add_row(plant.name, plant.says, seeds, clause)
    CONSOLE.print(table)
    return escaped


def tell(result: Result, *, whole: bool) -> None:
    """A seed's end, and how it came to it."""
    lines = result.trace if whole else result.trace[-_LAST:]
    if whole or result.clause is not None:
        CONSOLE.print("\n".join(lines))
    if result.clause is None:
        CONSOLE.print(f"seed {result.seed}: held")
        return
    CONSOLE.print(f"\nseed {result.seed} broke: {result.message}")
    CONSOLE.print(f"replay: python -m tests.simulation --seed {result.seed} --steps {result.steps} --trace")


def main() -> int:
    """Run without the engine's own log: its warnings are what the simulation provokes."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return anyio.run(run, arguments())


if __name__ == "__main__":
    raise SystemExit(main())
