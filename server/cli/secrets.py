"""`rientro secrets`: the master key that everything sealed is sealed with."""

from typing import Annotated, Any

import typer

from server.app import Core
from server.cli.common import AsJson, Data, console, show_one, show_rows, with_core

app = typer.Typer(no_args_is_help=True, help="The master key.")


@app.command()
def rotate(as_json: AsJson = False, data: Data = None) -> None:
    """Seal everything anew with a new master key, while the server runs; started again, it goes on where it was.

    The old key still opens what it sealed: forget it with `rientro secrets drop-old`, once every process has been
    started anew or a day has passed.
    """

    async def work(core: Core) -> list[tuple[Any, ...]]:
        tenants = await core.admin.tenants()
        await core.credentials.rotation.begin([tenant[0] for tenant in tenants])
        return [(tenant[0], *await core.credentials.rotation.reseal(tenant[0])) for tenant in tenants]

    rows = with_core(data, work)
    show_rows("Sealed anew", ("tenant_id", "sealed_anew", "unreadable"), rows, as_json=as_json)
    if any(unreadable for *_, unreadable in rows):
        console.print("What is unreadable was sealed with a key that is not here: set those secrets anew.")
        raise typer.Exit(1)


@app.command("drop-old")
def drop_old(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Forget the old master keys; refused while anything is sealed with them. Cursors made with them stay good.

    Backups made before the rotation will not open their secrets any more: keep a copy of the old key with them, or make
    a new backup first.
    """
    if not yes:
        typer.confirm("Backups made before the rotation will not open their secrets any more. Go on?", abort=True)

    async def work(core: Core) -> None:
        tenants = [tenant[0] for tenant in await core.admin.tenants()]
        await core.credentials.rotation.drop_old(tenants)

    with_core(data, work)
    show_one({"dropped": True}, as_json=as_json)
