"""The end of the story: a table for people, a file for machines."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.demo.check import PROVIDER, SERVER
from tests.demo.rows import Row


def show_table(console: Console, rows: Sequence[Row]) -> None:
    """What was expected, and what is where, line by line; then what is wrong."""
    found = dict.fromkeys(place for row in rows for place in row.found)
    places = [
        *(place for place in (SERVER, PROVIDER) if place in found),
        *(place for place in found if place not in {SERVER, PROVIDER}),
    ]
    table = Table(
        box=box.SIMPLE_HEAD, title="What was expected, and what is there", title_justify="left", pad_edge=False
    )
    table.add_column("", no_wrap=True)
    for name in ("expected", *places):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("")
    for row in rows:
        cells = [_cell(row, place) for place in places]
        table.add_row(row.name, row.expected, *cells, "[green]✓[/green]" if row.ok else "[bold red]✗[/bold red]")
    console.print(table)
    for row in rows:
        for place, wrong in row.wrong.items():
            console.print(f"[red]✗ {row.name}, {place}:[/red] {escape(wrong)}", highlight=False)


def write_json(file: Path, rows: Sequence[Row], about: Mapping[str, Any]) -> None:
    """The same for machines."""
    listed = [{**row._asdict(), "ok": row.ok} for row in rows]
    document = {**about, "ok": all(row.ok for row in rows), "rows": listed}
    file.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")


def _cell(row: Row, place: str) -> str:
    text = escape(row.found.get(place, ""))
    return f"[red]{text}[/red]" if place in row.wrong else text
