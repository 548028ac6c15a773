"""`rientro inbox`: what came in, what could not be used and why, and what was refused at the door."""

from typing import Annotated, cast

import typer

from server.app import Core
from server.cli.common import AsJson, Data, TenantId, console, parse_id, print_json, show_one, show_rows, with_core
from server.inbox.admin import (
    Event,
    Filter,
    Record,
    Refusal,
    Shown,
    list_events,
    list_refusals,
    replay,
    replay_one,
    show_event,
)
from server.inbox.decide import EventState

app = typer.Typer(no_args_is_help=True, help="Webhooks and polls from providers.")

State = Annotated[
    list[str] | None, typer.Option("--state", help="pending, done, dead, quarantined …; may be repeated.")
]
Endpoint = Annotated[str | None, typer.Option(parser=parse_id, metavar="ID", help="Only this account's.")]
ReceiptId = Annotated[
    str, typer.Argument(parser=parse_id, metavar="ID", help="The receipt's id, from `rientro inbox list`.")
]
_SHOWN = ("receipt_id", "state", "provider", "event_type", "attempts", "received_at", "error_class", "error", "reason")


@app.command("list")
def list_(
    tenant: TenantId,
    state: State = None,
    endpoint: Endpoint = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="What was refused at the door, by day and reason.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    after: Annotated[str | None, typer.Option(help="Go on after this receipt id.")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List what came in, oldest first."""
    if refused:
        _list_refused(tenant, endpoint, as_json=as_json, data=data)
        return
    states = cast("list[EventState] | None", state)
    wanted = Filter(states=states, endpoint_id=endpoint, limit=limit, after=after)

    async def work(core: Core) -> list[Event]:
        return await list_events(core.database, tenant, wanted)

    found = with_core(data, work)
    if as_json:
        print_json([event._asdict() for event in found])
    else:
        show_rows("Events", _SHOWN, [[getattr(one, name) for name in _SHOWN] for one in found], as_json=False)


def _list_refused(tenant: str, endpoint: str | None, *, as_json: bool, data: Data) -> None:
    async def work(core: Core) -> list[Refusal]:
        return await list_refusals(core.database, tenant, endpoint)

    show_rows("Refused", Refusal._fields, with_core(data, work), as_json=as_json)


@app.command()
def show(receipt: ReceiptId, tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """Show one event: what is known of it, the raw body as it came, and the records it brought."""

    async def work(core: Core) -> Shown:
        return await show_event(core.database, tenant, receipt)

    shown = with_core(data, work)
    whole = {
        **shown.event._asdict(),
        "headers": dict(shown.headers),
        "facts": dict(shown.facts),
        "body": shown.body.decode(errors="replace"),
    }
    if as_json:
        print_json({**whole, "records": [record._asdict() for record in shown.records]})
        return
    show_one(whole, as_json=False)
    show_rows("Records", Record._fields, shown.records, as_json=False)


@app.command("replay")
def replay_(
    tenant: TenantId,
    receipt: Annotated[str | None, typer.Argument(help="One receipt's id; without it: all that are stuck.")] = None,
    state: State = None,
    endpoint: Endpoint = None,
    limit: Annotated[int, typer.Option(help="At most so many, the oldest first.", min=1)] = 1000,
    data: Data = None,
) -> None:
    """Process again: what an event told applies once all the same. Many go at a capped rate."""
    states = cast("list[EventState] | None", state)

    async def work(core: Core) -> int:
        if receipt is not None:
            await replay_one(core.writer, tenant, parse_id(receipt))
            return 1
        return await replay(core.writer, tenant, Filter(states=states, endpoint_id=endpoint, limit=limit))

    console.print(f"{with_core(data, work)} to be processed again.")
