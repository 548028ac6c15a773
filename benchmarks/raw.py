"""The raw databases: no server, no protocol, one table; what the same rows cost at the least.

One transaction a batch and one fsync a transaction, as rientro does it.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure, measured
from benchmarks.postgres import Server
from benchmarks.records import COLUMNS, Row, chunks

_TEXTS = ", ".join(f"{name} TEXT" for name in COLUMNS[3:])
_TABLE = f"CREATE TABLE rec (id TEXT PRIMARY KEY, seq BIGINT NOT NULL, rev INTEGER NOT NULL, {_TEXTS})"
_INDEX = "CREATE UNIQUE INDEX rec_seq ON rec (seq)"
_NAMES = ", ".join(COLUMNS)
_LITE_INSERT = f"INSERT INTO rec ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
_POST_INSERT = f"INSERT INTO rec ({_NAMES}) VALUES ({', '.join(f'${i}' for i in range(1, len(COLUMNS) + 1))})"  # noqa: S608
_MEMBERS = ", ".join(f"'{name}', {name}" for name in COLUMNS)
_PAGE = "(SELECT * FROM rec WHERE seq > {} ORDER BY seq LIMIT 1000) AS page"
_LITE_PAGE = f"SELECT json_group_array(json_object({_MEMBERS})), max(seq) FROM {_PAGE.format('?')}"  # noqa: S608
_POST_PAGE = f"SELECT json_agg(json_build_object({_MEMBERS}))::text, max(seq) FROM {_PAGE.format('$1')}"  # noqa: S608


def open_sqlite(file: Path) -> sqlite3.Connection:
    """An empty table in a new file, with the durability rientro promises."""
    connection = sqlite3.connect(file, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", _TABLE, _INDEX):
        connection.execute(statement)
    return connection


def sqlite_insert(connection: sqlite3.Connection, rows: Sequence[Row], size: int) -> Figure:
    """Insert in transactions of `size` rows."""
    batches = list(chunks(rows, size))
    with measured(len(rows), own=True) as figure:
        for batch in batches:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_LITE_INSERT, batch)
            connection.execute("COMMIT")
    return figure


def sqlite_pages(connection: sqlite3.Connection) -> Figure:
    """Read everything in pages of 1,000, JSON made by the database."""
    with measured(0, own=True) as figure:
        after: int | None = 0
        while after is not None:
            text, after = connection.execute(_LITE_PAGE, (after,)).fetchone()
            figure.count += text.count('"rev"')
    return figure


async def postgres_insert(server: Server, rows: Sequence[Row], size: int, *, copy: bool) -> Figure:
    """Insert in transactions of `size` rows, by executemany or by COPY; then drop the table."""
    connection = await server.connect("postgres")
    await connection.execute(f"DROP TABLE IF EXISTS rec; {_TABLE}; {_INDEX}")
    batches = list(chunks(rows, size))
    with measured(len(rows), [server.pid], own=True) as figure:
        for batch in batches:
            async with connection.transaction():
                if copy:
                    await connection.copy_records_to_table("rec", records=batch, columns=COLUMNS)
                else:
                    await connection.executemany(_POST_INSERT, batch)
    await connection.close()
    return figure


async def postgres_pages(server: Server) -> Figure:
    """Read what was inserted last in pages of 1,000, JSON made by the database."""
    connection = await server.connect("postgres")
    with measured(0, [server.pid], own=True) as figure:
        after: int | None = 0
        while after is not None:
            ((text, after),) = await connection.fetch(_POST_PAGE, after)
            figure.count += (text or "").count('"rev"')
    await connection.close()
    return figure
