"""Comparing what is due, and writing what came of it: inside the transaction of whoever calls, under the tenant's lock.

Rules:

1. A reconciliation's id follows from its closing, or from its till and number: there is one, whoever looks, how often.
2. Only fields that changed are written, as an ordinary server-side mutation: what compares as before makes no news.
3. It was opened when it first did not add up, and keeps that instant until it adds up; open again, it begins anew.
4. A number that was used twice is flagged on its sales for good; that is over when all but one are voided.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from pydantic_core import to_json

from server.collections.closures import MOST_RECEIPTS
from server.engine.records import Records
from server.ids import derived
from server.ports import Applying, Cause
from server.reconcile.compare import Gap, compare
from server.reconcile.news import Due
from server.reconcile.rows import (
    Numbered,
    arrived_in,
    arrived_unnumbered,
    closings_around,
    ending_a_gap,
    numbers_in,
    same_number,
)
from server.storage.database import Tx
from server.storage.writer import Writing
from sync.collection import Fields
from sync.protocol import Mutation
from sync.record import Record

log: structlog.stdlib.BoundLogger = structlog.get_logger()

AUTHOR = "system:reconcile"
FLAG = "receipt_used_twice"
CLOSURES, RECONCILIATIONS, SALES = "closures", "reconciliations", "sales"


class Settling:
    """Compares and writes. Made once a process."""

    def __init__(self, records: Records, applying: Applying) -> None:
        """Both are shared with the rest of the process."""
        self._records, self._applying = records, applying

    async def settle(self, writing: Writing, tenant_id: str, due: Due) -> int:
        """Compare what is due; how many records were written. Raises UnknownTenantError, DatabaseError."""
        tx = writing.tx
        wanted = await self._closings(tx, tenant_id, due.closings)
        flags, twice = await self._doubles(tx, tenant_id, due.doubles, writing.now)
        told = await self._told(tx, tenant_id, {**wanted, **twice}, writing.now)
        epoch = writing.tenant(tenant_id).epoch  # read under the lock: what is here was seen
        mutations: list[Mutation] = [{**one, "epoch": epoch} for one in (*flags, *told)]
        if mutations:
            cause = Cause(f"reconcile-{writing.now}")
            outcomes = await self._applying.apply(writing, tenant_id, AUTHOR, mutations, cause)
            for refused in (one for one in outcomes if one.status == "rejected"):
                log.error("reconciliation_refused", alarm=True, tenant_id=tenant_id, code=refused.code)
        return len(mutations)

    async def _closings(self, tx: Tx, tenant_id: str, ids: Iterable[str]) -> dict[str, Fields]:
        """What to say of closings, by the id of its record."""
        loaded = await self._load(tx, tenant_id, CLOSURES, ids)
        following = await _following(tx, tenant_id, loaded.values())
        loaded |= await self._load(tx, tenant_id, CLOSURES, following - loaded.keys())
        return {
            derived("reconciliation", tenant_id, closure_id): {
                **_whose(record.fields, "closing"),
                "closure_id": closure_id,
                **await _compared(tx, tenant_id, record),
            }
            for closure_id, record in loaded.items()
        }

    async def _doubles(
        self, tx: Tx, tenant_id: str, numbers: Iterable[tuple[str, int]], now: str
    ) -> tuple[list[Mutation], dict[str, Fields]]:
        """Flags for sales whose number was used before, and what to say of such numbers."""
        found = await same_number(tx, tenant_id, numbers)
        sales = await self._load(tx, tenant_id, SALES, [one for ids in found.values() for one in ids])
        flags = [_flagging(one, sale, now) for one, sale in sorted(sales.items()) if FLAG not in sale.fields["flags"]]
        said = {}
        for (terminal_id, number), ids in sorted(found.items()):
            record_id = derived("reconciliation", tenant_id, terminal_id, str(number))
            said[record_id] = _used_twice(number, [sales[one].fields for one in ids])
        return flags, said

    async def _told(self, tx: Tx, tenant_id: str, wanted: dict[str, Fields], now: str) -> list[Mutation]:
        have = await self._load(tx, tenant_id, RECONCILIATIONS, wanted)
        found = [_change(record_id, have.get(record_id), said, now) for record_id, said in sorted(wanted.items())]
        return [mutation for mutation in found if mutation is not None]

    async def _load(self, tx: Tx, tenant_id: str, collection: str, ids: Iterable[str]) -> dict[str, Record]:
        found = await self._records.load(tx, tenant_id, [(collection, record_id) for record_id in ids])
        return {record_id: record for (_, record_id), record in found.items() if not record.deleted}


async def _following(tx: Tx, tenant_id: str, closings: Iterable[Record]) -> set[str]:
    """Closings whose gap ends where one of these begins or began."""
    found: set[str] = set()
    for closing in closings:
        first = closing.fields["first_receipt"]
        if first is not None:
            _, after = await closings_around(tx, tenant_id, closing.fields["terminal_id"], first)
            found |= ending_a_gap(after)
    return found


async def _compared(tx: Tx, tenant_id: str, closing: Record) -> Fields:
    said = closing.fields
    if said["status"] == "voided":  # it says nothing any more, so nothing contradicts it
        return {"status": "closed", "missing": [], "unclosed": [], "differences": [], "unvoided": []}
    terminal_id, first, last = said["terminal_id"], said["first_receipt"], said["last_receipt"]
    if first is None:
        return compare(said, await arrived_unnumbered(tx, tenant_id, terminal_id, said["business_day"]))
    arrived = await arrived_in(tx, tenant_id, terminal_id, first, last)
    return compare(said, arrived, await _gap(tx, tenant_id, terminal_id, first))


async def _gap(tx: Tx, tenant_id: str, terminal_id: str, first: int) -> Gap | None:
    """The numbers between this closing and the one before; None where there is none before, or no gap."""
    before, _ = await closings_around(tx, tenant_id, terminal_id, first - 1)
    standing: Sequence[Numbered] = [one for one in before if one.status != "voided"]
    if not standing:
        return None
    begin = max(max(one.last for one in standing) + 1, first - MOST_RECEIPTS)
    if begin >= first:
        return None
    return Gap(begin, first - 1, await numbers_in(tx, tenant_id, terminal_id, begin, first - 1))


def _whose(fields: Fields, kind: str) -> Fields:
    return {"kind": kind, **{name: fields[name] for name in ("shop", "terminal_id", "business_day")}}


def _used_twice(number: int, sales: Sequence[Fields]) -> Fields:
    standing = [one for one in sales if one["status"] != "voided"]
    return {
        **_whose(sales[0], "receipt"),
        "receipt_no": number,
        "status": "open" if len(standing) > 1 else "closed",
        "expected_count": 1,
        "arrived_count": len(standing),
        "doubles": [number],
    }


def _flagging(record_id: str, sale: Record, now: str) -> Mutation:
    return _mutation(SALES, record_id, sale, {"flags": sorted({*sale.fields["flags"], FLAG})}, now)


def _change(record_id: str, have: Record | None, said: Fields, now: str) -> Mutation | None:
    """The mutation that makes a reconciliation say that, or None where it does."""
    if have is None:
        fields = {**said, "opened_at": now, "closed_at": now if said["status"] == "closed" else None}
        return _mutation(RECONCILIATIONS, record_id, None, fields, now)
    changed: dict[str, Any] = {name: value for name, value in said.items() if have.fields[name] != value}
    if not changed:
        return None
    if "status" in changed:
        changed["closed_at"] = now if said["status"] == "closed" else None
        if said["status"] == "open":
            changed |= {"opened_at": now, "accepted": False}
    return _mutation(RECONCILIATIONS, record_id, have, changed, now)


def _mutation(collection: str, record_id: str, have: Record | None, fields: Fields, now: str) -> Mutation:
    version = 0 if have is None else have.version
    mutation: Any = {
        "mutation_id": 1,
        "uid": derived("reconciled", collection, record_id, str(version), to_json(fields).decode()),
        "op": "create" if have is None else "update",
        "collection": collection,
        "record_id": record_id,
        "base_version": version,
        "timestamp": now,
        "fields": fields,
    }
    return mutation  # type: ignore[no-any-return]  # the wire's own form, checked by the engine
