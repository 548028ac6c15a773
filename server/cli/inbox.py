"""`rientro inbox`: what came in, what could not be used and why, and what was refused at the door."""

import re
import sys
from functools import partial
from math import ceil
from typing import Annotated, cast

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from server.app import Core
from server.audit import OPERATOR
from server.cli.common import (
    AsJson,
    Data,
    TenantId,
    console,
    errors,
    parse_id,
    parse_instant,
    print_json,
    show_one,
    show_rows,
    with_core,
)
from server.ids import uuid7
from server.inbox.admin import (
    Event,
    Filter,
    Record,
    Refusal,
    Shown,
    count_replayable,
    list_events,
    list_refusals,
    replay,
    replay_one,
    show_event,
)
from server.inbox.copies import recall
from server.inbox.decide import EventState

MOST_PER_SECOND = 1000

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
    receipt: Annotated[
        str | None,
        typer.Argument(parser=parse_id, metavar="ID", help="One receipt's id; without it: all that are stuck."),
    ] = None,
    state: State = None,
    endpoint: Endpoint = None,
    provider: Annotated[str | None, typer.Option(help="Only what this provider told.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            parser=parse_instant, metavar="WHEN", help="Only what came since 2026-11-24, 2026-11-24T09:00Z, 3d."
        ),
    ] = None,
    rate: Annotated[str, typer.Option(metavar="N/s", help="So many a second, and no more.")] = "20/s",
    limit: Annotated[int, typer.Option(help="At most so many, the oldest first.", min=1)] = 1_000_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many it would be.")] = False,
    data: Data = None,
) -> None:
    """Process again: what an event told applies once all the same. Many go at a capped rate."""
    wanted = Filter(
        states=cast("list[EventState] | None", state),
        endpoint_id=endpoint,
        provider=provider,
        since=since,
        limit=limit,
    )
    per_second = _parse_rate(rate)

    async def work(core: Core) -> int:
        if receipt is not None:
            await replay_one(core.writer, tenant, receipt)
            return 1
        count = await count_replayable(core.database, tenant, wanted)
        if dry_run:
            return count
        with _progress() as progress:
            task = progress.add_task("replaying", total=count)
            told = partial(progress.advance, task)
            return await replay(core.writer, tenant, wanted, per_second=per_second, told=told)

    count = with_core(data, work)
    if dry_run:
        sys.stdout.write(f"{count}\n")
    else:
        console.print(f"{count} to be processed again, over {ceil(count / per_second)} s.")


@app.command("recall")
def recall_(tenant: TenantId, data: Data = None) -> None:
    """Take in again, from the second store, what a database that went back to a backup has lost."""

    async def work(core: Core) -> int:
        return await recall(core.writer, core.copies, tenant, uuid7, OPERATOR)

    console.print(f"{with_core(data, work)} taken in that were not here.")


def _progress() -> Progress:
    """On standard error, and only where somebody looks at it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)


def _parse_rate(text: str) -> float:
    """`20/s` or `0.5/s`, as a number a second."""
    found = re.fullmatch(r"([0-9]+(?:[.][0-9]+)?)(?:/s)?", text)
    if found is None or not 0 < float(found[1]) <= MOST_PER_SECOND:
        raise typer.BadParameter(f"{text!r} is no rate: write 20/s, at most {MOST_PER_SECOND}/s")
    return float(found[1])
