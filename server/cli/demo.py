"""The demonstration shop of `make run`: made at the first start, its tokens kept in a file only its owner may read."""

import json
import os
from pathlib import Path
from typing import Any

from server.app import Core, open_core
from server.audit import OPERATOR
from server.auth.people import NewPerson
from server.cli.common import console
from server.ids import derived
from server.ports import Cause
from server.settings import Settings
from server.storage.writer import Job, Writing
from sync.protocol import Mutation

_FILE = "demo-devices.json"
_PLAIN: dict[str, Any] = {"highlight": False, "soft_wrap": True}
_SHOP = "centro"
_LOCAL = {"127.0.0.1": "localhost"}
"""Browsers let a page of localhost make passkeys, and none of an address."""
_DEVICES = (("Cassa 1", "terminal"), ("Cassa 2", "terminal"), ("Telefono", "owner"))
_PRODUCTS = (
    ("Caffè", "1.20", "10.00", "Bar"),
    ("Cappuccino", "1.60", "10.00", "Bar"),
    ("Cornetto", "1.50", "10.00", "Bar"),
    ("Spremuta d'arancia", "3.50", "10.00", "Bar"),
    ("Panino al prosciutto", "4.50", "10.00", "Cucina"),
    ("Tramezzino", "2.80", "10.00", "Cucina"),
    ("Insalata mista", "6.00", "10.00", "Cucina"),
    ("Acqua 0,5 l", "1.00", "22.00", "Bevande"),
    ("Birra media", "5.00", "22.00", "Bevande"),
    ("Calice di vino", "4.00", "22.00", "Bevande"),
    ("Pane al chilo", "3.80", "4.00", "Banco"),
    ("Quotidiano", "1.70", "4.00", "Banco"),
)


async def announce(settings: Settings, host: str, port: int, *, tls: bool = False) -> None:
    """Make the shop if there is none, and say where to look and how to sign a device in."""
    async with open_core(settings) as core:
        file = settings.data / _FILE
        devices = _remembered(file)
        if not devices:
            devices = await _make_shop(core)
            _remember(file, devices)
        link = await _owners_link(core, devices[0]["tenant_id"])
    here = f"{'https' if tls else 'http'}://{_LOCAL.get(host, host)}:{port}"
    url = (settings.public_url or here).rstrip("/")
    console.rule("rientro: demonstration shop")
    if link is None:
        console.print(f"Open      {url}/", **_PLAIN)
    else:
        console.print(f"Open      {url}{link}", **_PLAIN)
        console.print("          to choose how its owner signs in; good once, and until the next start.", **_PLAIN)
    console.print(f"Look at   {url}/openapi.json", **_PLAIN)
    console.print(f"          {url}/health/ready", **_PLAIN)
    console.print("Sign in   with a device's token, as `Authorization: Bearer …`:", **_PLAIN)
    for device in devices:
        console.print(f"  {device['name']:<10} {device['role']:<9} {device['token']}", **_PLAIN)
    console.print(f"Try       curl {url}/v1/schema -H 'Authorization: Bearer {devices[-1]['token']}'", **_PLAIN)
    console.print(f"Tokens    are kept in {settings.data / _FILE}; Ctrl-C ends.", **_PLAIN)
    console.rule()


async def _owners_link(core: Core, tenant_id: str) -> str | None:
    """A path by which the owner comes in for the first time; None once they have."""
    people = core.access.people
    owner = next((one for one in await people.list(tenant_id) if one.role == "owner"), None)
    if owner is not None and (owner.has_password or owner.has_passkey):
        return None
    new = NewPerson("Titolare", "owner", _SHOP)
    person_id = owner.person_id if owner is not None else await people.add(tenant_id, new, OPERATOR)
    return (await core.access.invites.make(tenant_id, person_id, OPERATOR)).link


def _remembered(file: Path) -> list[dict[str, str]]:
    known: list[dict[str, str]] = json.loads(file.read_text()) if file.is_file() else []
    return known


def _remember(file: Path, devices: list[dict[str, str]]) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(devices, out, indent=1)


async def _make_shop(core: Core) -> list[dict[str, str]]:
    tenant_id = await core.admin.add_tenant("Bar Dimostrazione")
    await _stock(core, tenant_id)
    devices = []
    for name, role in _DEVICES:
        made = await core.admin.add_device(tenant_id, name, role, _SHOP)
        devices.append({"name": name, "role": role, **made._asdict()})
    return devices


async def _stock(core: Core, tenant_id: str) -> None:
    """Products, as the server's own mutations: they reach clients by the feed like any other."""

    async def job(writing: Writing) -> None:
        made = [_product(tenant_id, writing.now, *product) for product in _PRODUCTS]
        await core.applier.apply(writing, tenant_id, "system:demo", made, Cause("demo"))

    await core.writer.submit(Job([tenant_id], job))


def _product(tenant_id: str, now: str, name: str, price: str, rate: str, category: str) -> Mutation:
    fields: dict[str, Any] = {"name": name, "price": price, "vat_rate": rate, "category": category}
    return Mutation(
        mutation_id=0,
        uid=derived("demo", tenant_id, name),
        op="create",
        collection="products",
        record_id=derived("demo product", tenant_id, name),
        timestamp=now,
        fields=fields,
        increments={"stock": "100.000"},
    )
