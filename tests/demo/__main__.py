"""`python -m tests.demo`: plays the demonstration, and ends with 1 where anything is not as it should be."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import anyio
import typer

from tests.demo.narrator import Narrator, make_console
from tests.demo.report import show_table, write_json
from tests.demo.scenario import run
from tests.demo.stage import Plan
from tests.support.databases import postgres_url
from tests.support.postgres import postgres as running_postgres

_FULL, _QUICK = 500, 50

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    seed: Annotated[int, typer.Option(help="Picks the goods, and what goes wrong.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help=f"{_QUICK} sales a till instead of {_FULL}.")] = False,  # noqa: FBT002  a flag
    postgresql: Annotated[bool, typer.Option("--postgres", help="On a PostgreSQL started for it.")] = False,  # noqa: FBT002  a flag
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the table to this file as well.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep databases, files and logs, and say where.")] = False,  # noqa: FBT002  a flag
) -> None:
    """Play a day of a shop whose network fails, with real processes, and check that nothing was lost or doubled.

    A server, a provider, an invoices' intermediary, two tills and a phone run as processes of their own. The table at
    the end compares what is where with what the clients' journals say; it ends with 1 where anything differs.
    """
    console, folder = make_console(), Path(tempfile.mkdtemp(prefix="rientro-demo-"))
    narrator = Narrator(console)
    console.print(f"[dim]Databases, files and logs are in {folder}[/dim]", soft_wrap=True, highlight=False)
    with _database(postgres=postgresql) as url:
        rows = anyio.run(run, Plan(seed, _QUICK if quick else _FULL, url), folder, narrator)
    ok = all(row.ok for row in rows)
    show_table(console, rows)
    console.print(f"{'As it should be' if ok else '[red]Not as it should be[/red]'}, after {narrator.seconds:.0f} s.")
    if json_file is not None:
        write_json(json_file, rows, {"seed": seed, "seconds": round(narrator.seconds, 1), "folder": str(folder)})
    if ok and not keep:
        shutil.rmtree(folder)
    else:
        console.print(f"Databases, files and logs are kept in {folder}", soft_wrap=True, highlight=False)
    raise typer.Exit(0 if ok else 1)


@contextmanager
def _database(*, postgres: bool) -> Iterator[str | None]:
    """The address of a PostgreSQL for the story, or none: the server's own SQLite file."""
    if not postgres:
        yield None
        return
    with running_postgres() as socket:
        yield postgres_url(socket, "postgres")


if __name__ == "__main__":
    app()
