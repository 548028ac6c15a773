"""The main comparison: raw databases and rientro, in turn, in every repetition; every second one in reverse order."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks import raw, workloads
from benchmarks.figures import Results
from benchmarks.peer import Queue, Record
from benchmarks.postgres import Server
from benchmarks.records import make_records, rows_of
from benchmarks.target import Target, target


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done.

    Records by one client and by all of the many together, rounds of one change, repetitions, webhooks, deliveries.
    """

    records: int = 10_000
    clients: int = 20
    rounds: int = 200
    repeats: int = 5
    webhooks: int = 4_000
    deliveries: int = 2_000


class Step(NamedTuple):
    """One measured thing, and what to call it while it runs."""

    title: str
    run: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Variant:
    """A way of running rientro."""

    name: str
    postgres: bool = False
    bound: bool = False
    processes: int = 1


VARIANTS = (
    Variant("sqlite"),
    Variant("sqlite, outbox bound", bound=True),
    Variant("postgres", postgres=True),
    Variant("postgres, outbox bound", postgres=True, bound=True),
    Variant("postgres, 2 processes", postgres=True, processes=2),
)


class Suite:
    """Runs the comparison and keeps its figures."""

    def __init__(self, folder: Path, size: Size, results: Results, postgres: Server) -> None:
        """Everything is made in folders of its own under `folder`."""
        self._folder, self._size, self._results, self._postgres = folder, size, results, postgres
        self._records = make_records(2 * size.records)
        self._rows = rows_of(self._records)

    def steps(self) -> list[Step]:
        """All repetitions, in the order to run them."""
        one = [Step("raw sqlite3", self._raw_sqlite)]
        one += [Step(f"rientro, {v.name}", partial(self._rientro, v)) for v in VARIANTS if not v.postgres]
        one += [Step("raw asyncpg", self._raw_postgres)]
        one += [Step(f"rientro, {v.name}", partial(self._rientro, v)) for v in VARIANTS if v.postgres]
        return [step for repeat in range(self._size.repeats) for step in (one if repeat % 2 == 0 else one[::-1])]

    async def _raw_sqlite(self) -> None:
        pushed = self._rows[: self._size.records]
        with TemporaryDirectory(prefix="raw-", dir=self._folder) as kept:
            for size in (100, 1000):
                connection = raw.open_sqlite(Path(kept) / f"{size}.db")
                self._results.add(f"raw sqlite3, {size} a transaction", raw.sqlite_insert(connection, pushed, size))
                connection.close()
            connection = raw.open_sqlite(Path(kept) / "pages.db")
            raw.sqlite_insert(connection, self._rows, 1000)
            self._results.add("raw sqlite3, pages as JSON", raw.sqlite_pages(connection))
            connection.close()

    async def _raw_postgres(self) -> None:
        pushed = self._rows[: self._size.records]
        for copy, way, size in ((False, "executemany", 100), (True, "COPY", 100), (False, "executemany", 1000)):
            figure = await raw.postgres_insert(self._postgres, pushed, size, copy=copy)
            self._results.add(f"raw asyncpg, {way} of {size}", figure)
        await raw.postgres_insert(self._postgres, self._rows, 1000, copy=True)
        self._results.add("raw asyncpg, pages as JSON", await raw.postgres_pages(self._postgres))

    async def _rientro(self, variant: Variant) -> None:
        postgres = self._postgres if variant.postgres else None
        devices = self._size.clients + 2
        async with target(
            self._folder, devices, postgres=postgres, bound=variant.bound, processes=variant.processes
        ) as running:
            await self._load(running, variant.name)

    async def _load(self, running: Target, name: str) -> None:
        half, clients = self._size.records, self._size.clients
        first, rest = self._records[:half], self._records[half:]
        writer = running.queue(0)
        self._results.add(f"rientro, {name}: push, 1 client", await workloads.push(running, [(writer, first)]))
        share = half // clients
        jobs: Sequence[tuple[Queue, Sequence[Record]]] = [
            (running.queue(1 + number), rest[number * share : (number + 1) * share]) for number in range(clients)
        ]
        self._results.add(f"rientro, {name}: push, {clients} clients", await workloads.push(running, jobs))
        figure, known, cursor = await workloads.pull(running, half + clients * share)
        self._results.add(f"rientro, {name}: pull, 1 client", figure)
        figure = await workloads.pull_together(running, clients, half + clients * share)
        self._results.add(f"rientro, {name}: pull, {clients} clients", figure)
        some = list(known.values())[:: max(1, len(known) // self._size.rounds)][: self._size.rounds]
        figure = await workloads.changes(running, writer, some, cursor)
        self._results.add(f"rientro, {name}: one change to another client", figure)
        figure = await workloads.conflicts(running, max(2, self._size.records // 5))
        self._results.add(f"rientro, {name}: prices, half of them in conflict", figure)
