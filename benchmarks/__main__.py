"""`python -m benchmarks`: rientro beside the raw databases; with `profile`: where the time of a push goes."""

import argparse
import json
import os
import platform
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import deliveries, report, webhooks
from benchmarks.figures import Results
from benchmarks.growth import Point, grow
from benchmarks.layers import profile
from benchmarks.postgres import Server, durable_postgres
from benchmarks.pwa import pwa
from benchmarks.suite import Size, Suite

QUICK = Size(records=2_000, clients=20, rounds=50, repeats=1, webhooks=500, deliveries=200)
CHOICES = ("all", "suite", "webhooks", "deliveries", "growth", "profile", "pwa")
console = Console(width=None if Console().is_terminal else 160)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=CHOICES)
    parser.add_argument("--quick", action="store_true", help="little of everything, once: does it run?")
    parser.add_argument("--full", action="store_true", help="let the tenant grow to a million records")
    parser.add_argument(
        "--database", choices=["sqlite", "postgres"], action="append", help="grow a tenant there only (default: both)"
    )
    parser.add_argument("--repeats", type=int, help="repetitions of the comparison")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    parser.add_argument("--dir", type=Path, help="a folder on the disk to measure (default: the temporary folder)")
    return parser.parse_args()


def main() -> None:
    """Run by the command line's arguments."""
    arguments = _arguments()
    with TemporaryDirectory(prefix="rientro-bench-", dir=arguments.dir) as kept:
        folder = Path(kept)
        if arguments.what == "pwa":
            uvloop.run(pwa(console, folder))
            return
        folder.chmod(0o755)  # PostgreSQL runs as nobody where we are root
        with durable_postgres(folder) as postgres:
            if arguments.what == "profile":
                uvloop.run(profile(console, folder, postgres))
            else:
                uvloop.run(_measure(arguments, folder, postgres))


async def _measure(arguments: argparse.Namespace, folder: Path, postgres: Server) -> None:
    size = QUICK if arguments.quick else Size(repeats=arguments.repeats or Size().repeats)
    results, points = Results(), list[Point]()
    if arguments.what in {"all", "suite"}:
        await _suite(Suite(folder, size, results, postgres))
    for name, measure, count in (
        ("webhooks", webhooks.measure, size.webhooks),
        ("deliveries", deliveries.measure, size.deliveries),
    ):
        for _ in range(size.repeats if arguments.what in {"all", name} else 0):
            await measure(folder, count, results, postgres)
    if arguments.what in {"all", "growth"}:
        sizes = (1_000, 5_000) if arguments.quick else (10_000, 100_000, *((1_000_000,) if arguments.full else ()))
        for server in _databases(arguments, postgres):
            points += await _growth(folder, sizes, server)
    wanted = report.ratios(size.clients)
    report.show(console, results, wanted, points)
    if arguments.json is not None:
        found = {"machine": _machine(), **report.as_json(results, wanted, points)}
        arguments.json.write_text(json.dumps(found, indent=1))


def _databases(arguments: argparse.Namespace, postgres: Server) -> list[Server | None]:
    """Where a tenant grows; None is SQLite."""
    wanted = arguments.database or ["sqlite", "postgres"]
    return [server for name, server in (("sqlite", None), ("postgres", postgres)) if name in wanted]


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


async def _suite(suite: Suite) -> None:
    steps = suite.steps()
    with _progress() as progress:
        task = progress.add_task("", total=len(steps))
        for step in steps:
            progress.update(task, description=step.title)
            await step.run()
            progress.advance(task)


async def _growth(folder: Path, sizes: Sequence[int], server: Server | None) -> list[Point]:
    points = list[Point]()
    with _progress() as progress:
        task = progress.add_task(f"growing, {'sqlite' if server is None else 'postgres'}", total=sizes[-1])
        async for news in grow(folder, sizes, server):
            if isinstance(news, Point):
                points.append(news)
            else:
                progress.update(task, completed=news)
    return points


def _machine() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


if __name__ == "__main__":
    main()
