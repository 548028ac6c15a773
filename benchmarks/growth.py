"""How cost grows with a tenant: small pushes and small pulls while it holds ten thousand records, then ten times more.

Flat is the goal: what a request costs must follow from its own size, not from the history behind it.
"""

import statistics
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import workloads
from benchmarks.load import Connection, encoded
from benchmarks.peer import Queue
from benchmarks.postgres import Server
from benchmarks.records import make_records
from benchmarks.target import Target, target
from benchmarks.usage import peak_memory_mib

SMALL, ROUNDS, FILL = 100, 30, 20_000


@dataclass(frozen=True, slots=True)
class Point:
    """A tenant of `records`: medians and 95th percentiles in milliseconds, the server's peak memory."""

    database: str
    records: int
    push_ms: float
    push_p95_ms: float
    pull_ms: float
    pull_p95_ms: float
    memory_mib: float


async def grow(folder: Path, sizes: Sequence[int], postgres: Server | None) -> AsyncIterator[Point | int]:
    """Fill one tenant; an int is how many records it holds by now, a Point is a measurement there."""
    async with target(folder, 3, postgres=postgres) as running:
        filler, held = running.queue(0), 0
        for size in sizes:
            while held < size:
                step = min(FILL, size - held)
                await workloads.push(running, [(filler, make_records(step, start=held))], batch=1000)
                held += step
                yield held
            yield await _measure(running, "sqlite" if postgres is None else "postgres", held)
            held += ROUNDS * SMALL


async def _measure(running: Target, database: str, held: int) -> Point:
    """Each round pushes 100 new sales and pulls just those."""
    writer, reader = running.queue(1), running.queue(-1)
    cursor = await _to_the_head(running, reader)
    records = make_records(ROUNDS * SMALL, start=held)
    pushed, pulled = list[float](), list[float]()
    connection = Connection(running.port)
    for number in range(ROUNDS):
        up = encoded(writer.create(records[number * SMALL : (number + 1) * SMALL]))
        pushed.append((await connection.send(up)).seconds)
        answer = await connection.send(encoded(reader.pull(cursor, 1000)))
        page = workloads.page_of(answer)
        if len(page.records) != SMALL or page.more:
            raise workloads.WrongAnswerError(f"pulled {len(page.records)} of {SMALL}")
        pulled.append(answer.seconds)
        cursor = page.cursor
    connection.close()
    return Point(database, held, *_ms(pushed), *_ms(pulled), peak_memory_mib(running.pids[:1]))


async def _to_the_head(running: Target, reader: Queue) -> str | None:
    connection, page = Connection(running.port), workloads.Page({}, None, more=True)
    while page.more:
        page = workloads.page_of(await connection.send(encoded(reader.pull(page.cursor, 1000))))
    connection.close()
    return page.cursor


def _ms(latencies: Sequence[float]) -> tuple[float, float]:
    ranked = sorted(latencies)
    return statistics.median(ranked) * 1000, ranked[int(len(ranked) * 0.95)] * 1000
