"""`rientro outbox preview`: what would be sent, looked at beforehand."""

import typer

from server.app import Core
from server.app.core import now_ms
from server.cli.common import AsJson, Data, TenantId, console, parse_id, plain, print_json, settings_for, with_core
from server.cli.outbox import DeliveryId, app
from server.outbound.preview import Rendered, open_preview
from server.outbox.call import Caller
from server.outbox.preview import NOT_SENT, Preview, preview

__all__ = ["app"]

DEADLINE_S = 30


@app.command("preview")
def preview_(
    delivery: DeliveryId,
    tenant: TenantId,
    to: str | None = typer.Option(None, parser=parse_id, metavar="ID", help="As if it went through this account."),
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show exactly what a delivery would send now, secrets masked, and send nothing. Ends with 1 where it could not."""
    settings = settings_for(data)

    async def work(core: Core) -> Preview:
        async with open_preview(allow_loopback=settings.allow_loopback) as (outbound, recorder):
            adapters = {adapter.name: adapter for adapter in core.kinds.adapters(outbound, now_ms)}
            caller = Caller(adapters, core.credentials.secrets, now_ms, DEADLINE_S)
            return await preview(core.database, caller, recorder, (tenant, delivery), to)

    seen = with_core(data, work)
    if as_json:
        print_json({**seen._asdict(), "requests": [request._asdict() for request in seen.requests]})
    else:
        _show(seen)
    if not seen.requests:
        raise typer.Exit(1)


def _show(seen: Preview) -> None:
    for request in seen.requests:
        _show_request(request)
    said = "Nothing was sent." if seen.code == NOT_SENT else f"Nothing was sent: {seen.code}."
    console.print(f"{said} The delivery is {seen.state}, at {seen.endpoint_id}.", highlight=False)


def _show_request(request: Rendered) -> None:
    lines = [f"{request.method} {request.url}", *(f"{name}: {value}" for name, value in request.headers.items())]
    for line in (*lines, "", request.body, ""):
        console.print(plain(line), highlight=False, soft_wrap=True)
