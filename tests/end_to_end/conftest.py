"""One quick telling of the demonstration's story for each kind of database; the tests read what it left behind."""

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from tests.demo.narrator import Narrator
from tests.demo.rows import Row
from tests.demo.scenario import run
from tests.demo.stage import Plan
from tests.support.databases import PostgresTemplate

SALES = 50


@dataclass(frozen=True)
class Played:
    """A story that was told: its table, and the folder with every database, file and log."""

    rows: list[Row]
    folder: Path
    told: str


@pytest.fixture(scope="session", params=[pytest.param("postgres", marks=pytest.mark.postgres)])
async def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, anyio_backend: object
) -> AsyncIterator[Played]:
    """The story on PostgreSQL, told once a session for all that read it; `make demo` tells it on SQLite."""
    folder, output = tmp_path_factory.mktemp("demo"), io.StringIO()
    template: PostgresTemplate = request.getfixturevalue("_postgres_template")
    with template.copy() as url:
        plan = Plan(seed=7, sales=SALES, database_url=url)
        rows = await run(plan, folder, Narrator(Console(file=output, width=120)))
        yield Played(rows, folder, output.getvalue())
