"""Tables of what was measured, for a terminal."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Results
from benchmarks.growth import Point


class Ratio(NamedTuple):
    """One case measured by another of the same run, and how much it is meant to be."""

    title: str
    case: str
    base: str
    goal: float | None


def ratios(clients: int) -> tuple[Ratio, ...]:
    """What is compared with what."""
    lite, post = "rientro, sqlite", "rientro, postgres"
    one, many = "push, 1 client", f"push, {clients} clients"
    read, read_many = "pull, 1 client", f"pull, {clients} clients"
    raw, asyncpg = "raw sqlite3", "raw asyncpg"
    return (
        Ratio("SQLite: push, 1 client / raw of 100", f"{lite}: {one}", f"{raw}, 100 a transaction", 0.4),
        Ratio(f"SQLite: push, {clients} clients / 1 client", f"{lite}: {many}", f"{lite}: {one}", 1.4),
        Ratio(f"SQLite: push, {clients} clients / raw of 1,000", f"{lite}: {many}", f"{raw}, 1000 a transaction", None),
        Ratio("SQLite: pull, 1 client / JSON made inside", f"{lite}: {read}", f"{raw}, pages as JSON", 0.6),
        Ratio(
            f"SQLite: pull, {clients} clients / JSON made inside", f"{lite}: {read_many}", f"{raw}, pages as JSON", None
        ),
        Ratio("SQLite: half conflicts / push", f"{lite}: prices, half of them in conflict", f"{lite}: {one}", None),
        Ratio("SQLite: push with deliveries / without", f"{lite}, outbox bound: {one}", f"{lite}: {one}", None),
        Ratio("PostgreSQL: push, 1 client / executemany", f"{post}: {one}", f"{asyncpg}, executemany of 100", 0.45),
        Ratio("PostgreSQL: push, 1 client / COPY", f"{post}: {one}", f"{asyncpg}, COPY of 100", None),
        Ratio(
            f"PostgreSQL: push, {clients} clients / executemany of 1,000",
            f"{post}: {many}",
            f"{asyncpg}, executemany of 1000",
            None,
        ),
        Ratio(f"PostgreSQL: push, {clients} clients / 1 client", f"{post}: {many}", f"{post}: {one}", None),
        Ratio("PostgreSQL: pull, 1 client / JSON made inside", f"{post}: {read}", f"{asyncpg}, pages as JSON", None),
        Ratio(
            f"PostgreSQL: pull, {clients} clients / JSON made inside",
            f"{post}: {read_many}",
            f"{asyncpg}, pages as JSON",
            None,
        ),
        Ratio("PostgreSQL: push with deliveries / without", f"{post}, outbox bound: {one}", f"{post}: {one}", None),
        Ratio("SQLite: webhooks / raw, one by one", f"{lite}: webhooks", f"{raw}, webhooks one by one", None),
        Ratio("PostgreSQL: webhooks / raw, one by one", f"{post}: webhooks", f"{asyncpg}, webhooks one by one", None),
        *(
            Ratio(
                f"{title}: deliveries / bare httpx, {n} at once",
                f"{case}: deliveries, {n} at once",
                f"bare httpx, {n} at once",
                None,
            )
            for title, case in (("SQLite", lite), ("PostgreSQL", post))
            for n in (1, 4, 16)
        ),
        *(
            Ratio(
                f"{title}: claims, 10,000 waiting / 100",
                f"{case}: claims, 10000 waiting",
                f"{case}: claims, 100 waiting",
                None,
            )
            for title, case in (("SQLite", lite), ("PostgreSQL", post))
        ),
        Ratio("PostgreSQL: 2 processes / 1", f"{post}, 2 processes: {many}", f"{post}: {many}", None),
    )


def show(console: Console, results: Results, wanted: Sequence[Ratio], points: Sequence[Point]) -> None:
    """Print all there is."""
    if results.cases:
        console.print(_cases(results))
        console.print(_ratios(results, wanted))
    if points:
        console.print(_growth(points))


def as_json(results: Results, wanted: Sequence[Ratio], points: Sequence[Point]) -> dict[str, Any]:
    """The same, and every repetition."""
    found = {
        ratio.title: {
            "per_s": results.ratio(ratio.case, ratio.base),
            "cpu": results.cpu_ratio(ratio.case, ratio.base),
            "goal": ratio.goal,
        }
        for ratio in wanted
    }
    growth = [{name: getattr(point, name) for name in Point.__slots__} for point in points]
    return {"cases": results.plain(), "ratios": found, "growth": growth}


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def _cases(results: Results) -> Table:
    columns = ("case", "a second", "least - most", "p50 ms", "p95 ms", "p99 ms", "CPU ms/1000", "peak MiB")
    table = _table("Medians", *columns)
    for case in sorted(results.cases):
        low, high = results.spread(case)
        latencies = [_shown(results.median_latency_ms(case, share), 2) for share in (0.5, 0.95, 0.99)]
        spent = [_shown(results.median(case, name), 0) for name in ("cpu_ms_per_1000", "memory_mib")]
        table.add_row(case, _shown(results.median(case, "per_s"), 0), f"{low:,.0f} - {high:,.0f}", *latencies, *spent)
    return table


def _ratios(results: Results, wanted: Sequence[Ratio]) -> Table:
    table = _table("Ratios, each taken within one repetition", "ratio", "a second", "by CPU", "goal")
    for ratio in wanted:
        found = (results.ratio(ratio.case, ratio.base), results.cpu_ratio(ratio.case, ratio.base), ratio.goal)
        table.add_row(ratio.title, *(_shown(value, 2) for value in found))
    return table


def _growth(points: Sequence[Point]) -> Table:
    columns = ("database", "records", "push of 100, ms", "p95", "pull of 100, ms", "p95", "peak MiB")
    table = _table("One tenant, growing", *columns)
    for point in points:
        shown = (point.push_ms, point.push_p95_ms, point.pull_ms, point.pull_p95_ms)
        numbers = [f"{value:.2f}" for value in shown]
        table.add_row(point.database, f"{point.records:,}", *numbers, f"{point.memory_mib:.0f}")
    return table


def _shown(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:,.{places}f}"
