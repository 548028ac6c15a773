"""Webhooks acknowledged while their provider hangs, beside the same rows inserted raw in the same run.

The server is the real process with its workers, and the endpoint an intermediary that takes connections and never
answers: the processor has its hands full of fetches that hang, and the database is shared with it. A webhook is
verified, stored in a durable commit and answered. Raw, its row goes into one table with its unique index: each in a
transaction of its own, by as many connections at once as the database is fond of.
"""

import asyncio
import hmac
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, Results, measured
from benchmarks.load import Connection, encoded
from benchmarks.peer import environment, serve_command, uuid7
from benchmarks.postgres import Server
from server.app import open_core
from server.settings import Settings
from tests.support.processes import server_process

CONNECTIONS = 20
SECRET = "secret-of-the-benchmark-0001"  # noqa: S105  # nobody's
_TABLE = """CREATE TABLE told (id TEXT PRIMARY KEY, event_id TEXT NOT NULL, body {blob} NOT NULL, sha TEXT NOT NULL,
    at TEXT NOT NULL)"""
_INDEX = "CREATE UNIQUE INDEX told_event ON told (event_id)"
_LITE = "INSERT INTO told VALUES (?, ?, ?, ?, ?)"
_POST = "INSERT INTO told VALUES ($1, $2, $3, $4, $5)"

Row = tuple[str, str, bytes, str, str]


def bodies(count: int) -> list[bytes]:
    """So many events: an invoice came in."""
    told = {"endpoint": "receive", "method": "POST", "status_code": 201, "success": True, "company_id": 1}
    return [json.dumps({**told, "id": str(n), "resource_id": n}).encode() for n in range(1, count + 1)]


def rows(count: int) -> list[Row]:
    """The same as raw rows."""
    return [(uuid7(), str(n), body, sha256(body).hexdigest(), "2026-11-24") for n, body in enumerate(bodies(count))]


def raw_sqlite(folder: Path, count: int) -> Figure:
    """One transaction and one fsync a row, by one connection: SQLite has one writer."""
    with TemporaryDirectory(prefix="raw-", dir=folder) as kept:
        connection = sqlite3.connect(Path(kept) / "told.db", isolation_level=None)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", _TABLE.format(blob="BLOB"), _INDEX):
            connection.execute(statement)
        latencies: list[float] = []
        made = rows(count)
        with measured(count, own=True) as figure:
            for row in made:
                began = time.perf_counter()
                connection.execute(_LITE, row)
                latencies.append(time.perf_counter() - began)
        connection.close()
    figure.latencies = latencies
    return figure


async def raw_postgres(server: Server, count: int) -> Figure:
    """One transaction a row, by as many connections as the webhooks come by."""
    connections = [await server.connect("postgres") for _ in range(CONNECTIONS)]
    await connections[0].execute(f"DROP TABLE IF EXISTS told; {_TABLE.format(blob='BYTEA')}; {_INDEX}")
    made, latencies = rows(count), list[float]()

    async def insert(number: int) -> None:
        statement = await connections[number].prepare(_POST)
        for row in made[number::CONNECTIONS]:
            began = time.perf_counter()
            await statement.fetch(*row)
            latencies.append(time.perf_counter() - began)

    with measured(count, [server.pid], own=True) as figure:
        await asyncio.gather(*(insert(number) for number in range(CONNECTIONS)))
    for connection in connections:
        await connection.close()
    figure.latencies = latencies
    return figure


async def acknowledged(folder: Path, count: int, postgres: Server | None) -> Figure:
    """Webhooks by all connections at once, each answered 200, while every fetch hangs."""
    with TemporaryDirectory(prefix="webhooks-", dir=folder) as kept:
        data = Path(kept)
        url = None if postgres is None else postgres.url(await postgres.new_database())
        async with _hanging() as port:
            path = await _endpoint(data, url, port)
            settings = {**environment(data, url), "RIENTRO_ALLOW_LOOPBACK": "1"}
            async with server_process(serve_command("{port}", data), data / "server.log", settings) as server:
                pids = [server.pid] + ([postgres.pid] if postgres is not None else [])
                return await _send(int(server.url.rpartition(":")[2]), path, bodies(count), pids)


async def _send(port: int, path: str, told: Sequence[bytes], pids: Sequence[int]) -> Figure:
    raw = [encoded(("POST", path, _signed(body), body)) for body in told]
    latencies: list[float] = []

    async def send(number: int) -> None:
        connection = Connection(port)
        for one in raw[number::CONNECTIONS]:
            answer = await connection.send(one)
            if answer.status != 200:
                raise RuntimeError(f"a webhook was answered {answer.status}: {answer.body[:200]!r}")
            latencies.append(answer.seconds)

    with measured(len(told), pids) as figure:
        await asyncio.gather(*(send(number) for number in range(CONNECTIONS)))
    figure.latencies = latencies
    return figure


def _signed(body: bytes) -> dict[str, str]:
    seconds = str(int(time.time()))
    signature = hmac.new(SECRET.encode(), seconds.encode() + b"." + body, sha256).hexdigest()
    return {"Content-Type": "application/json", "Invoicetronic-Signature": f"t={seconds},v1={signature}"}


async def _endpoint(data: Path, url: str | None, port: int) -> str:
    """A tenant and its account at the intermediary that hangs; the path its webhooks come to."""
    values = {"base_url": f"http://127.0.0.1:{port}/v1", "api_key": "key", "webhook_secret": SECRET}
    known = Settings.model_validate({"data": data, "database_url": url, "allow_loopback": True})
    async with open_core(known) as core:
        tenant_id = await core.admin.add_tenant("Bench")
        return (await core.endpoints.add(tenant_id, "sdi", "bench", values)).webhook_path


@asynccontextmanager
async def _hanging() -> AsyncIterator[int]:
    """A port that takes connections and never answers."""
    ended = asyncio.Event()

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    ended.set()
    server.close()


async def measure(folder: Path, count: int, results: Results, postgres: Server) -> None:
    """One repetition on both databases."""
    results.add("raw sqlite3, webhooks one by one", raw_sqlite(folder, count))
    results.add("rientro, sqlite: webhooks", await acknowledged(folder, count, None))
    results.add("raw asyncpg, webhooks one by one", await raw_postgres(postgres, count))
    results.add("rientro, postgres: webhooks", await acknowledged(folder, count, postgres))
