"""`rientro rejected` and `rientro superseded`: what was kept, and the way back for it."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_core import from_json

from server.app import Core
from server.cli.common import (
    AsJson,
    Data,
    TenantId,
    console,
    errors,
    fail,
    json_text,
    parse_id,
    parse_instant,
    print_json,
    show_one,
    show_rows,
    with_core,
)
from server.engine.kept import Page, Rejected, Superseded
from server.engine.newest import MAX_ROWS, Wanted
from server.engine.resend import Correction, Resent, Who, parse_correction
from sync.collection import FieldSpec
from sync.protocol import Registry

rejected = typer.Typer(no_args_is_help=True, help="Mutations that broke a rule, kept whole.")
superseded = typer.Typer(no_args_is_help=True, help="Values that lost against concurrent ones, kept for 90 days.")


Uid = Annotated[
    str, typer.Argument(parser=parse_id, metavar="UID", help="The mutation's uid, from `rientro rejected list`.")
]
Limit = Annotated[int, typer.Option(min=1, max=MAX_ROWS, help="At most so many.")]
After = Annotated[str | None, typer.Option(help="Go on after this place, as the page before named it.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="field=value; what is no text is JSON. May be repeated.")]
Increment = Annotated[list[str] | None, typer.Option("--increment", help="counter=delta. May be repeated.")]
Drop = Annotated[list[str] | None, typer.Option("--drop", help="A name to leave out. May be repeated.")]
_OPERATOR = Who(None, "command-line")
_REJECTED = ("uid", "code", "message", "device_name", "received_at", "resolved_at")
_SUPERSEDED = ("collection", "record_id", "field", "value", "author", "device_name", "written_at", "superseded_at")
_JSON_KINDS = ("flag", "integer", "json")


@rejected.command("list")
def list_rejected(
    tenant: TenantId, limit: Limit = 100, after: After = None, as_json: AsJson = False, data: Data = None
) -> None:
    """List what was rejected, newest first."""

    async def work(core: Core) -> Page[Rejected]:
        return await core.kept.rejected(tenant, None, Wanted(after, limit))

    _show("Rejected", _REJECTED, with_core(data, work), as_json=as_json)


@rejected.command()
def show(uid: Uid, tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """Show one: why it was refused, and everything it said."""

    async def work(core: Core) -> Rejected:
        return await core.kept.rejection(tenant, uid)

    shown = asdict(with_core(data, work))
    show_one(shown if as_json else {**shown, "body": json_text(shown["body"])}, as_json=as_json)


@rejected.command()
def resend(
    uid: Uid,
    tenant: TenantId,
    set_: Set = None,
    increment: Increment = None,
    drop: Drop = None,
    correction: Annotated[
        str | None, typer.Option(help="A file with the whole correction as JSON, or - for standard input.")
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Send one again, corrected. The same correction sent twice applies once."""
    given = _read(correction)
    fields, increments = dict(map(_pair, set_ or [])), dict(map(_pair, increment or []))

    async def work(core: Core) -> Resent:
        sent = (await core.kept.rejection(tenant, uid)).body
        whole = Correction(
            drop=[*given.drop, *(drop or [])],
            fields={**given.fields, **_values(core.registry, sent, fields)},
            increments={**given.increments, **increments},
            adds=given.adds,
            removes=given.removes,
        )
        return await core.resender.resend(tenant, uid, whole, _OPERATOR)

    show_one(asdict(with_core(data, work)), as_json=as_json)


@rejected.command()
def dismiss(uid: Uid, tenant: TenantId, data: Data = None) -> None:
    """Put one aside: it stays in the list, marked as dealt with."""

    async def work(core: Core) -> None:
        await core.resender.dismiss(tenant, uid, _OPERATOR)

    with_core(data, work)
    console.print("Put aside.")


@superseded.command("list")
def list_superseded(
    tenant: TenantId,
    collection: Annotated[str | None, typer.Option(help="With --record: only this record's.")] = None,
    record: Annotated[str | None, typer.Option(parser=parse_id, metavar="ID", help="Its id.")] = None,
    since: Annotated[
        str | None,
        typer.Option(parser=parse_instant, metavar="WHEN", help="Only since 2026-11-24, 2026-11-24T09:00Z, 3d."),
    ] = None,
    limit: Limit = 100,
    after: After = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List values that lost, newest first, with who wrote them."""
    key = (collection, record) if collection is not None and record is not None else None
    if key is None and (collection is not None or record is not None):
        fail("a record is named by both: --collection and --record")

    async def work(core: Core) -> Page[Superseded]:
        return await core.kept.superseded(tenant, key, Wanted(after, limit), since=since)

    _show("Superseded", _SUPERSEDED, with_core(data, work), as_json=as_json)


def _show(title: str, columns: tuple[str, ...], page: Page[Any], *, as_json: bool) -> None:
    """A page; that there is more, and from where on, is said beside it."""
    if as_json:
        print_json([asdict(row) for row in page.rows])
    else:
        rows = [[_cell(name, getattr(row, name)) for name in columns] for row in page.rows]
        show_rows(title, columns, rows, as_json=False)
    if page.next is not None:
        errors.print(f"There is more: go on with --after {page.next}", highlight=False, soft_wrap=True)


def _cell(name: str, value: Any) -> Any:
    """Values as JSON."""
    return json_text(value) if name == "value" else value


def _read(correction: str | None) -> Correction:
    if correction is None:
        return Correction()
    if correction == "-":
        return parse_correction(sys.stdin.buffer.read())
    path = Path(correction)
    if not path.is_file():
        fail(f"there is no file {path}")
    return parse_correction(path.read_bytes())


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        fail(f"a name and its value are written name=value, not {text!r}")
    return name, value


def _values(registry: Registry, sent: Any, given: dict[str, str]) -> dict[str, Any]:
    """Values as their fields take them: text as it stands, numbers, flags and lists as JSON."""
    collection = registry.collections.get(str(sent.get("collection")))
    known = collection.fields if collection is not None else {}
    return {name: _value(name, text, known.get(name)) for name, text in given.items()}


def _value(name: str, text: str, spec: FieldSpec | None) -> Any:
    if spec is None or spec.wire.kind not in _JSON_KINDS:
        return text
    try:
        return from_json(text)
    except ValueError:
        raise ValueError(f"{name} is no text: write its value as JSON") from None
