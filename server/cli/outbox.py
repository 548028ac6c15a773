"""`rientro outbox`: what waits to go out, what failed and why, and the way back for it."""

from typing import Annotated, cast

import typer

from server.app import Core
from server.cli.common import AsJson, Data, TenantId, console, parse_id, print_json, show_one, show_rows, with_core
from server.outbox.admin import STUCK, cancel, let_pass, redrive
from server.outbox.listing import Delivery, Filter, Shown, list_deliveries, show_delivery
from server.ports import DeliveryState
from server.resilience.attempts import Attempt

app = typer.Typer(no_args_is_help=True, help="Deliveries to providers.")

State = Annotated[
    list[str] | None, typer.Option("--state", help="pending, leased, delivered, dead …; may be repeated.")
]
DeliveryId = Annotated[
    str, typer.Argument(parser=parse_id, metavar="ID", help="The delivery's id, from `rientro outbox list`.")
]
_SHOWN = (
    *("delivery_id", "state", "route", "record_id", "attempts", "next_attempt_at", "error_class", "error"),
    "waits_for",
)


@app.command("list")
def list_(
    tenant: TenantId,
    state: State = None,
    endpoint: Annotated[str | None, typer.Option(help="Only this account's.")] = None,
    record: Annotated[str | None, typer.Option(help="Only this record's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    after: Annotated[str | None, typer.Option(help="Go on after this delivery id.")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List deliveries, oldest first."""
    states = cast("list[DeliveryState] | None", state)
    wanted = Filter(states=states, endpoint_id=endpoint, record_id=record, limit=limit, after=after)

    async def work(core: Core) -> list[Delivery]:
        return await list_deliveries(core.database, tenant, wanted)

    found = with_core(data, work)
    if as_json:
        print_json([delivery._asdict() for delivery in found])
    else:
        show_rows("Deliveries", _SHOWN, [[getattr(one, name) for name in _SHOWN] for one in found], as_json=False)


@app.command()
def show(delivery: DeliveryId, tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """Show one delivery: what is sent, and every attempt."""

    async def work(core: Core) -> Shown:
        return await show_delivery(core.database, tenant, delivery)

    shown = with_core(data, work)
    if as_json:
        attempts = [attempt._asdict() for attempt in shown.attempts]
        print_json({**shown.delivery._asdict(), "payload": shown.payload, "attempts_made": attempts})
        return
    show_one({**shown.delivery._asdict(), "payload": shown.payload}, as_json=False)
    show_rows("Attempts", Attempt._fields, shown.attempts, as_json=False)


@app.command("redrive")
def redrive_(
    tenant: TenantId,
    delivery: Annotated[list[str] | None, typer.Argument(help="Ids; without any: all that the options choose.")] = None,
    state: State = None,
    endpoint: Annotated[str | None, typer.Option(help="Only this account's.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the oldest first.", min=1)] = 1000,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
) -> None:
    """Send what is dead or in doubt on its way again, with the same key and payload."""
    states = cast("list[DeliveryState]", state or list(STUCK))
    wanted = Filter(states=states, endpoint_id=endpoint, ids=delivery or None, limit=limit)
    if "in_doubt" in states and not yes:
        typer.confirm("What is in doubt may take effect a second time. Go on?", abort=True)

    async def work(core: Core) -> int:
        return await redrive(core.writer, tenant, wanted)

    console.print(f"{with_core(data, work)} on their way again.")


@app.command("cancel")
def cancel_(delivery: DeliveryId, tenant: TenantId, data: Data = None) -> None:
    """Take back what was never tried."""

    async def work(core: Core) -> None:
        await cancel(core.writer, tenant, delivery)

    with_core(data, work)
    console.print("Cancelled: it will not be sent.")


@app.command("let-pass")
def let_pass_(delivery: DeliveryId, tenant: TenantId, data: Data = None) -> None:
    """Let later deliveries of its record go on past a dead one."""

    async def work(core: Core) -> None:
        await let_pass(core.writer, tenant, delivery)

    with_core(data, work)
    console.print("Later deliveries of this record go on.")
