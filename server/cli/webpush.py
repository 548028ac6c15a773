"""`rientro webpush`: who is subscribed to push messages, and the keys they are sent by."""

import typer

from server.app import Core
from server.audit import OPERATOR
from server.cli.common import AsJson, Data, TenantId, show_rows, with_core
from server.webpush.keys import VapidKey
from server.webpush.subscribers import Subscriber

app = typer.Typer(no_args_is_help=True, help="Push messages to devices.")

_KEYS = VapidKey._fields
_SUBSCRIPTIONS = ("device_id", "device", "role", "lang", "kinds", "newest_key", "changed_at")


@app.command("list")
def list_(tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """List which devices are subscribed, and whether with the newest key. Nothing shown could reach them."""

    async def work(core: Core) -> tuple[list[VapidKey], list[Subscriber]]:
        keys = await core.webpush.keys.known(tenant)
        return keys, [*(await core.webpush.subscriptions.list(tenant)).values()]

    keys, found = with_core(data, work)
    newest = keys[0].public_key
    rows = [
        [
            *(one.principal.device_id, one.device_name, one.principal.role, one.lang),
            *(one.kinds or "all", one.public_key == newest, one.changed_at),
        ]
        for one in found
    ]
    show_rows("Subscriptions", _SUBSCRIPTIONS, rows, as_json=as_json)


@app.command()
def keys(tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """List the VAPID keys, and how many devices are subscribed with each."""

    async def work(core: Core) -> list[VapidKey]:
        return await core.webpush.keys.known(tenant)

    show_rows("Keys", _KEYS, with_core(data, work), as_json=as_json)


@app.command("rotate-key")
def rotate_key(tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """Make a newer VAPID key. Devices go over to it when they are opened; until then the old one reaches them."""

    async def work(core: Core) -> list[VapidKey]:
        return await core.webpush.keys.rotate(tenant, OPERATOR)

    show_rows("Keys", _KEYS, with_core(data, work), as_json=as_json)
