"""What all commands share: options, opening the core, printing for people and for machines, errors in plain words."""

import json
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar
from uuid import UUID

import anyio
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from server.app import Core, open_core
from server.app.core import now_ms
from server.auth.errors import AccessError
from server.credentials.consents import ConsentError
from server.credentials.endpoints import EndpointError
from server.credentials.keyring import SecretKeyError
from server.credentials.rotation import RotationError
from server.credentials.vault import SealedError
from server.inbox.listing import InboxError
from server.ops.backup import BackupError
from server.ops.logs import set_up_logs
from server.outbox.listing import OutboxError
from server.settings import Settings, SettingsError
from server.storage.database import DatabaseError
from server.storage.writer import UnknownTenantError
from sync.clock import encode_instant
from sync.errors import SyncError

T = TypeVar("T")

app = typer.Typer(
    name="rientro",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Sales made offline come home, are reconciled, and go on once.",
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All that steers a terminal, but a tab and a new line."""

console = Console()
errors = Console(stderr=True)


def parse_id(text: str) -> str:
    """An id in its one form, however it was typed."""
    try:
        return str(UUID(text))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not an id") from None


Data = Annotated[
    Path | None,
    typer.Option(help="Folder of the embedded database and the master key. Default: RIENTRO_DATA, else ./data."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
TenantId = Annotated[
    str, typer.Option("--tenant", parser=parse_id, metavar="ID", help="The tenant's id, from `rientro tenant list`.")
]

_PLAIN_ERRORS = (
    AccessError,
    BackupError,
    ConsentError,
    DatabaseError,
    EndpointError,
    InboxError,
    OutboxError,
    RotationError,
    SealedError,
    SecretKeyError,
    SettingsError,
    SyncError,
    UnknownTenantError,
    ValueError,
)


def settings_for(data: Path | None) -> Settings:
    """The environment's settings, with the command's own folder where one is given."""
    try:
        return Settings() if data is None else Settings(data=data)
    except SettingsError as error:
        fail(error)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
        fail("; ".join(f"{_setting(one['loc'])}{one['msg'].removeprefix('Value error, ')}" for one in wrong))


def _setting(place: tuple[int | str, ...]) -> str:
    """The variable that holds a setting, where the error is one setting's."""
    return f"RIENTRO_{str(place[0]).upper()}: " if place else ""


def with_core(data: Path | None, work: Callable[[Core], Awaitable[T]], *, migrate: bool = True) -> T:
    """Run `work` on the opened core; what goes wrong is told in one line and exits with 1."""
    set_up_logs("WARNING")

    async def run() -> T:
        async with open_core(settings_for(data), migrate=migrate) as core:
            return await work(core)

    return plainly(lambda: anyio.run(run, backend_options={"use_uvloop": True}))


def plainly(run: Callable[[], T]) -> T:
    """Turn expected errors into a line for people."""
    try:
        return run()
    except BaseException as error:
        first = _first(error)
        if isinstance(first, _PLAIN_ERRORS):
            fail(first)
        raise


def fail(error: BaseException | str) -> NoReturn:
    """Say what is wrong and end with 1."""
    text = error if isinstance(error, str) else (str(error) or (type(error).__doc__ or "").strip())
    if isinstance(error, DatabaseError):
        text = f"the database cannot be used ({text}): is it there, is RIENTRO_DATABASE_URL right, is the disk full?"
    errors.print(f"[red]error:[/red] {escape(text)}", highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def _first(error: BaseException) -> BaseException:
    """Task groups wrap what went wrong inside them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def show_one(values: Mapping[str, Any], *, as_json: bool) -> None:
    """One result: an object, or a line for each value."""
    if as_json:
        print_json(values)
        return
    for name, value in values.items():
        console.print(f"[bold]{name}[/bold]  {plain(value)}", highlight=False, soft_wrap=True)


def show_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, as_json: bool) -> None:
    """A list: an array of objects, or a table."""
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    if not rows:
        console.print(f"{title}: none.")
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column.endswith("_id"))
    for row in rows:
        table.add_row(*(plain(value) for value in row))
    console.print(table)


def parse_moment(text: str) -> int:
    """A day, an instant (UTC where no zone is given), or so many days or hours ago; milliseconds since 1970."""
    ago = re.fullmatch(r"([0-9]{1,5})([dh])", text)
    if ago is not None:
        return now_ms() - int(ago[1]) * (24 if ago[2] == "d" else 1) * 3_600_000
    try:
        at = datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no day and no instant: write 2026-11-24, 2026-11-24T09:00Z, 3d"
        ) from None


def parse_instant(text: str) -> str:
    """The same, as the wire writes an instant."""
    return encode_instant(parse_moment(text))


def plain(value: Any) -> str:
    """A value for a terminal: what a stranger wrote must not move its cursor or change its title."""
    return escape(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", "" if value is None else str(value)))


def print_json(value: Any) -> None:
    """JSON on standard output, and nothing else."""
    sys.stdout.write(json_text(value) + "\n")


def json_text(value: Any) -> str:
    """Readable JSON; ASCII where it holds text that no UTF-8 can carry, as a mutation that was refused for it may."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, default=str)
    return text
