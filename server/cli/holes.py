"""`rientro holes`: what was lost between a backup and the journals of the tills."""

import typer

from server.app import Core
from server.cli.common import AsJson, Data, TenantId, show_rows, with_core
from server.engine.holes import Hole, list_holes

app = typer.Typer(no_args_is_help=True, help="What neither a restored backup nor the tills have any more.")


@app.command("list")
def holes_list(tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """Numbers of mutations that a till was asked for again after a restore, and no longer had."""

    async def work(core: Core) -> list[Hole]:
        return list(await list_holes(core.database, tenant))

    show_rows("Holes", Hole._fields, with_core(data, work), as_json=as_json)
