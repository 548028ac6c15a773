"""`rientro provider pause`, `resume`, `fallback`, `test`, `kinds`: how an account does, and what it may do."""

from typing import Annotated, Any

import typer

from server.adapter import Adapter
from server.app import Core
from server.app.core import now_ms
from server.app.outside import open_outside
from server.cli.common import AsJson, Data, TenantId, console, fail, settings_for, show_rows, with_core
from server.cli.providers import app
from server.credentials.endpoints import Named, pick
from server.credentials.pausing import pause, resume
from server.credentials.standby import fall_back, fall_back_nowhere
from server.ops.trial import Place, Step, try_account
from server.outbound import open_outbound

__all__ = ["app"]

AFTER_S = 900
"""A quarter of an hour: what passes by itself mostly has by then."""

Account = Annotated[str, typer.Argument(metavar="NAME|ID", help="The account's name or id, from `provider list`.")]


@app.command("pause")
def pause_(account: Account, tenant: TenantId, data: Data = None) -> None:
    """Send nothing there and take nothing in from there; what comes meanwhile waits."""

    async def work(core: Core) -> tuple[Named, bool]:
        named = await pick(core.database, tenant, account)
        return named, await pause(core.writer, tenant, named.endpoint_id)

    named, changed = with_core(data, work)
    said = "Paused: what is for it waits." if changed else "It was paused already."
    console.print(f"{said} {named.endpoint_id}", highlight=False)


@app.command("resume")
def resume_(account: Account, tenant: TenantId, data: Data = None) -> None:
    """Let a paused account go on, at once."""

    async def work(core: Core) -> tuple[Named, bool]:
        named = await pick(core.database, tenant, account)
        return named, await resume(core.writer, tenant, named.endpoint_id)

    named, changed = with_core(data, work)
    said = "Resumed: what waited goes out, at its rate." if changed else "It was not paused."
    console.print(f"{said} {named.endpoint_id}", highlight=False)


@app.command()
def fallback(
    account: Account,
    tenant: TenantId,
    to: Annotated[str | None, typer.Argument(metavar="NAME|ID", help="A standby at the same provider.")] = None,
    after: Annotated[int, typer.Option(help="Seconds of waiting.", min=60, max=7 * 86_400)] = AFTER_S,
    none: Annotated[bool, typer.Option("--none", help="Let it wait for its own account again.")] = False,
    data: Data = None,
) -> None:
    """Send what waits too long for an account that nobody reaches through another one; never what may be there."""
    if (to is None) != none:
        fail("name the account to fall back on, or --none")

    async def work(core: Core) -> None:
        named = await pick(core.database, tenant, account)
        if to is None:
            await fall_back_nowhere(core.writer, tenant, named)
        else:
            await fall_back(core.writer, tenant, named, await pick(core.database, tenant, to), after)

    with_core(data, work)
    said = f"What waits {after} s while nobody is reached goes there." if to else "It has no fallback any more."
    console.print(said, highlight=False)


@app.command("test")
def try_(account: Account, tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """Ask the other side how it does; nothing is made there. Ends with 1 where a step fails."""
    settings = settings_for(data)

    async def work(core: Core) -> list[Step]:
        place = Place(tenant, (await pick(core.database, tenant, account)).endpoint_id)
        async with open_outside(core, settings) as outbound:
            adapters = core.kinds.adapters(outbound, now_ms)
            return await try_account(core.database, place, adapters, core.credentials.secrets)

    steps = with_core(data, work)
    rows = [(step, ("good" if good else "failed"), said) for step, good, said in steps]
    show_rows("Steps", ("step", "result", "said"), rows, as_json=as_json)
    if not all(step.good for step in steps):
        raise typer.Exit(1)


@app.command()
def kinds(as_json: AsJson = False, data: Data = None) -> None:
    """List the kinds of providers this server has, and what each of them can do."""
    settings = settings_for(data)

    async def work(core: Core) -> list[tuple[Any, ...]]:
        async with open_outbound(allow_loopback=settings.allow_loopback) as outbound:
            return [_kind(adapter, core) for adapter in core.kinds.adapters(outbound, now_ms)]

    columns = ("provider", "operations", "routes", "schemes", "pollers", "mappings", "settings")
    shown = len(columns) - (not as_json)  # the settings are too many for a table
    rows = [row[:shown] for row in with_core(data, work)]
    show_rows("Kinds of providers", columns[:shown], rows, as_json=as_json)


def _kind(adapter: Adapter, core: Core) -> tuple[Any, ...]:
    return (
        adapter.name,
        ", ".join(f"{name} ({one.promise})" for name, one in adapter.operations().items()),
        ", ".join(route.name for route in core.kinds.routes if route.provider == adapter.name),
        ", ".join(f"{name} ({scheme.kind})" for name, scheme in adapter.webhooks().items()),
        ", ".join(adapter.pollers()),
        ", ".join(f"{one.name} {one.version} → {one.collection}" for one in adapter.mappings()),
        ", ".join(adapter.settings.model_fields),
    )
