"""Opens the database a URL names."""

from sqlalchemy.engine import make_url

from server.storage.database import Database
from server.storage.postgres import PostgresDatabase
from server.storage.sqlite import SqliteDatabase


def open_database(url: str) -> Database:
    """`sqlite+aiosqlite:///path` or `postgresql+asyncpg://…`; no connection is made yet.

    Raises ValueError for any other kind, naming it and never the whole URL, which may hold a password.
    """
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return PostgresDatabase(url)
    if backend == "sqlite" and parsed.database:
        return SqliteDatabase(parsed.database)
    raise ValueError(f"a database of kind {backend} is not supported: use sqlite (a file) or postgresql")
