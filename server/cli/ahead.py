"""`rientro outbox preview` and `redirect`: what would be sent, and sending it another way."""

from typing import Annotated

import typer

from server.app import Core
from server.app.core import now_ms
from server.app.outside import open_outside
from server.cli.common import AsJson, Data, TenantId, console, plain, print_json, settings_for, with_core
from server.cli.outbox import DeliveryId, app
from server.credentials.endpoints import pick
from server.outbound.preview import Rendered, open_preview
from server.outbox.absence import prove_absent
from server.outbox.call import Caller
from server.outbox.preview import NOT_SENT, Preview, Previewer
from server.outbox.rerouting import redirect
from server.ports import Route

__all__ = ["app"]

DEADLINE_S = 30


@app.command("preview")
def preview_(
    delivery: DeliveryId,
    tenant: TenantId,
    to: Annotated[str | None, typer.Option(metavar="NAME|ID", help="As if it went through this account.")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show exactly what a delivery would send now, secrets masked, and send nothing. Ends with 1 where it could not."""
    settings = settings_for(data)

    async def work(core: Core) -> Preview:
        async with open_preview(allow_loopback=settings.allow_loopback) as (outbound, recorder):
            adapters = {adapter.name: adapter for adapter in core.kinds.adapters(outbound, now_ms)}
            caller = Caller(adapters, core.credentials.secrets, now_ms, DEADLINE_S)
            other = None if to is None else (await pick(core.database, tenant, to)).endpoint_id
            return await Previewer(core.database, _routes(core), caller, recorder).preview(tenant, delivery, other)

    seen = with_core(data, work)
    if as_json:
        print_json({**seen._asdict(), "requests": [request._asdict() for request in seen.requests]})
    else:
        _show(seen)
    if not seen.requests:
        raise typer.Exit(1)


@app.command("redirect")
def redirect_(
    delivery: DeliveryId,
    tenant: TenantId,
    to: Annotated[str, typer.Option(metavar="NAME|ID", help="Another account at the same provider.")],
    data: Data = None,
) -> None:
    """Send a delivery through another account, if it certainly had no effect at its own; what waits behind it goes too.

    One that may have taken effect is looked up first, where its provider can do that.
    """
    settings = settings_for(data)

    async def work(core: Core) -> int:
        other = (await pick(core.database, tenant, to)).endpoint_id
        async with open_outside(core, settings) as outbound:
            adapters = {adapter.name: adapter for adapter in core.kinds.adapters(outbound, now_ms)}
            caller = Caller(adapters, core.credentials.secrets, now_ms, DEADLINE_S)
            proof = await prove_absent(core.database, caller, (tenant, delivery))
        return await redirect(core.writer, _routes(core), tenant, delivery, other, proof)

    console.print(
        f"{with_core(data, work)} on their way through the other account, with the same key.", highlight=False
    )


def _routes(core: Core) -> dict[str, Route]:
    return {route.name: route for route in core.kinds.routes}


def _show(seen: Preview) -> None:
    for request in seen.requests:
        _show_request(request)
    said = "Nothing was sent." if seen.code == NOT_SENT else f"Nothing was sent: {seen.code}."
    console.print(f"{said} The delivery is {seen.state}, at {seen.endpoint_id}.", highlight=False, soft_wrap=True)


def _show_request(request: Rendered) -> None:
    lines = [f"{request.method} {request.url}", *(f"{name}: {value}" for name, value in request.headers.items())]
    for line in (*lines, "", request.body, ""):
        console.print(plain(line), highlight=False, soft_wrap=True)
