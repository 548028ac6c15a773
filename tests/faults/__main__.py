"""`python -m tests.faults --seconds 120 --database both --seed 1`: trouble for so long on each; 1 where it broke."""

import argparse
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.faults.clause import Clause
from tests.faults.oracle import PROVOKED
from tests.faults.plant import PLANTS
from tests.faults.run import Telling, play
from tests.faults.stage import DatabaseKind, Plan
from tests.support.databases import postgres_url, sqlite_url
from tests.support.postgres import postgres

CONSOLE = Console(markup=False, highlight=False, soft_wrap=True)
KINDS: Mapping[str, Sequence[DatabaseKind]] = {
    "sqlite": ("sqlite",),
    "postgres": ("postgres",),
    "both": ("sqlite", "postgres"),
}
_PLANTED_S = 12
_PLANTED_PATIENCE_S = 30


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long the trouble lasts on each database")
    parser.add_argument("--database", choices=KINDS, default="both")
    parser.add_argument("--seed", type=int, default=1, help="picks the faults, who is killed and what is sold")
    parser.add_argument(
        "--plants", type=int, metavar="RUNS", help="plant faults one at a time, in so many runs at most"
    )
    parser.add_argument("--plant", choices=[plant.name for plant in PLANTS], help="plant only this one")
    parser.add_argument("--json", action="store_true", help="tell the result as JSON")
    return parser.parse_args()


def main() -> int:
    """Run what was asked for, without the log of what is provoked; the exit code."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asked = arguments()
    if asked.plants is not None:
        return find_plants(asked)
    began = time.monotonic()
    clauses = {kind: run(kind, asked) for kind in KINDS[asked.database]}
    broken = any(not clause.holds for one in clauses.values() for clause in one)
    took_s = round(time.monotonic() - began, 1)
    if asked.json:
        told = {kind: [clause._asdict() for clause in one] for kind, one in clauses.items()}
        CONSOLE.print(json.dumps({"seed": asked.seed, "seconds": took_s, "ok": not broken, "clauses": told}))
        return int(broken)
    show(clauses)
    if broken:
        again = f"--seconds {asked.seconds:g} --database {asked.database} --seed {asked.seed}"
        CONSOLE.print(f"broken. The same faults and kills again: python -m tests.faults {again}")
    else:
        CONSOLE.print(f"all of it held, {took_s} s")
    return int(broken)


def run(kind: DatabaseKind, asked: argparse.Namespace) -> list[Clause]:
    """One database's run, with a bar."""
    with _bar(f"{kind}, seed {asked.seed}", quiet=asked.json) as tell, opened(kind) as (url, folder):
        played = anyio.run(play, Plan(kind, url, asked.seed, asked.seconds, plant=asked.plant), folder, tell)
    if played.broken:
        sys.stderr.write(f"{kind}: logs and files are kept in {folder}\n")
    else:
        shutil.rmtree(folder)
    return list(played.clauses)


def find_plants(asked: argparse.Namespace) -> int:
    """Plant every fault, and tell after how many runs it was found; the exit code."""
    table, escaped = Table("fault", "what it does", "runs", "seconds", "broke"), 0
    for plant in [plant for plant in PLANTS if asked.plant in {None, plant.name}]:
        found: tuple[str, ...] = ("not found", "", "")
        for count in range(1, asked.plants + 1):
            broken = planted_run(plant.name, asked.seed + count - 1)
            if broken:
                found = (str(count), str(count * _PLANTED_S), broken[0].name)
                break
        escaped += not found[1]
        CONSOLE.print(f"{plant.name}: {', '.join(found)}")
        table.add_row(plant.name, plant.says, *found)
    CONSOLE.print(table)
    return int(escaped > 0)


def planted_run(name: str, seed: int) -> list[Clause]:
    """A short run with a fault planted; the clauses that broke."""
    with opened("sqlite") as (url, folder):
        plan = Plan("sqlite", url, seed, _PLANTED_S, patience_s=_PLANTED_PATIENCE_S, plant=name)
        broken = anyio.run(play, plan, folder).broken
    shutil.rmtree(folder)
    return [clause for clause in broken if not clause.name.startswith(PROVOKED)]


def show(clauses: Mapping[DatabaseKind, Sequence[Clause]]) -> None:
    """What was looked at, in figures; then what is wrong."""
    table = Table("", *clauses, "", title="What was looked at, and how much of it", title_justify="left")
    for rows in zip(*clauses.values(), strict=True):
        held = all(clause.holds for clause in rows)
        table.add_row(rows[0].name, *(clause.figure for clause in rows), "held" if held else "BROKE")
    CONSOLE.print(table)
    for kind, one in clauses.items():
        for clause in one:
            if not clause.holds:
                CONSOLE.print(f"{kind}: {clause.name}: {clause.told}")


@contextmanager
def opened(kind: DatabaseKind) -> Iterator[tuple[str, Path]]:
    """An empty database, and a folder for files and logs."""
    folder = Path(tempfile.mkdtemp(prefix="rientro-faults-"))
    if kind == "sqlite":
        yield sqlite_url(folder / "rientro.db"), folder
    else:
        with postgres() as socket:
            yield postgres_url(socket, "postgres"), folder


@contextmanager
def _bar(title: str, *, quiet: bool) -> Iterator[Telling]:
    columns: tuple[Any, ...] = (TextColumn("{task.description:<40}"), BarColumn(40), TimeElapsedColumn())
    with Progress(*columns, console=CONSOLE, transient=True, disable=quiet) as progress:
        task: TaskID = progress.add_task(title, total=1)

        def tell(what: str, share: float) -> None:
            progress.update(task, description=f"{title}: {what}", completed=share)

        yield tell


if __name__ == "__main__":
    raise SystemExit(main())
