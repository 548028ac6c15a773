"""Two tenants and two shops full of secrets: canaries in every text, ids and a number that nobody outside may hear of.

A canary says whose it is: `CANARY-TENANT` is for the devices of its tenant, `CANARY-PORTO` for one of its shops,
`CANARY-ROLE` for those who may decide a conflict, `CANARY-OPERATOR` for no device at all.
"""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

from server.app import Core, create_app, open_core
from server.audit import OPERATOR
from server.auth.entrance import Place
from server.auth.invites import Taking
from server.auth.people import NewPerson
from server.auth.tokens import parse_token
from server.collections import registry
from server.ports import Cause
from server.settings import Settings
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from sync.conflicts import conflict_id
from tests.support.serving import served
from tests.support.shop import TIMESTAMP, Ids, product_fields, sale_fields

COUNT = 137
"""How far the foreign till's queue came: a number that tells how much another shop sells."""
VISIBLE = "VISIBLE"
"""Stands in a record that every device of the tenant may see: who does not find it did not look."""
OF_SHOP = ("sales", "issued_invoices", "closures", "reconciliations")
"""Collections whose records only their shop may see."""
CLOSED = frozenset(
    (
        *("status", "shop", "collection", "field", "currency", "decision", "signature", "kind"),
        *("document_type", "sdi_status", "series", "number"),
    )
)
"""Texts whose values are a closed list, or say where the record belongs."""
_SECRET = "whsec_" + base64.b64encode(b"secret-of-the-point-of-sale-0001").decode()
_INVOICE = {
    "position": 1,
    "document_type": "TD01",
    "number": "1",
    "issued_on": "2025-11-24",
    "received_at": TIMESTAMP,
    "supplier_name": "x",
    "currency": "EUR",
    "total": "12.20",
    "payable": "12.20",
    "summaries": [],
}

_CLOSURE = {
    "business_day": "2025-11-24",
    "closed_at": TIMESTAMP,
    "count": 1,
    "total": "1.20",
    "vat": [{"rate": "10.00", "gross": "1.20", "net": "1.09", "vat": "0.11"}],
}
_RECONCILIATION = {"kind": "closing", "business_day": "2025-11-24", "status": "open", "opened_at": TIMESTAMP}

_KEPT = {
    name: Statement(f"SELECT count(*) FROM {name} WHERE tenant_id = :tenant_id")  # noqa: S608  names of ours
    for name in ("rejected", "superseded", "waiting", "inbox", "outbox")
}


@dataclass
class World:
    """What was built, and what of it is to be hidden.

    `tokens` by the device's name, `ids` by who may see them, `records` a foreign record of each collection, `cursors`
    those of others. `client` and `uid` are the foreign till's, `late` is of its mutation that had to wait, `address` is
    where its point of sale sends webhooks. `person` is signed in by `session` on `device`, in the other shop.
    """

    http: httpx.AsyncClient
    core: Core
    new_id: Ids = field(default_factory=lambda: Ids(23))
    tokens: dict[str, str] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    ids: dict[str, set[str]] = field(default_factory=lambda: {"tenant": set(), "porto": set(), "role": set()})
    records: dict[str, str] = field(default_factory=dict)
    tenant_id: str = ""
    client: str = ""
    uid: str = ""
    late: str = ""
    person: str = ""
    session: str = ""
    device: str = ""
    address: str = ""
    cursors: list[str] = field(default_factory=list)

    async def sync(self, who: str, *mutations: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """One exchange of a device, under a client id of its own unless told."""
        body = {"protocol": 1, "client_id": self.new_id(), "mutations": list(mutations)} | more
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        answer = await self.http.post("/v1/sync", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        parsed: dict[str, Any] = answer.json()
        return parsed

    async def kept(self) -> dict[str, int]:
        """How many rows the tables hold that no device pulls."""

        async def work(tx: Tx) -> dict[str, int]:
            return {name: (await tx.fetch(count, (self.tenant_id,)))[0][0] for name, count in _KEPT.items()}

        return await self.core.database.read(work)

    def mutation(self, collection: str, record_id: str, op: str, **more: Any) -> dict[str, Any]:
        """A client's first mutation, unless told."""
        known = {"mutation_id": 1, "uid": self.new_id(), "timestamp": TIMESTAMP, "base_version": 0}
        return known | {"collection": collection, "record_id": record_id, "op": op} | more


def texts(collection: str, canary: str) -> dict[str, str]:
    """A canary for every open text of a collection: a field added later has one too."""
    return {
        spec.name: f"{canary}-{place}"
        for place, spec in enumerate(registry().collections[collection].fields.values())
        if spec.wire.kind in {"text", "code"} and spec.name not in CLOSED
    }


def full(collection: str, canary: str, shop: str = "porto") -> dict[str, Any]:
    """A record with canaries in every text, those inside JSON too."""
    make = _FULL.get(collection)
    return ({} if make is None else make(canary, shop)) | texts(collection, canary)


def _sale(canary: str, shop: str) -> dict[str, Any]:
    fields = sale_fields(shop=shop, flags=[canary])
    fields["lines"][0]["description"] = canary
    return fields


def _invoice(canary: str, _shop: str) -> dict[str, Any]:
    line = {"number": 1, "description": canary, "unit_price": "1", "total": "1", "vat_rate": "22"}
    return {**_INVOICE, "lines": [line]}


def _issued(canary: str, shop: str) -> dict[str, Any]:
    line = {"description": canary, "unit_price": "1.00", "total": "1.00", "vat_rate": "22.00"}
    ids = dict.fromkeys(("sale_id", "customer_id"), "0194f1d6-0000-7000-8000-000000000009")
    return {"shop": shop, **ids, "issued_on": "2025-11-24", "lines": [line], "submitted": 1}


def _payment(_canary: str, shop: str) -> dict[str, Any]:
    amounts = dict.fromkeys(("amount", "received", "refunded"), "1.00")
    return {**amounts, "shop": shop, "status": "succeeded", "created_at": TIMESTAMP}


def _closure(canary: str, shop: str) -> dict[str, Any]:
    return {**_CLOSURE, "shop": shop, "payments": [{"method": canary, "total": "1.20"}]}


def _reconciliation(canary: str, shop: str) -> dict[str, Any]:
    payments = [{"method": canary, "total": "1.20"}]
    return {**_RECONCILIATION, "shop": shop, "closure_id": None, "payments": payments}


_FULL: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "sales": _sale,
    "products": lambda _canary, _shop: product_fields(),
    "invoices": _invoice,
    "issued_invoices": _issued,
    "quarantined": lambda _canary, _shop: {"receipt_id": Ids(29)(), "received_at": TIMESTAMP},
    "payments": _payment,
    "subscriptions": lambda _canary, _shop: {"status": "active"},
    "closures": _closure,
    "reconciliations": _reconciliation,
}


@asynccontextmanager
async def open_world(settings: Settings) -> AsyncIterator[World]:
    """Build everything, on a served application."""
    async with (
        open_core(settings, migrate=False) as core,
        served(create_app(settings, migrate=False)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as http,
    ):
        world = World(http, core)
        tenant_id = world.tenant_id = await _devices(world)
        await _endpoints(world, tenant_id)
        await _records(world, tenant_id)
        await _history(world)
        yield world


async def _devices(world: World) -> str:
    ours, theirs = [await world.core.admin.add_tenant(name) for name in ("CANARY-TENANT", "Bar Sport")]
    wanted = [
        (ours, "owner", "owner", "centro"),
        (ours, "clerk", "clerk", "centro"),
        (ours, "till", "terminal", "centro"),
        (ours, "porto", "terminal", "porto"),
        (theirs, "stranger", "owner", "centro"),
    ]
    for tenant_id, name, role, shop in wanted:
        device = await world.core.admin.add_device(tenant_id, name, role, shop)
        world.tokens[name], world.devices[name] = device.token, device.device_id
        token = parse_token(device.token)
        assert token is not None
        world.keys[name] = token.key_id
        world.ids["porto" if shop == "porto" else "tenant"] |= (
            {device.device_id, token.key_id} if tenant_id == ours else set()
        )
    world.ids["tenant"].add(ours)
    await _people(world, ours)
    return ours


async def _people(world: World, tenant_id: str) -> None:
    """Somebody with a login, signed in on a device of the other shop."""
    access, name = world.core.access, "CANARY-OPERATOR"
    new = NewPerson(name, "clerk", "porto", "canary-login")
    world.person = await access.people.add(tenant_id, new, OPERATOR)
    invite = await access.invites.make(tenant_id, world.person, OPERATOR)
    taking = Taking(password="CANARY-PASSWORD")
    issued = await access.invites.take(invite.link.partition("=")[2], taking, Place(name), OPERATOR)
    world.ids["porto"] |= {world.person, issued.device_id, issued.session_id}
    world.session, world.device = issued.session_id, issued.device_id


async def _endpoints(world: World, tenant_id: str) -> None:
    """Accounts at providers, one event in the inbox; the sales to come leave deliveries in the outbox."""
    settings = {"url": "https://example.org/CANARY-OPERATOR", "secret": _SECRET}
    http = await world.core.endpoints.add(tenant_id, "http", "CANARY-OPERATOR", settings)
    pos = await world.core.endpoints.add(tenant_id, "pos", "CANARY-OPERATOR", {"shop": "porto", "secret": _SECRET})
    world.ids["porto"] |= {http.endpoint_id, pos.endpoint_id}
    world.address = pos.webhook_path
    body = json.dumps({"type": "sale.created", "timestamp": TIMESTAMP, "data": {"id": "CANARY-OPERATOR"}})
    now = datetime.now(UTC)
    signature = Webhook(_SECRET).sign("CANARY-OPERATOR", now, body)
    headers = {"webhook-id": "CANARY-OPERATOR", "webhook-timestamp": str(int(now.timestamp()))}
    answer = await world.http.post(pos.webhook_path, content=body, headers=headers | {"webhook-signature": signature})
    assert answer.json() == {"status": "stored"}


async def _records(world: World, tenant_id: str) -> None:
    """A record of every collection but conflicts, which come by themselves; and one for all to see."""
    marks = dict.fromkeys(OF_SHOP, "CANARY-PORTO")
    marks["quarantined"] = "CANARY-OPERATOR"  # for owners alone, and no owner of this merchant walks
    made: list[Any] = []
    for name in registry().collections.keys() - {"conflicts"}:
        record_id = world.records[name] = world.new_id()
        made.append(world.mutation(name, record_id, "create", fields=full(name, marks.get(name, "CANARY-TENANT"))))
        world.ids["porto" if name in (*OF_SHOP, "quarantined") else "tenant"] |= {record_id, made[-1]["uid"]}
    made.append(world.mutation("products", world.new_id(), "create", fields=product_fields(name=VISIBLE)))

    async def job(writing: Writing) -> list[str]:
        cause = Cause("walls")
        outcomes = await world.core.applier.apply(writing, tenant_id, "system:walls", made, cause)
        return [outcome.status for outcome in outcomes]

    assert set(await world.core.writer.submit(Job([tenant_id], job))) == {"applied"}
    await world.sync("stranger", world.mutation("products", world.new_id(), "create", fields=product_fields()))


async def _history(world: World) -> None:
    """What is kept beside the records: a conflict, a loser, a refusal, something that waits, a long queue, cursors."""
    customer, sale = world.records["customers"], world.records["sales"]
    epoch = await _epoch(world)
    for number in (1, 2):  # the second has not seen the first
        numbers = dict.fromkeys(("vat_number", "tax_code", "sdi_code"), f"CANARY-ROLE-{number}")
        known = {"fields": numbers, "base_version": 1, "epoch": epoch}
        await world.sync("owner", world.mutation("customers", customer, "update", **known))
    world.records["conflicts"] = conflict_id("customers", customer, "invoicing")
    world.ids["role"].add(world.records["conflicts"])
    for who, second in (("owner", "59"), ("porto", "00")):
        fields = {"note": f"CANARY-PORTO-{second}"}
        late = {"fields": fields, "timestamp": TIMESTAMP.replace("00.000Z", f"{second}.000Z")}
        await world.sync(who, world.mutation("sales", sale, "update", **late))
    odd: dict[str, Any] = {
        "mutation_id": 1,
        "uid": world.new_id(),
        "collection": "CANARY-PORTO",
        "fields": {"CANARY-PORTO": 1},
    }
    waits = world.mutation("sales", world.new_id(), "update", mutation_id=2, fields={"note": "CANARY-PORTO"})
    rest = [{"mutation_id": n, "uid": world.new_id(), "op": "noop"} for n in range(3, COUNT + 1)]
    world.client, world.uid, world.late = world.new_id(), odd["uid"], waits["uid"]
    answer = await world.sync("porto", odd, waits, *rest, client_id=world.client)
    assert [one["status"] for one in answer["verdicts"][:2]] == ["rejected", "waiting"]
    world.ids["porto"] |= {world.client, odd["uid"], waits["uid"], waits["record_id"]}
    came = world.mutation("sales", waits["record_id"], "create", fields=sale_fields(note="CANARY-PORTO"))
    assert (await world.sync("porto", came))["verdicts"][0]["status"] == "applied"
    for who in ("owner", "porto"):
        world.cursors.append((await world.sync(who, collections=[*registry().collections]))["cursor"])


async def _epoch(world: World) -> str:
    epoch: str = (await world.sync("owner"))["epoch"]
    return epoch
