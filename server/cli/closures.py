"""`rientro closures`: which closings do not add up with the sales that arrived, and what is missing."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from server.app import Core
from server.cli.common import AsJson, Data, TenantId, fail, parse_id, print_json, show_one, show_rows, with_core
from server.reconcile.listing import (
    Line,
    UnknownReconciliationError,
    as_text,
    list_reconciliations,
    numbers,
    show_reconciliation,
)

app = typer.Typer(no_args_is_help=True, help="Closings compared with the sales that arrived.")

ReconciliationId = Annotated[str, typer.Argument(parser=parse_id, metavar="ID", help="From `rientro closures list`.")]


@app.command("list")
def list_(
    tenant: TenantId,
    every: Annotated[bool, typer.Option("--all", help="Those that add up or were put aside, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List what does not add up, the oldest first."""

    async def work(core: Core) -> list[Line]:
        return await list_reconciliations(core.database, core.records, tenant, every=every, limit=limit)

    show_rows("Reconciliations", Line._fields, with_core(data, work), as_json=as_json)


@app.command()
def show(reconciliation: ReconciliationId, tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """Show one: missing numbers, differences by rate and payment method, and what the closing said."""

    async def work(core: Core) -> tuple[Mapping[str, Any], Mapping[str, Any] | None] | None:
        try:
            return await show_reconciliation(core.database, core.records, tenant, reconciliation)
        except UnknownReconciliationError:
            return None

    found = with_core(data, work)
    if found is None:
        fail((UnknownReconciliationError.__doc__ or "").strip())
    said, closing = found
    if as_json:
        print_json({**said, "closing": closing})
        return
    told = {name: as_text(value) for name, value in said.items()}
    show_one({**told, "missing": numbers(said["missing"]), "unclosed": numbers(said["unclosed"])}, as_json=False)
    columns = ("what", "key", "expected", "arrived")
    rows = [[one.get(name, "") for name in columns] for one in said["differences"]]
    show_rows("Differences", columns, rows, as_json=False)
