"""`rientro trace`: the way of one mutation from its till to the provider, or of what a provider told to the tills."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.tree import Tree

from server.app import Core
from server.cli.common import AsJson, Data, console, fail, parse_id, print_json, with_core
from server.ops.trace.story import Chapter, Step, tell

Tenant = Annotated[
    str | None, typer.Option("--tenant", parser=parse_id, metavar="ID", help="Only this merchant's. Default: any.")
]


def trace(
    uid: Annotated[str, typer.Argument(help="A mutation's uid, a delivery's, a receipt's or a correlation id.")],
    tenant: Tenant = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Tell what became of a mutation, of something a provider told, or of all that one request brought about."""

    async def work(core: Core) -> tuple[str, list[Chapter]]:
        tenants = [tenant] if tenant is not None else [one[0] for one in await core.admin.tenants()]
        for tenant_id in tenants:
            chapters = await core.database.read(partial(tell, tenant_id=tenant_id, text=uid))
            if chapters:
                return tenant_id, chapters
        return "", []

    tenant_id, chapters = with_core(data, work)
    if not chapters:
        fail(f"nothing here is known by {uid}: it was never here, or is older than what is kept")
    if as_json:
        timeline = sorted(_timeline(chapters), key=lambda one: one["at"] or "")
        print_json({"tenant_id": tenant_id, "story": [_plain(one) for one in chapters], "timeline": timeline})
        return
    for chapter in chapters:
        console.print(_tree(chapter, Tree(_title(chapter))), highlight=False)


def _plain(chapter: Chapter) -> dict[str, Any]:
    steps = [step._asdict() for step in chapter.steps]
    return {**chapter._asdict(), "steps": steps, "then": [_plain(one) for one in chapter.then]}


def _timeline(chapters: Sequence[Chapter]) -> Iterator[dict[str, Any]]:
    for chapter in chapters:
        yield from ({"at": at, "kind": chapter.kind, "id": chapter.id, "what": what, **facts}
                    for at, what, facts in chapter.steps)  # fmt: skip
        yield from _timeline(chapter.then)


def _tree(chapter: Chapter, tree: Tree) -> Tree:
    for step in sorted(chapter.steps, key=lambda one: one.at or ""):
        tree.add(_line(step))
    for one in chapter.then:
        _tree(one, tree.add(_title(one)))
    return tree


def _title(chapter: Chapter) -> str:
    return f"[bold]{chapter.kind}[/bold] {chapter.id}{_facts(chapter.facts)}"


def _line(step: Step) -> str:
    return f"[dim]{step.at or '(time not kept)'}[/dim]  {escape(step.what)}{_facts(step.facts)}"


def _facts(facts: Mapping[str, Any]) -> str:
    shown = [f"{name}={_short(value)}" for name, value in facts.items() if value not in (None, [])]
    return escape(f"  {' '.join(shown)}") if shown else ""


def _short(value: Any) -> str:
    """Records are named as collection/id."""
    if isinstance(value, list):
        return ",".join(f"{one['collection']}/{one['record_id']}" for one in value)
    return str(value)
