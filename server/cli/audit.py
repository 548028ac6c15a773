"""`rientro audit`: who did what, and who was refused it; to look at, and to take elsewhere."""

import csv
import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from enum import StrEnum
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from server.app import Core
from server.audit.listing import MOST, Asked, Line, Lines
from server.cli.common import (
    AsJson,
    Data,
    TenantId,
    errors,
    json_text,
    parse_id,
    parse_instant,
    print_json,
    show_rows,
    with_core,
)

app = typer.Typer(no_args_is_help=True, help="Who did what, and who was refused it; kept for a year.")

Since = Annotated[
    str | None,
    typer.Option(parser=parse_instant, metavar="WHEN", help="Only since 2026-11-24, 2026-11-24T09:00Z, 3d."),
]
Action = Annotated[str | None, typer.Option(help="Only this action: key.revoke, access.refuse …")]
Actor = Annotated[str | None, typer.Option(metavar="ID", help="Only what this device, person or key did.")]
_SHOWN = ("at", "action", "outcome", "actor", "subject")
"""What of an entry fits a terminal; programs get all of it."""
_NAMES = tuple(field.name for field in fields(Line))


class Format(StrEnum):
    """What an export is written as."""

    JSONL = "jsonl"
    CSV = "csv"


@app.command("list")
def list_(
    tenant: TenantId,
    since: Since = None,
    action: Action = None,
    actor: Actor = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 100,
    after: Annotated[
        str | None,
        typer.Option(parser=parse_id, metavar="ID", help="Go on after this place, as the page before named it."),
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List entries, newest first."""

    async def work(core: Core) -> Lines:
        return await core.audit.page(tenant, Asked(since, action, actor), after, limit)

    page = with_core(data, work)
    if as_json:
        print_json([asdict(row) for row in page.rows])
    else:
        show_rows("Audit", _SHOWN, [_for_people(row) for row in page.rows], as_json=False)
    if page.next is not None:
        errors.print(f"There is more: go on with --after {page.next}", highlight=False, soft_wrap=True)


@app.command()
def export(
    tenant: TenantId,
    format_: Annotated[Format, typer.Option("--format", help="One JSON object a line, or CSV.")] = Format.JSONL,
    since: Since = None,
    action: Action = None,
    actor: Actor = None,
    data: Data = None,
) -> None:
    """Write entries to standard output, oldest first, as they are read."""
    write, asked = _writer(format_), Asked(since, action, actor)

    async def work(core: Core) -> None:
        with _progress() as progress:
            task = progress.add_task("exporting", total=await core.audit.count(tenant, asked))
            async for line in core.audit.export(tenant, asked):
                write(line)
                progress.advance(task)

    with_core(data, work)


def _writer(format_: Format) -> Callable[[Line], None]:
    if format_ is Format.JSONL:
        return lambda line: _print(json_text(asdict(line)))
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(_NAMES)
    return lambda line: _row(rows.writerow, line)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _row(writerow: Callable[[list[object]], object], line: Line) -> None:
    writerow([getattr(line, name) for name in _NAMES])


def _progress() -> Progress:
    """On standard error, and only where somebody looks at it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)


def _for_people(line: Line) -> tuple[str, ...]:
    """To the second, with ids short enough to tell them apart."""
    outcome = line.outcome if line.reason is None else f"{line.outcome}: {line.reason}"
    times = f" ×{line.times}" if line.times > 1 else ""  # noqa: RUF001  # so many times
    actor, subject = _short(line.actor_kind, line.actor_id), _short(line.subject_kind, line.subject_id)
    return line.at[:19].replace("T", " "), line.action, outcome + times, actor, subject


def _short(kind: str | None, named: str | None) -> str:
    return " ".join(part for part in (kind, named and f"…{named[-8:]}") if part)
