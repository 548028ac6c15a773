"""A till that sells and closes, the reconciler, and an owner's phone that sees what it finds."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from server.reconcile.settle import Settling
from server.reconcile.worker import Reconciler
from sync.vat import split
from sync.wire import decimal_text, units_of
from tests.support.shop import TIMESTAMP, Shop, Till, open_shop, sale_fields

DAY = "2025-11-24"
RECONCILIATIONS = ("reconciliations",)


@dataclass
class Desk:
    """One shop's."""

    shop: Shop
    reconciler: Reconciler
    till: Till
    owner: Till

    async def sell(self, *numbers: int, **fields: Any) -> list[str]:
        """Sales of these numbers; their ids."""
        made = [self.till.mutation("sales", self.shop.new_id(), fields=sold(number, **fields)) for number in numbers]
        await self._accepted(self.till, made)
        return [one["record_id"] for one in made]

    async def close(self, *numbers: int, **replaced: Any) -> str:
        """A closing over sales of these numbers, as a till states it; its id."""
        sales = replaced.pop("sales", [sold(number) for number in numbers])
        made = self.till.mutation("closures", self.shop.new_id(), fields=closing(sales) | replaced)
        await self._accepted(self.till, [made])
        return str(made["record_id"])

    async def void(self, collection: str, record_id: str) -> None:
        """Void a sale or a closing."""
        known = {"fields": {"status": "voided"}, "base_version": 9, "epoch": self.owner.epoch}
        await self._accepted(self.owner, [self.owner.mutation(collection, record_id, "update", **known)])

    async def _accepted(self, till: Till, mutations: Sequence[Mapping[str, Any]]) -> None:
        answer = await till.send(*mutations)
        assert [(v["status"], v["code"]) for v in answer["verdicts"]] == [("applied", None)] * len(mutations)

    async def found(self) -> list[Mapping[str, Any]]:
        """Compare, and give what the owner's phone has of it then, by kind and number or day."""
        await self.reconciler.once()
        await self.owner.pull("reconciliations", "sales", "closures")
        said = [c["fields"] for (name, _), c in self.owner.received.items() if name == "reconciliations"]
        return sorted(said, key=lambda one: (one["kind"], one["business_day"], one["receipt_no"] or 0))

    async def only(self) -> Mapping[str, Any]:
        """The only reconciliation there is."""
        (one,) = await self.found()
        return one

    async def flags(self, record_id: str) -> list[str]:
        """A sale's."""
        await self.owner.pull("reconciliations", "sales", "closures")
        flags: list[str] = self.owner.received["sales", record_id]["fields"]["flags"]
        return flags


def sold(number: int, **fields: Any) -> dict[str, Any]:
    """A sale of a coffee, or with a `gross` of its own (by rate)."""
    gross: Mapping[str, str] = fields.pop("gross", {"10.00": "1.20"})
    vat = [vat_line(rate, units_of(amount, 2)) for rate, amount in gross.items()]
    total = decimal_text(sum(units_of(amount, 2) for amount in gross.values()), 2)
    return sale_fields(number, **{"vat": vat, "total": total, **fields})


def vat_line(rate: str, gross: int) -> dict[str, str]:
    """The sums of one rate."""
    net, vat = split(gross, units_of(rate, 2))
    return {"rate": rate, "gross": decimal_text(gross, 2), "net": decimal_text(net, 2), "vat": decimal_text(vat, 2)}


def closing(sales: Sequence[Mapping[str, Any]], day: str = DAY) -> dict[str, Any]:
    """What a till states at the end of a day of these sales."""
    rates: dict[str, int] = {}
    methods: dict[str, int] = {}
    for sale in sales:
        for line in sale["vat"]:
            rates[line["rate"]] = rates.get(line["rate"], 0) + units_of(line["gross"], 2)
        methods[sale["payment_method"]] = methods.get(sale["payment_method"], 0) + units_of(sale["total"], 2)
    numbers = [sale["receipt_no"] for sale in sales]
    return {
        "terminal_id": "T1",
        "business_day": day,
        "closed_at": TIMESTAMP,
        "count": len(sales),
        "first_receipt": min(numbers) if any(numbers) else None,
        "last_receipt": max(numbers) if any(numbers) else None,
        "voided": [],
        "total": decimal_text(sum(rates.values()), 2),
        "vat": [vat_line(rate, gross) for rate, gross in sorted(rates.items())],
        "payments": [{"method": m, "total": decimal_text(c, 2)} for m, c in sorted(methods.items())],
    }


@asynccontextmanager
async def open_desk(url: str) -> AsyncIterator[Desk]:
    """On a migrated database, with one tenant."""
    async with open_shop(url) as shop:
        reconciler = Reconciler(shop.database, shop.writer, Settling(shop.records, shop.applier))
        yield Desk(shop, reconciler, shop.device(), shop.device("owner", shops=("centro",)))
