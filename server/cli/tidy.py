"""`rientro tidy`: collect now what is older than the retention. Servers do so by themselves once a day."""

from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from server.app import Core
from server.cli.common import AsJson, Data, errors, parse_id, print_json, show_rows, with_core

Tenant = Annotated[
    str | None, typer.Option("--tenant", parser=parse_id, metavar="ID", help="Only this merchant's. Default: all.")
]


def tidy(tenant: Tenant = None, as_json: AsJson = False, data: Data = None) -> None:
    """Collect tombstones, verdicts, lost values, events and deliveries that ended before RIENTRO_RETENTION_DAYS.

    Copies of what was said of erased customers are emptied, too, where their delivery or processing has ended since;
    how many still wait for it is told.
    """

    async def work(core: Core) -> dict[str, dict[str, int]]:
        tenants = [tenant] if tenant is not None else [one[0] for one in await core.admin.tenants()]
        with _progress(shown=not as_json) as progress:
            return {one: await _tidy(core, one, progress) for one in tenants}

    collected = with_core(data, work)
    if as_json:
        print_json([{"tenant_id": one, **kinds} for one, kinds in collected.items()])
        return
    rows: list[tuple[Any, ...]] = [
        (one, kind, count) for one, kinds in collected.items() for kind, count in kinds.items() if count
    ]
    show_rows("Collected", ("tenant_id", "what", "rows"), rows, as_json=False)


async def _tidy(core: Core, tenant_id: str, progress: Progress) -> dict[str, int]:
    reach = await core.tidier.begin(tenant_id)
    task = progress.add_task(tenant_id, total=sum((await core.tidier.counts(reach)).values()))
    collected = await core.tidier.collect(reach, lambda rows: progress.advance(task, rows))
    erased = await core.eraser.go_on(tenant_id)
    return {**collected, "erased_copies_emptied": erased.emptied, "erased_copies_left": erased.left}


def _progress(*, shown: bool) -> Progress:
    """On standard error, and only where somebody looks at it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=errors, transient=True, disable=not (shown and errors.is_terminal))
