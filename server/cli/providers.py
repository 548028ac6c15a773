"""`rientro provider`: a merchant's accounts at providers, and what they prove themselves with."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from server.app import Core
from server.app.core import now_ms
from server.cli import bindings
from server.cli.common import (
    AsJson,
    Data,
    TenantId,
    fail,
    parse_id,
    parse_moment,
    settings_for,
    show_one,
    show_rows,
    with_core,
)
from server.credentials.dates import Ending, SecretDates
from server.credentials.endpoints import EndpointLine, NewEndpoint
from server.credentials.keys import Replacement
from server.credentials.tokens import Place

app = typer.Typer(no_args_is_help=True, help="Accounts at providers.")
keys = typer.Typer(
    no_args_is_help=True, help="Secrets of an account: replaced now or at a time, and when they are due."
)
app.add_typer(keys, name="key")
bindings.register(app)

SOON_DAYS = 30
"""What ends within so many days is shown in the list of accounts."""

EndpointId = Annotated[
    str, typer.Option("--endpoint", parser=parse_id, metavar="ID", help="The account's id, from `provider list`.")
]


@app.command()
def add(
    tenant: TenantId,
    provider: Annotated[str, typer.Option(help="http, pos, sdi …")],
    name: Annotated[str, typer.Option(help="What people call it.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, key=@file, or key=- for standard input. Secrets: never as a value."),
    ] = None,
    standby: Annotated[bool, typer.Option("--standby", help="Nothing of its own: for `provider fallback`.")] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Add an account; changes that concern it are forwarded from now on."""
    values = dict(_setting(text) for text in set_ or [])

    async def work(core: Core) -> NewEndpoint:
        return await core.endpoints.add(tenant, provider, name, values, standby=standby)

    show_one(with_core(data, work)._asdict(), as_json=as_json)


@app.command("list")
def list_(tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """List a merchant's accounts, no secrets; whether breakers let calls through, and what ends soon."""

    async def work(core: Core) -> list[tuple[Any, ...]]:
        lines = await core.endpoints.list(tenant)
        endings = await core.credentials.dates.ending(now_ms(), SOON_DAYS, tenant)
        return [(*line, _attention(line, endings)) for line in lines]

    show_rows("Accounts", (*EndpointLine._fields, "attention"), with_core(data, work), as_json=as_json)


@app.command()
def connect(tenant: TenantId, endpoint: EndpointId, as_json: AsJson = False, data: Data = None) -> None:
    """Print the address where a person consents (OAuth); it is good for ten minutes, and once."""
    settings = settings_for(data)

    async def work(core: Core) -> str:
        return await core.credentials.consents.begin(
            Place(tenant, endpoint), settings.public_url, allow_loopback=settings.allow_loopback
        )

    show_one({"url": with_core(data, work)}, as_json=as_json)


@keys.command("set")
def set_key(
    tenant: TenantId,
    endpoint: EndpointId,
    name: Annotated[str, typer.Option(help="Which secret: api_key, secret, client_certificate …")],
    next_: Annotated[str, typer.Option("--next", help="The new secret: @file, or - for standard input.")],
    from_: Annotated[
        int | None,
        typer.Option(
            "--from", parser=parse_moment, metavar="WHEN", help="When it takes over: 2026-12-01T00:00Z. Default: now."
        ),
    ] = None,
    every_days: Annotated[int | None, typer.Option(help="Have it replaced after so many days.", min=1)] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Replace a secret, now or at a time; until then the old one is used."""
    new = Replacement(name, _secret(next_), from_, every_days)

    async def work(core: Core) -> str:
        return await core.credentials.keys.replace(tenant, endpoint, new)

    show_one({"name": name, "from": with_core(data, work)}, as_json=as_json)


@keys.command("list")
def list_keys(tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """List the dates of all secrets, never the secrets."""

    async def work(core: Core) -> Sequence[SecretDates]:
        return await core.credentials.dates.list(tenant)

    show_rows("Secrets", SecretDates._fields, with_core(data, work), as_json=as_json)


@keys.command()
def due(
    tenant: TenantId,
    within: Annotated[float, typer.Option(help="Days ahead.", min=0)] = SOON_DAYS,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """List what has ended, ends soon or is due for replacement."""

    async def work(core: Core) -> Sequence[Ending]:
        return await core.credentials.dates.ending(now_ms(), within, tenant)

    show_rows("Due", Ending._fields, with_core(data, work), as_json=as_json)


def _attention(line: EndpointLine, endings: Sequence[Ending]) -> str:
    own = [ending for ending in endings if ending.endpoint_id == line.endpoint_id]
    return "; ".join(f"{ending.secret} {ending.what} {ending.at}" for ending in own)


def _setting(text: str) -> tuple[str, str]:
    key, found, value = text.partition("=")
    if not found or not key:
        fail(f"--set takes key=value, key=@file or key=-, not {key!r}")
    return key, _secret(value) if value == "-" or value.startswith("@") else value


def _secret(text: str) -> str:
    if text == "-":
        return sys.stdin.read().strip()
    if not text.startswith("@"):
        fail("a secret comes from @file or -, never on the command line, where others can read it")
    path = Path(text[1:])
    if not path.is_file():
        fail(f"there is no file {path}")
    return path.read_text().strip()
