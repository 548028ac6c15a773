"""`rientro key`: further keys of a device, for terminals and programs: narrowed, signed, tied to a certificate."""

import re
from pathlib import Path
from typing import Annotated

import typer

from server.app import Core
from server.app.core import now_ms
from server.audit import OPERATOR
from server.auth.certificates import fingerprint_of
from server.auth.errors import AccessError
from server.auth.keys import HOUR_MS, KeyRow, NewKey, Terms
from server.cli.common import AsJson, Data, TenantId, console, parse_id, show_one, show_rows, with_core

app = typer.Typer(no_args_is_help=True, help="API keys of terminals and programs.")

_COLUMNS = ("key_id", "device_id", "name", "permissions", "state", "due", "signed", "certificate", "rotate_by",
            "expires_at", "last_used_at")  # fmt: skip
_FOR_PEOPLE = ("key_id", "name", "state", "last_used_at")
"""What of it fits a terminal; programs get all."""
_UNITS_MS = {"h": HOUR_MS, "d": 24 * HOUR_MS}


def parse_span(text: str) -> int:
    """So many days or hours, in milliseconds."""
    found = re.fullmatch(r"([0-9]{1,4})([dh])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a time: write 7d or 12h")
    return int(found[1]) * _UNITS_MS[found[2]]


KeyId = Annotated[str, typer.Option("--key", parser=parse_id, metavar="ID", help="The key's id.")]


@app.command()
def add(
    tenant: TenantId,
    device: Annotated[str, typer.Option(parser=parse_id, metavar="ID", help="The device it acts as.")],
    name: Annotated[str, typer.Option(help="What people call it: «Gestionale».")],
    permission: Annotated[list[str] | None, typer.Option(help="push, pull, watch, manage. Default: all.")] = None,
    expires_days: Annotated[int | None, typer.Option(min=1, max=3650, help="Out by itself after so many.")] = None,
    rotate_days: Annotated[int | None, typer.Option(min=1, max=3650, help="Due after so many; it goes on.")] = None,
    signed: Annotated[bool, typer.Option("--signed", help="Each of its requests must be signed.")] = False,
    certificate: Annotated[Path | None, typer.Option(help="PEM of the one it must be shown with.")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Make a key. Its token, and the secret it signs by, are shown once."""

    async def work(core: Core) -> NewKey:
        shown = None if certificate is None else fingerprint_of(_text(certificate))
        terms = Terms(permission, expires_days, rotate_days, signed, shown)
        return await core.access.keys.issue(tenant, device, name, terms, OPERATOR)

    _show(with_core(data, work), as_json=as_json)


@app.command("list")
def list_(
    tenant: TenantId,
    due: Annotated[bool, typer.Option("--due", help="Only those somebody should see to.")] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List a merchant's keys, how each stands and when it was last used; due: also those that expire soon."""

    async def work(core: Core) -> list[KeyRow]:
        return await core.access.keys.list(tenant)

    at_ms = now_ms()
    rows = [
        {**row._asdict(), "state": row.state(at_ms), "due": row.is_pressing(at_ms)} for row in with_core(data, work)
    ]
    columns = _COLUMNS if as_json else _FOR_PEOPLE
    shown = [[row[name] for name in columns] for row in rows if row["due"] or not due]
    show_rows("Keys", columns, shown, as_json=as_json)


@app.command()
def rotate(
    tenant: TenantId,
    key: KeyId,
    overlap: Annotated[int, typer.Option(parser=parse_span, metavar="TIME", help="For so long both are good.")] = "7d",  # type: ignore[assignment]  # parsed like what is typed
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Make a key's successor, on the same terms. The old one goes on for the overlap, then it is out."""

    async def work(core: Core) -> NewKey:
        return await core.access.keys.rotate(tenant, key, overlap, OPERATOR)

    _show(with_core(data, work), as_json=as_json)


@app.command()
def revoke(
    tenant: TenantId,
    key: KeyId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Let a key in no more, at once. Its device goes on with its others."""
    if not yes:
        typer.confirm("Whoever uses the key is out at once. Go on?", abort=True)

    async def work(core: Core) -> None:
        await core.access.keys.revoke(tenant, key, OPERATOR)

    with_core(data, work)
    if as_json:
        show_one({"key_id": key, "status": "revoked"}, as_json=True)
    else:
        console.print("Revoked.")


def _show(made: NewKey, *, as_json: bool) -> None:
    shown = made._asdict()
    if not as_json and made.signing_secret is None:
        shown.pop("signing_secret")
    show_one(shown, as_json=as_json)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        raise AccessError("not_a_certificate", f"{file} cannot be read") from None
