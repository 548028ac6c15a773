"""A customer's whole file: canaries in every place that may hold what a person is called, and the way to look for them.

`CANARY-PERSON` stands in the record and in all that ever was said of it; `CANARY-NOTE` in sales that name it.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlmodel import SQLModel
from standardwebhooks import Webhook

from server.app import Core, create_app, open_core
from server.settings import Settings
from server.storage.database import Tx
from server.storage.statement import Statement
from tests.http.walls import texts
from tests.support.serving import in_process
from tests.support.shop import TIMESTAMP, Ids, sale_fields

PERSON, NOTE = "CANARY-PERSON", "CANARY-NOTE"
SECRET = "whsec_" + base64.b64encode(b"secret-of-the-point-of-sale-0001").decode()
_LATER = TIMESTAMP.replace("00.000Z", "09.000Z")


@dataclass
class File:
    """An installation, its owner, and a customer."""

    core: Core
    http: httpx.AsyncClient
    tenant_id: str = ""
    token: str = ""
    address: str = ""
    new_id: Ids = field(default_factory=lambda: Ids(71))
    customer: str = ""
    sale: str = ""
    epoch: str = ""

    async def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        """A request of the owner's."""
        return await self.http.request(method, path, headers={"Authorization": f"Bearer {self.token}"}, **request)

    async def sync(self, *mutations: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """One exchange of a client that was never here."""
        body = {"protocol": 1, "client_id": self.new_id(), "mutations": list(mutations)} | more
        answer = await self.call("POST", "/v1/sync", json=body)
        assert answer.status_code == 200, answer.text
        self.epoch = answer.json()["epoch"]
        parsed: dict[str, Any] = answer.json()
        return parsed

    def mutation(self, collection: str, record_id: str, op: str, **more: Any) -> dict[str, Any]:
        """A client's first mutation."""
        known = {"mutation_id": 1, "uid": self.new_id(), "timestamp": TIMESTAMP, "base_version": 0}
        return known | {"collection": collection, "record_id": record_id, "op": op} | more

    async def erase(self, *, dry_run: bool = False) -> dict[str, Any]:
        """By the owner's own address."""
        path, form = f"/v1/customers/{self.customer}/erase", {"reason": "request", "dry_run": dry_run}
        answer = await self.call("POST", path, json=form)
        assert answer.status_code == 200, answer.text
        parsed: dict[str, Any] = answer.json()
        return parsed

    async def holding(self, *canaries: str) -> set[str]:
        """The tables that hold a canary, in whatever column."""

        async def work(tx: Tx) -> set[str]:
            found = set()
            for name in SQLModel.metadata.tables:
                rows = await tx.fetch(Statement(f"SELECT * FROM {name} /* all */"), ())  # noqa: S608  # our own names
                if any(canary in _text(row) for row in rows for canary in canaries):
                    found.add(name)
            return found

        return await self.core.database.read(work)


def _text(row: Any) -> str:
    return " ".join(one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in tuple(row))


@asynccontextmanager
async def open_file(settings: Settings, tenant_id: str = "", token: str = "") -> AsyncIterator[File]:
    """Everything that can be held about one customer; with a `tenant_id`, an installation as it was left."""
    async with (
        open_core(settings, migrate=False) as core,
        in_process(create_app(settings, migrate=False)) as http,
    ):
        file = File(core, http, tenant_id, token)
        if tenant_id:
            yield file
            return
        file.tenant_id = await core.admin.add_tenant("Bar Centrale")
        file.token = (await core.admin.add_device(file.tenant_id, "Ufficio", "owner", "centro")).token
        await core.endpoints.add(
            file.tenant_id, "http", "Contabile", {"url": "https://example.org/x", "secret": SECRET}
        )
        pos = await core.endpoints.add(file.tenant_id, "pos", "Cassa", {"shop": "centro", "secret": SECRET})
        file.address = pos.webhook_path
        await _fill(file)
        yield file


async def _fill(file: File) -> None:
    customer = file.customer = file.new_id()
    await file.sync(file.mutation("customers", customer, "create", fields=texts("customers", PERSON)))
    for second in (1, 2):  # neither has seen the other: a conflict about the numbers, a name that lost
        numbers = dict.fromkeys(("vat_number", "tax_code", "sdi_code"), f"{PERSON}-C{second}")
        fields = {**numbers, "name": f"{PERSON}-N{second}"}
        known = {"fields": fields, "base_version": 1, "epoch": file.epoch}
        await file.sync(file.mutation("customers", customer, "update", **known))
    broken = {"name": "", "address": f"{PERSON}-REJECTED"}
    answer = await file.sync(file.mutation("customers", customer, "update", fields=broken))
    assert answer["verdicts"][0]["status"] == "rejected"
    sale = file.sale = file.new_id()
    await file.sync(file.mutation("sales", sale, "create", fields=sale_fields(customer_id=customer, note=NOTE)))
    for note, at in ((f"{NOTE}-2", TIMESTAMP), (f"{NOTE}-3", _LATER)):
        await file.sync(file.mutation("sales", sale, "update", fields={"note": note}, timestamp=at))
    wrong = sale_fields(customer_id=customer, note=NOTE, total="9.99")
    assert (await file.sync(file.mutation("sales", file.new_id(), "create", fields=wrong)))["verdicts"][0]["code"]
    waits = file.mutation("sales", file.new_id(), "update", fields={"customer_id": customer, "note": NOTE})
    assert (await file.sync(waits))["verdicts"][0]["status"] == "waiting"


async def tell(file: File, body: Mapping[str, Any]) -> None:
    """A webhook of the point of sale."""
    text, now = json.dumps(body), datetime.now(UTC)
    event_id = file.new_id()
    headers = {"webhook-id": event_id, "webhook-timestamp": str(int(now.timestamp()))}
    signature = Webhook(SECRET).sign(event_id, now, text)
    answer = await file.http.post(file.address, content=text, headers=headers | {"webhook-signature": signature})
    assert answer.json() == {"status": "stored"}
