"""The profile: where the time of a push of 100 sales goes, layer by layer, in microseconds a record.

The figures carry the cost of measuring (about a microsecond a call), so they tell shares, not speeds.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from benchmarks.load import Connection, encoded
from benchmarks.peer import Queue, environment, set_up
from benchmarks.postgres import Server
from benchmarks.records import chunks, make_records
from tests.support.processes import server_process

BATCH, WARM_UP, REQUESTS = 100, 20, 200


async def profile(console: Console, folder: Path, postgres: Server) -> None:
    """Print a table for each database."""
    for server in (None, postgres):
        for bound in (False, True):
            title = f"{'SQLite' if server is None else 'PostgreSQL'}{', outbox bound' if bound else ''}"
            layers, seconds = await _traced(folder, server, bound=bound)
            console.print(_table(title, layers, seconds))


async def _traced(folder: Path, postgres: Server | None, *, bound: bool) -> tuple[dict[str, list[int]], float]:
    """Sums by layer, and the seconds all counted requests took."""
    with TemporaryDirectory(prefix="profile-", dir=folder) as kept:
        data = Path(kept)
        url = None if postgres is None else postgres.url(await postgres.new_database())
        settings = {**environment(data, url), "RIENTRO_RELAY": "0"}
        tokens = await set_up(settings, 2, bound=bound)
        command = ["-m", "benchmarks.traced", "{port}", str(WARM_UP), str(data / "layers.json")]
        async with server_process(command, data / "server.log", settings) as server:
            seconds = await _push(int(server.url.rpartition(":")[2]), Queue(tokens[0]))
            await server.stop()
        layers: dict[str, list[int]] = json.loads((data / "layers.json").read_text())
        return layers, seconds


async def _push(port: int, queue: Queue) -> float:
    records = make_records(BATCH * (WARM_UP + REQUESTS))
    raws = [encoded(queue.create(part)) for part in chunks(records, BATCH)]
    connection = Connection(port)
    answers = await connection.send_all(raws)
    connection.close()
    if any(answer.body.count(b'"status":"applied"') != BATCH for answer in answers):
        raise RuntimeError(f"a push was refused: {answers[-1].body[:300]!r}")
    return sum(answer.seconds for answer in answers[WARM_UP:])


def _table(title: str, layers: dict[str, list[int]], seconds: float) -> Table:
    records = BATCH * REQUESTS
    inside = sum(spent for spent, _ in layers.values())
    rows = [*((name, spent, calls) for name, (spent, calls) in layers.items())]
    rows.append(("HTTP and sockets, outside the application", int(seconds * 1e9) - inside, REQUESTS))
    table = Table(title=f"A push of {BATCH} sales, {title}", title_justify="left", header_style="bold")
    for column in ("layer", "µs a record", "share", "calls a request"):
        table.add_column(column, justify="left" if column == "layer" else "right")
    for name, spent, calls in sorted(rows, key=lambda row: -row[1]):
        share = spent / 1e9 / seconds
        table.add_row(name, f"{spent / records / 1000:.2f}", f"{share:.1%}", f"{calls / REQUESTS:g}")
    table.add_row("all", f"{seconds * 1e6 / records:.2f}", "100.0%", "", style="bold")
    return table
