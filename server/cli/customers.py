"""`rientro customer`: what is held about a customer, to give to them, and to erase for good."""

from dataclasses import asdict
from typing import Annotated, get_args

import typer

from server.app import Core
from server.audit import OPERATOR
from server.cli.common import (
    AsJson,
    Data,
    TenantId,
    console,
    fail,
    json_text,
    parse_id,
    print_json,
    show_one,
    with_core,
)
from server.privacy.erase import Erased, Reason
from server.privacy.export import Held
from server.privacy.preview import Preview, preview

app = typer.Typer(no_args_is_help=True, help="Customers, and what the law says of their data.")

CustomerId = Annotated[str, typer.Option("--customer", parser=parse_id, metavar="ID", help="The customer's id.")]


@app.command()
def export(tenant: TenantId, customer: CustomerId, as_json: AsJson = False, data: Data = None) -> None:
    """Print everything that is held about a customer."""

    async def work(core: Core) -> Held:
        return await core.exporter.export(tenant, customer, OPERATOR)

    held = asdict(with_core(data, work))
    if as_json:
        print_json(held)
    else:
        show_one({name: json_text(value) for name, value in held.items()}, as_json=False)


@app.command()
def erase(
    tenant: TenantId,
    customer: CustomerId,
    reason: Annotated[str, typer.Option(help=f"On which ground: {', '.join(get_args(Reason))}.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go and what stays.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Erase a customer for good. What the law keeps stays, and names nobody any more."""
    if reason not in get_args(Reason):
        fail(f"there is no ground {reason!r}: use one of {', '.join(get_args(Reason))}")

    async def look(core: Core) -> Preview:
        return preview(await core.exporter.look(tenant, customer), core.registry)

    would = asdict(with_core(data, look))
    if dry_run:
        show_one(would, as_json=as_json)
        return
    if not yes:
        show_one(would, as_json=False)
        typer.confirm("Nothing brings it back. Go on?", abort=True)

    async def work(core: Core) -> Erased:
        return await core.eraser.erase(tenant, customer, reason, OPERATOR)  # type: ignore[arg-type]  # looked up above

    done = with_core(data, work)
    show_one({**would, "erased": done._asdict()}, as_json=as_json)
    if done.left and not as_json:
        console.print(f"{done.left} copies wait for their delivery or processing to end, and go then.")
