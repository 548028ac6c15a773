"""`rientro device`: tills and phones, each with a token of its own."""

from typing import Annotated

import typer

from server.app import Core
from server.auth.admin import DeviceRow, NewDevice
from server.cli.common import AsJson, Data, TenantId, console, parse_id, show_one, show_rows, with_core

app = typer.Typer(no_args_is_help=True, help="Tills and phones.")


@app.command()
def add(
    tenant: TenantId,
    name: Annotated[str, typer.Option(help="What people call it: «Cassa 1».")],
    role: Annotated[str, typer.Option(help="owner, clerk or terminal.")],
    shop: Annotated[str, typer.Option(help="The shop it stands in; a new name makes a new shop.")] = "main",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Add a device. Its token is shown once: give it to the device now."""

    async def work(core: Core) -> NewDevice:
        return await core.admin.add_device(tenant, name, role, shop)

    show_one(with_core(data, work)._asdict(), as_json=as_json)


@app.command("list")
def list_(tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """List a merchant's devices and when each was last used; tokens are not kept and cannot be shown."""

    async def work(core: Core) -> list[DeviceRow]:
        return await core.admin.devices(tenant)

    show_rows("Devices", DeviceRow._fields, with_core(data, work), as_json=as_json)


@app.command()
def revoke(
    tenant: TenantId,
    device: Annotated[str, typer.Option(parser=parse_id, metavar="ID", help="The device's id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
) -> None:
    """Let a device in no more. What it pushed stays; what it still holds must be exported there."""
    if not yes:
        typer.confirm("The device is out at once, with its queue. Go on?", abort=True)

    async def work(core: Core) -> None:
        await core.admin.revoke_device(tenant, device)

    with_core(data, work)
    console.print("Revoked.")
