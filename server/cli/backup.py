"""`rientro backup`, `rientro restore`: a copy made while the server works, and the way back to it."""

import secrets
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from sqlalchemy.engine import make_url

from server.app import Core, open_core
from server.app.core import now_ms
from server.app.tidying import forget_again
from server.auth.outcasts import kept_out, known_outcasts
from server.cli.common import AsJson, Data, console, errors, fail, plainly, settings_for, show_one, with_core
from server.ops import backup as backups
from server.ops.logs import set_up_logs
from server.privacy.ledger import carried, known_erasures
from server.settings import Settings
from server.storage.open import open_database
from server.storage.writer import Writing

File = Annotated[Path, typer.Argument(help="The backup's file.")]


def backup(
    file: File,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Copy the database to FILE while the server works, and read the copy back. The master key is not in it."""
    url = settings_for(data).database()

    async def work(core: Core) -> backups.Covered:
        with _progress(shown=not as_json) as progress:
            task = progress.add_task("copying", total=None)

            def told(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            return await backups.backup(url, core.writer, file, told, force=force)

    covered = with_core(data, work, migrate=False)
    show_one(
        {"file": str(covered.file), "bytes": covered.size, "rows": covered.rows, "clients_covered": covered.clients},
        as_json=as_json,
    )
    if not as_json:
        console.print("It was read back whole. The master key is not in it: keep that, too, and elsewhere.")


def restore(
    file: File,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Make FILE the database. What it replaces is kept; tills then send again what the backup does not know."""
    settings = settings_for(data)
    if not yes and not typer.confirm(f"Replace the database with {file}?"):
        fail("nothing was changed")
    set_up_logs("CRITICAL")
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")

    async def run() -> backups.Restored:
        nonce, beside = partial(secrets.token_hex, 8), await _not_forgotten(settings)
        done = await backups.restore(settings.database(), file, stamp, clock=now_ms, nonce=nonce, beside=beside)
        async with open_core(settings, migrate=False) as core:
            await forget_again(core)  # before anybody looks into it, be it by another command
        return done

    done = plainly(lambda: anyio.run(run))
    show_one({"rows": done.rows, "tenants": done.tenants, "replaced_is_kept_in": done.kept}, as_json=as_json)
    if not as_json:
        console.print(
            "Each merchant's history begins a new epoch here. Start the server: tills and phones notice by themselves "
            "and send again what they had sent since the backup; providers are sent nothing under a new key. What was "
            "set up since the backup must be set up again. Who was let in no more and who was erased since then stays "
            "so, as far as the replaced database could be read: look over `rientro device list`. `rientro holes list` "
            "will name what tills no longer had."
        )


def _is_there(url: str) -> bool:
    """Whether looking into a database would not make it."""
    place = make_url(url)
    return place.get_backend_name() != "sqlite" or Path(place.database or "").is_file()


async def _not_forgotten(settings: Settings) -> backups.Beside:
    """Who was erased or thrown out, as the database that is to be replaced knows, and the file beside it."""
    if not _is_there(settings.database()):
        return carried(await known_erasures(None, settings.data))
    database = open_database(settings.database())
    try:
        erased, out = carried(await known_erasures(database, settings.data)), kept_out(await known_outcasts(database))
    finally:
        await database.close()

    async def write(tenant_id: str, writing: Writing) -> None:
        await erased(tenant_id, writing)
        await out(tenant_id, writing)

    return write


def _progress(*, shown: bool) -> Progress:
    """On standard error, and only where somebody looks at it."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    return Progress(*columns, console=errors, transient=True, disable=not (shown and errors.is_terminal))
