"""`rientro setup` and `rientro person`: the first owner, further people, and a way back in for who lost theirs."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from server.app import Core
from server.audit import OPERATOR
from server.auth.invites import Invite
from server.auth.people import NewPerson, Person
from server.cli.common import AsJson, Data, TenantId, console, parse_id, settings_for, show_one, show_rows, with_core

app = typer.Typer(no_args_is_help=True, help="People who sign in.")
PersonId = Annotated[str, typer.Option("--person", parser=parse_id, metavar="ID", help="From `rientro person list`.")]
Role = Annotated[str, typer.Option(help="owner, clerk or terminal.")]
Shop = Annotated[str, typer.Option(help="The shop they work in; a new name makes a new shop.")]
Login = Annotated[str | None, typer.Option(help="The name they sign in by, if by password.")]
_HERE = "http://localhost:8000"


def setup(
    name: Annotated[str, typer.Option(help="The merchant's name: «Bar Centrale».")],
    handle: Annotated[str | None, typer.Option(help="A short name that people sign in under: bar-centrale.")] = None,
    shop: Shop = "main",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Set up a merchant, and print the link by which its owner comes in: once, for a day."""

    async def work(core: Core) -> dict[str, Any]:
        tenant_id = await core.admin.add_tenant(name, handle)
        person_id = await core.access.people.add(tenant_id, NewPerson("Owner", "owner", shop), OPERATOR)
        return {"tenant_id": tenant_id, **(await core.access.invites.make(tenant_id, person_id, OPERATOR))._asdict()}

    made = with_core(data, work)
    _show_invite({**made, "link": _absolute(data, made["link"])}, as_json=as_json)


@app.command()
def add(
    tenant: TenantId,
    name: Annotated[str, typer.Option(help="What they are called.")],
    role: Role = "clerk",
    shop: Shop = "main",
    login: Login = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Add a person, and print the link by which they come in: once, for a day."""

    async def work(core: Core) -> Invite:
        person_id = await core.access.people.add(tenant, NewPerson(name, role, shop, login), OPERATOR)
        return await core.access.invites.make(tenant, person_id, OPERATOR)

    _show(with_core(data, work), data, as_json=as_json)


@app.command("list")
def list_(tenant: TenantId, as_json: AsJson = False, data: Data = None) -> None:
    """List a merchant's people."""

    async def work(core: Core) -> Sequence[Person]:
        return await core.access.people.list(tenant)

    show_rows("People", Person._fields, with_core(data, work), as_json=as_json)


@app.command()
def invite(tenant: TenantId, person: PersonId, as_json: AsJson = False, data: Data = None) -> None:
    """Print a new link for a person: to come in by, or to set a lost password anew. Older ones are void."""

    async def work(core: Core) -> Invite:
        return await core.access.invites.make(tenant, person, OPERATOR)

    _show(with_core(data, work), data, as_json=as_json)


@app.command()
def disable(tenant: TenantId, person: PersonId, data: Data = None) -> None:
    """Let a person in no more, at once and everywhere; what they did stays."""

    async def work(core: Core) -> None:
        await core.access.people.disable(tenant, person, OPERATOR)

    with_core(data, work)
    console.print("Disabled.")


@app.command()
def enable(tenant: TenantId, person: PersonId, data: Data = None) -> None:
    """Let a person in again; they sign in anew."""

    async def work(core: Core) -> None:
        await core.access.people.enable(tenant, person, OPERATOR)

    with_core(data, work)
    console.print("Enabled.")


def _show(made: Invite, data: Data, *, as_json: bool) -> None:
    _show_invite({**made._asdict(), "link": _absolute(data, made.link)}, as_json=as_json)


def _show_invite(values: dict[str, Any], *, as_json: bool) -> None:
    show_one(values, as_json=as_json)
    if not as_json:
        console.print("The link is shown once and lets in once: give it to its person now.")


def _absolute(data: Data, link: str) -> str:
    return (settings_for(data).public_url or _HERE).rstrip("/") + link
