"""`rientro provider`: a merchant's accounts at providers."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from server.app import Core
from server.cli.common import AsJson, Data, TenantId, fail, show_one, show_rows, with_core
from server.credentials.endpoints import EndpointLine, NewEndpoint

app = typer.Typer(no_args_is_help=True, help="Accounts at providers.")


@app.command()
def add(
    tenant: TenantId,
    provider: Annotated[str, typer.Option(help="http, pos, sdi …")],
    name: Annotated[str, typer.Option(help="What people call it.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, key=@file, or key=- for standard input. Secrets: never as a value."),
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Add an account; changes that concern it are forwarded from now on."""
    values = dict(_setting(text) for text in set_ or [])

    async def work(core: Core) -> NewEndpoint:
        return await core.endpoints.add(tenant, provider, name, values)

    show_one(with_core(data, work)._asdict(), as_json=as_json)


@app.command("list")
def list_(tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """List a merchant's accounts, without their secrets, and whether their breakers let calls through."""

    async def work(core: Core) -> Sequence[EndpointLine]:
        return await core.endpoints.list(tenant)

    show_rows("Accounts", EndpointLine._fields, with_core(data, work), as_json=as_json)


def _setting(text: str) -> tuple[str, str]:
    key, found, value = text.partition("=")
    if not found or not key:
        fail(f"--set takes key=value, key=@file or key=-, not {key!r}")
    if value == "-":
        return key, sys.stdin.read().strip()
    if value.startswith("@"):
        path = Path(value[1:])
        if not path.is_file():
            fail(f"there is no file {path}")
        return key, path.read_text().strip()
    return key, value
