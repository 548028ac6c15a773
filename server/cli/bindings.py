"""`rientro provider bind`, `bindings`: which changes go to which account, and whether what was there before does."""

from collections.abc import Sequence
from typing import Annotated

import typer

from server.app import Core
from server.cli.common import AsJson, Data, TenantId, parse_id, show_one, show_rows, with_core
from server.outbox.binding import Binding, bind, list_bindings
from server.ports import Start


def register(app: typer.Typer) -> None:
    """Add the commands to `rientro provider`."""
    app.command("bind")(bind_)
    app.command("bindings")(bindings)


def bind_(
    tenant: TenantId,
    endpoint: Annotated[
        str, typer.Option("--endpoint", parser=parse_id, metavar="ID", help="The account's id, from `provider list`.")
    ],
    route: Annotated[str, typer.Option(help="The route's name, e.g. sales.forward.")],
    backfill: Annotated[
        bool | None,
        typer.Option(
            "--backfill/--from-now", help="Whether what is there already is delivered too. Default: as the route says."
        ),
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Let a route's changes go to an account; repeated with --backfill, deliver what has never been sent there."""
    start: Start | None = None if backfill is None else ("backfill" if backfill else "now")

    async def work(core: Core) -> Start:
        routes = {one.name: one for one in core.kinds.routes}
        return await bind(core.writer, routes, (tenant, endpoint), route, start)

    show_one({"route": route, "endpoint_id": endpoint, "start": with_core(data, work)}, as_json=as_json)


def bindings(tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """List which routes lead where, and how far their backfills have come."""

    async def work(core: Core) -> Sequence[Binding]:
        return await list_bindings(core.database, tenant)

    show_rows("Bindings", Binding._fields, with_core(data, work), as_json=as_json)
