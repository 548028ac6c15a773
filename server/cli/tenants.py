"""`rientro tenant`: the merchants of this installation."""

from typing import Annotated

import typer

from server.app import Core
from server.cli.common import AsJson, Data, show_one, show_rows, with_core

app = typer.Typer(no_args_is_help=True, help="Merchants.")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The merchant's name.")],
    handle: Annotated[str | None, typer.Option(help="A short name that people sign in under: bar-centrale.")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Add a merchant."""

    async def work(core: Core) -> str:
        return await core.admin.add_tenant(name, handle)

    show_one({"tenant_id": with_core(data, work)}, as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False, data: Data = None) -> None:
    """List the merchants."""

    async def work(core: Core) -> list[tuple[str, ...]]:
        return await core.admin.tenants()

    show_rows("Merchants", ("tenant_id", "name", "created_at"), with_core(data, work), as_json=as_json)
