"""A server whose layers are timed from outside: `python -m benchmarks.traced PORT WARM_UP FILE`.

Functions are wrapped before the application is made; nothing of the server knows. With one request in flight at a time,
calls end in the reverse order of their start even across threads, so one stack tells each layer's own time from that of
the layers it calls. At the end the sums are written to FILE as JSON: nanoseconds and calls by layer.
"""

import json
import re
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import asyncpg.transaction
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from server.app import create_app
from server.engine.exchange import Exchange
from server.engine.mutations import Memory
from server.engine.push import Pusher
from server.engine.records import Records
from server.ops.logs import set_up_logs
from server.routes import sync as route
from server.settings import Settings
from server.storage.postgres import PostgresDatabase, PostgresTx
from server.storage.record_sql import RecordSql
from server.storage.sqlite import SqliteDatabase, SqliteTx
from server.storage.writer import Writer
from sync.judge import Judge
from sync.protocol import Registry

_TABLE = re.compile(r"^(INSERT INTO|UPDATE|DELETE FROM|SELECT).*?(?:(?<=INTO )|(?<=UPDATE )|(?<=FROM ))([a-z_]+)")

FUNCTIONS = (
    (route, "sync", "route: headers, response"),
    (route, "signed_in", "sign in"),
    (route, "read_body", "read the body"),
    (Exchange, "sync", "exchange"),
    (Registry, "parse_request", "parse and validate"),
    (Pusher, "push", "push: hand over"),
    (Writer, "submit", "writer: queue, thread and back"),
    (SqliteDatabase, "_transaction", "transaction: in between"),
    (PostgresDatabase, "write", "transaction: in between"),
    (Pusher, "_apply", "apply: in between"),
    (Records, "workspace", "load: what is needed"),
    (Memory, "known", "load: known mutations"),
    (Judge, "batch", "judge and merge"),
    (Records, "store", "store: sequence and grouping"),
    (RecordSql, "_columns", "store: columns"),
    (RecordSql, "_rows", "store: rows"),
    (Memory, "remember", "store: mutations' rows"),
    (Exchange, "_answer", "answer: verdicts to JSON"),
)
STATEMENTS = ("fetch", "execute", "many", "copy")


class Trace:
    """Own time and calls by layer."""

    def __init__(self, warm_up: int) -> None:
        """The first `warm_up` requests are forgotten."""
        self._warm_up, self._requests = warm_up, 0
        self._stack: list[list[int]] = []
        self.layers: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    @contextmanager
    def layer(self, name: str) -> Iterator[None]:
        """Count what happens inside, less the layers inside it."""
        inner = [0]
        self._stack.append(inner)
        started = perf_counter_ns()
        try:
            yield
        finally:
            spent = perf_counter_ns() - started
            self._stack.pop()
            if self._stack:
                self._stack[-1][0] += spent
            counted = self.layers[name]
            counted[0] += spent - inner[0]
            counted[1] += 1

    def request(self) -> None:
        """Another one came."""
        self._requests += 1
        if self._requests == self._warm_up + 1:
            self.layers.clear()

    def plain(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function."""

        @wraps(call)
        def traced(*args: Any, **options: Any) -> Any:
            with self.layer(name):
                return call(*args, **options)

        return traced

    def awaited(self, name: str | None, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Wrap a coroutine function; without a name, it runs a statement and the statement names it."""

        @wraps(call)
        async def traced(*args: Any, **options: Any) -> Any:
            with self.layer(name or _statement(args)):
                return await call(*args, **options)

        return traced


def _statement(args: tuple[Any, ...]) -> str:
    """`SQL INSERT INTO sales`."""
    statement = next(argument for argument in args if hasattr(argument, "sql"))
    text = statement.sql("sqlite")
    found = _TABLE.match(text)
    return f"SQL {found[1]} {found[2]}" if found else f"SQL {text[:40]}"


def install(trace: Trace) -> None:
    """Wrap everything."""
    for owner, attribute, name in FUNCTIONS:
        call = getattr(owner, attribute)
        wrap = trace.awaited if call.__code__.co_flags & 0x80 else trace.plain
        kept = owner.__dict__[attribute]
        wrapped = wrap(name, call)
        setattr(owner, attribute, staticmethod(wrapped) if isinstance(kept, staticmethod) else wrapped)
    for kind in (SqliteTx, PostgresTx):
        for attribute in STATEMENTS:
            setattr(kind, attribute, trace.awaited(None, getattr(kind, attribute)))
    transaction: Any = asyncpg.transaction.Transaction
    transaction.__aenter__ = trace.awaited("SQL BEGIN", transaction.__aenter__)
    transaction.__aexit__ = trace.awaited("SQL COMMIT", transaction.__aexit__)
    _trace_sqlite_transactions(trace)


def _trace_sqlite_transactions(trace: Trace) -> None:
    class Traced(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            word = sql.split(" ", 1)[0]
            if word not in {"BEGIN", "COMMIT"}:
                return super().execute(sql, *parameters)
            with trace.layer(f"SQL {word}"):
                return super().execute(sql, *parameters)

    sqlite3.connect = partial(sqlite3.connect, factory=Traced)  # type: ignore[assignment]


def traced_app(app: ASGIApp, trace: Trace, out: Path) -> ASGIApp:
    """The application, its pushes counted; the sums are written when its life ends."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            trace.request()
            with trace.layer("middleware and routing"):
                await app(scope, receive, send)
            return
        await app(scope, receive, send)
        if scope["type"] == "lifespan":
            out.write_text(json.dumps(trace.layers))  # noqa: ASYNC240  # uvicorn waits no longer than for this step

    return call


def main() -> None:
    """Serve until told to end."""
    port, warm_up, out = sys.argv[1:]
    settings = Settings()
    set_up_logs(settings.log_level)
    trace = Trace(int(warm_up))
    install(trace)
    app = traced_app(create_app(settings), trace, Path(out))
    config = uvicorn.Config(app, port=int(port), log_config=None, access_log=False, server_header=False)
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
