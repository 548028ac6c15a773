"""A till or a phone, as a process of its own: `python -m tests.demo.client <file of its orders>`.

It syncs all the time, network or not, and does what standard input tells it, one JSON object a line. Every order says
how things should be in the end, and the journal on disk says how far they are: a killed client that is started again
and told the same goes on where it was. The end of the input ends it.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx

from sync.client import Draft, Moment, Options, SyncClient
from tests.demo.goods import (
    CUSTOMER,
    NOTE,
    PRODUCTS,
    RENAMED,
    customer_fields,
    ids_by_first_name,
    money,
    product_fields,
    sale_fields,
)

COLLECTIONS = ("sales", "products", "customers", "invoices")
_TIMEOUT_S = 4.0
_LOOK_S = 0.05


@dataclass(frozen=True)
class Orders:
    """What a client is started with; the file is its owner's alone, for it holds the token."""

    name: str
    database: str
    url: str
    token: str
    seed: int
    batch: int = 25

    def write(self, file: Path) -> None:
        """Keep them for the process to read."""
        file.touch(0o600)
        file.write_text(json.dumps(asdict(self)))


class Person:
    """Who uses the device."""

    def __init__(self, client: SyncClient, orders: Orders) -> None:
        self._client, self._orders = client, orders

    async def obey(self, order: Mapping[str, Any]) -> None:
        """Do one thing."""
        match order["do"]:
            case "stock":
                self._stock()
            case "sell":
                await self._sell(order["sales"], order["void_every"])
            case "edit":
                await self._edit()
            case unknown:
                raise ValueError(f"no such order: {unknown}")
        say("done", order=order["do"])

    def _stock(self) -> None:
        """Make the shop's goods, in one transaction."""
        if self._client.entries():
            return
        increments = [{"stock": f"{product.stock}.000"} for product in PRODUCTS]
        goods = [
            Draft("products", "create", fields=product_fields(product), increments=counted)
            for product, counted in zip(PRODUCTS, increments, strict=True)
        ]
        self._client.mutate_all(*goods, Draft("customers", "create", fields=customer_fields()))

    async def _sell(self, sales: int, void_every: int) -> None:
        """Ring up sales until there are so many, then void some of them."""
        terminal, products = self._orders.name, await self._products()
        sold = [entry.record_id for entry in self._client.entries() if entry.content["op"] == "create"]
        for number in range(len(sold) + 1, sales + 1):
            made = self._client.sell(sale_fields(self._orders.seed, terminal, number, products))
            sold.append(made.record_id)
            await anyio.lowlevel.checkpoint()
        voided = {entry.record_id for entry in self._client.entries() if entry.content["op"] == "update"}
        for record_id in sold[void_every - 1 :: void_every]:
            if record_id not in voided:
                self._client.update("sales", record_id, {"status": "voided"})

    async def _edit(self) -> None:
        """Give a product another name and note something about a customer."""
        if any(entry.content["op"] == "update" for entry in self._client.entries()):
            return
        (customer,) = [key for key, one in self._client.records("customers").items() if one.fields["name"] == CUSTOMER]
        before, after = RENAMED
        product = (await self._products())[before]
        self._client.mutate_all(
            Draft("products", "update", product, {"name": after, "price": money(130)}),
            Draft("customers", "update", customer, {"note": NOTE}),
        )

    async def _products(self) -> Mapping[str, str]:
        """Ids by the name at first, once all products are here."""
        while len(found := self._client.records("products")) < len(PRODUCTS):
            await anyio.sleep(_LOOK_S)
        return ids_by_first_name({record_id: one.fields["name"] for record_id, one in found.items()})


def say(event: str, **more: object) -> None:
    """One line for the log; it names nobody."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    sys.stderr.write(json.dumps({"at": at, "event": event, **more}) + "\n")


async def _tell_request(request: httpx.Request) -> None:
    say("request", path=request.url.path, correlation_id=request.headers["x-request-id"])


def _tell_moment(moment: Moment) -> None:
    if moment.error is not None:
        say("trouble", state=moment.state, code=moment.error.code, reason=moment.error.reason)


async def main(file: str) -> None:
    """Live until the input ends."""
    orders = Orders(**json.loads(await anyio.Path(file).read_text()))
    options = Options(
        COLLECTIONS, batch=orders.batch, interval_s=1, backoff_base_s=0.3, backoff_cap_s=2, timeout_s=_TIMEOUT_S
    )
    hooks = {"request": [_tell_request]}
    async with (
        httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False, event_hooks=hooks) as http,
        SyncClient(orders.database, orders.url, orders.token, options, http=http) as client,
        anyio.create_task_group() as tasks,
    ):
        client.watch(_tell_moment)
        tasks.start_soon(client.run)
        tasks.start_soon(client.live)
        person = Person(client, orders)
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            await person.obey(json.loads(line))
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
