"""Issuing: invoices that clients ask for are composed and numbered in the transaction that accepts the asking.

Rules:

1. Numbers of a series and a year follow one another without a gap: one is taken under the tenant's lock, in the very
   transaction that stores its invoice, and only where nothing is wrong with that. What is wrong is said in `problems`.
2. A number and a date are given once. An invoice that the SDI discarded keeps both when it is asked for again, and
   gets a new file name, for the SDI takes no name twice.
3. Each file name is written down as a name of its record (`identities`), so that a receipt finds it by that alone,
   whatever became of our own call. Once there is a newer file, receipts of the older ones move nothing.
4. A sale that is voided takes its invoice back: by a credit note where it was issued, else by cancelling it. Should SDI
   discard the invoice when its note is out, it is corrected all the same: the note takes back what must be there.
5. What was asked for in a history that was lost may have been issued there under another number: it is not issued
   again by itself. Whoever looks, raises `first_number` where numbers were used, and asks again.
6. One endpoint that is bound to send names the seller in its settings; with none, or two, nothing is issued.
7. A sale has one invoice, whoever asks for another; a day that has not come in Rome is none to issue on (00403).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic_core import to_json

from server.collections.issued_invoices import SENDING
from server.engine.document import buyer_of, goods_of, seller_of
from server.engine.records import Records
from server.ids import derived
from server.storage.statement import Statement
from server.storage.writer import Tenant, Writing
from sync.collection import Fields, Op
from sync.judge import Accepted, Judge
from sync.outcome import Writer as Author
from sync.protocol import Mutation
from sync.record import Record
from sync.scope import Scope
from sync.workspace import Key, Workspace

ISSUED = "issued_invoices"
AUTHOR = "system:issuing"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PROGRESSIVE = 5
"""How long the last part of a file's name may be."""

_SERVER = Scope("server", frozenset())
_ROME = ZoneInfo("Europe/Rome")
_SENDERS = Statement(
    """SELECT e.provider, e.endpoint_id, e.settings, t.epoch_at FROM tenants AS t
       LEFT JOIN bindings AS b ON b.tenant_id = t.tenant_id AND b.route IN (SELECT value FROM json_each(:routes))
       LEFT JOIN endpoints AS e ON e.tenant_id = b.tenant_id AND e.endpoint_id = b.endpoint_id
       WHERE t.tenant_id = :tenant_id""",
    postgresql="""SELECT e.provider, e.endpoint_id, e.settings, t.epoch_at FROM tenants AS t
       LEFT JOIN bindings AS b ON b.tenant_id = t.tenant_id
         AND b.route IN (SELECT json_array_elements_text(:routes::json))
       LEFT JOIN endpoints AS e ON e.tenant_id = b.tenant_id AND e.endpoint_id = b.endpoint_id
       WHERE t.tenant_id = :tenant_id""",
)
_OF_SALES = Statement(
    """SELECT id FROM issued_invoices WHERE tenant_id = :tenant_id AND document_type = 'TD01'
       AND sale_id IN (SELECT value FROM json_each(:sales)) ORDER BY id""",
    postgresql="""SELECT id FROM issued_invoices WHERE tenant_id = :tenant_id AND document_type = 'TD01'
       AND sale_id IN (SELECT x::uuid FROM json_array_elements_text(:sales::json) AS j(x)) ORDER BY id""",
)
_NEXT = Statement(
    """INSERT INTO issued_numbers (tenant_id, counted, series, year, last)
       VALUES (:tenant_id, :counted, :series, :year, :first)
       ON CONFLICT (tenant_id, counted, series, year)
       DO UPDATE SET last = CASE WHEN issued_numbers.last >= excluded.last THEN issued_numbers.last + 1
         ELSE excluded.last END
       RETURNING last"""
)
_NAME = Statement(
    """INSERT INTO identities (tenant_id, collection, key, record_id, strong, watermark, final)
       VALUES (:tenant_id, 'issued_invoices', :key, :record_id, NULL, NULL, false)
       ON CONFLICT (tenant_id, collection, key) DO NOTHING"""
)

_OUTLIVE = Statement(
    """UPDATE identities SET watermark = :latest, final = true
       WHERE tenant_id = :tenant_id AND collection = 'issued_invoices' AND record_id = :record_id"""
)
LATEST = 1_000_000
"""Later than any receipt: with this, what still comes of a file is old."""

Told = Callable[[Accepted], None]


class Sender(NamedTuple):
    """The endpoint that sends, and the seller its settings name; `problem` where nothing can be issued."""

    via: str = ""
    endpoint_id: str = ""
    settings: Mapping[str, Any] = MappingProxyType({})
    seller: Fields | None = None
    problem: str | None = None
    epoch_at: str | None = None


class Issuing:
    """Composes, numbers, corrects and takes back."""

    def __init__(self, records: Records) -> None:
        """Shared with the rest of the process."""
        self._records = records

    async def complete(self, writing: Writing, tenant: Tenant, workspace: Workspace, accepted: Told) -> None:
        """Follow up what this transaction changed: what was asked for, what was voided."""
        asked = [key[1] for key, record in workspace.changed.items() if _is_asked(key, workspace.before[key], record)]
        voided = [key[1] for key, record in workspace.changed.items() if _is_voided(key, workspace.before[key], record)]
        if not asked and not voided:
            return
        desk = _Desk(self._records, writing, tenant, workspace, accepted)
        for record_id in asked:
            await desk.issue(record_id)
        if voided:
            await desk.take_back(voided)


def _is_asked(key: Key, before: Record | None, after: Record) -> bool:
    """Whether somebody wants an invoice composed: for the first time, or anew after it failed."""
    if key[0] != ISSUED or after.fields["submission"] == after.fields["submitted"] or after.deleted:
        return False
    if before is not None and before.fields["submission"] == after.fields["submission"]:
        return False
    status = after.fields["status"]
    is_discarded: bool = status == "issued" and after.fields["sdi_status"] == "discarded"
    return is_discarded or status in {"requested", "incomplete"}


def _is_voided(key: Key, before: Record | None, after: Record) -> bool:
    if key[0] != "sales" or before is None:
        return False
    return bool(after.fields["status"] == "voided" and before.fields["status"] != "voided")


class _Desk:
    """The issuing of one transaction."""

    def __init__(
        self, records: Records, writing: Writing, tenant: Tenant, workspace: Workspace, accepted: Told
    ) -> None:
        self._records, self._writing, self._tenant, self._workspace = records, writing, tenant, workspace
        author = Author(AUTHOR, tenant.epoch, writing.now, server=True)
        self._judge = Judge(records.registry, workspace, author, _SERVER, accepted)
        self._known: Sender | None = None

    async def issue(self, record_id: str) -> None:
        """Compose an invoice and number it, or say why not."""
        record = self._workspace.get((ISSUED, record_id))
        assert record is not None
        await self._write(record_id, "update", await self._composed(record_id, record.fields, record.stamp))

    async def take_back(self, sales: Sequence[str]) -> None:
        """The invoices of sales that no longer count."""
        for record_id in await self._invoices_of(sales):
            record = await self._get((ISSUED, record_id))
            if record is None or record.fields["status"] == "cancelled":
                continue
            if record.fields["status"] == "issued" and record.fields["sdi_status"] != "discarded":
                await self._credit(record_id, record.fields)
            else:
                await self._write(record_id, "update", {"status": "cancelled"})

    async def _invoices_of(self, sales: Sequence[str]) -> list[str]:
        """Their ids, whatever became of them; with those of this transaction."""
        named = {"tenant_id": self._tenant.tenant_id, "sales": to_json(sales).decode()}
        found = [str(row[0]) for row in await self._writing.tx.fetch(_OF_SALES, named)]
        fresh = [key[1] for key, one in self._workspace.changed.items() if _is_invoice_of(key, one, sales)]
        return list(dict.fromkeys([*found, *fresh]))

    async def _is_invoiced(self, record_id: str, sale_id: str) -> bool:
        """Whether a sale has an invoice beside this one, which has a number."""
        others = [await self._get((ISSUED, one)) for one in await self._invoices_of([sale_id]) if one != record_id]
        return any(one is not None and one.fields["status"] == "issued" for one in others)

    async def _is_credited(self, invoice_id: str) -> bool:
        """Whether its credit note is out."""
        note = await self._get((ISSUED, derived("credit_note", invoice_id)))
        return note is not None and bool(note.fields["status"] == "issued")

    def _today(self) -> str:
        return datetime.fromtimestamp(self._writing.now_ms / 1000, _ROME).date().isoformat()

    async def _credit(self, invoice_id: str, invoice: Fields) -> None:
        """Make the credit note, once."""
        note_id = derived("credit_note", invoice_id)
        if await self._get((ISSUED, note_id)) is not None:
            return
        note: Fields = {
            "shop": invoice["shop"],
            "sale_id": invoice["sale_id"],
            "customer_id": invoice["customer_id"],
            "issued_on": self._today(),
            "submission": 1,
            "document_type": "TD04",
            "credits": invoice_id,
            "credits_number": invoice["number"],
            "credits_issued_on": invoice["issued_on"],
        }
        unwritten = {"number": None, "year": None, "series": None, "sequence": None}
        composed = await self._composed(note_id, {**note, **unwritten}, self._writing.now)
        await self._write(note_id, "create", {**note, **composed})

    async def _composed(self, record_id: str, asked: Fields, stamp: str) -> Fields:
        """What the server writes: the whole document with its number and file, or its problems."""
        sender = await self._sender()
        content, problems = await self._content(asked)
        if "sale_voided" in problems and asked["number"] is not None and await self._is_credited(record_id):
            problems.remove("sale_voided")
        if asked["issued_on"] > self._today():
            problems.append("date_to_come")
        if asked.get("credits") is None and await self._is_invoiced(record_id, asked["sale_id"]):
            problems.append("already_invoiced")
        if sender.problem is not None:
            problems.append(sender.problem)
        if sender.epoch_at is not None and stamp < sender.epoch_at and asked["submission"] == 1:
            problems.append("asked_before_restore")
        done = {"submitted": asked["submission"], "problems": sorted(set(problems))}
        if problems:
            return done if asked["number"] else {**done, "status": "incomplete"}
        return {
            **done,
            **content,
            **(await self._number(asked, sender) if asked["number"] is None else {}),
            "via": sender.via,
            "seller": sender.seller,
            "status": "issued",
            "file_name": await self._file(record_id, sender, again=asked["number"] is not None),
            **dict.fromkeys(("delivery", "reference", "sdi_id", "sdi_status", "sdi_at")),
            "sdi_errors": [],
        }

    async def _content(self, asked: Fields) -> tuple[Fields, list[str]]:
        goods, problems = await self._goods(asked)
        customer = await self._get(("customers", asked["customer_id"]))
        if customer is None or customer.deleted:
            return goods, problems if goods.get("buyer") else [*problems, "no_customer"]
        buyer, missing = buyer_of(customer.fields)
        return {**goods, "buyer": buyer}, [*problems, *missing]

    async def _goods(self, asked: Fields) -> tuple[Fields, list[str]]:
        """From the sale; a credit note's from what it takes back, with its buyer, should the customer be gone."""
        if asked.get("credits") is not None:
            credited = await self._get((ISSUED, asked["credits"]))
            assert credited is not None
            names = ("lines", "vat", "total", "stamp_duty", "payment_method", "buyer")
            return {name: credited.fields[name] for name in names}, []
        sale = await self._get(("sales", asked["sale_id"]))
        return ({}, ["no_sale"]) if sale is None else goods_of(sale.fields)

    async def _number(self, asked: Fields, sender: Sender) -> Fields:
        series, year = str(sender.settings.get("series") or ""), int(asked["issued_on"][:4])
        sequence = await self._next("invoice", series, year, int(sender.settings.get("first_number") or 1))
        number = f"{sequence}/{series}" if series else str(sequence)
        return {"series": series, "year": year, "sequence": sequence, "number": number}

    async def _file(self, record_id: str, sender: Sender, *, again: bool) -> str:
        """A name that no file of this seller had, and that its receipts will find the record by."""
        prefix = str(sender.settings.get("file_prefix") or "R")
        count = await self._next("file", prefix, 0, 1)
        owner = sender.settings.get("transmitter") or f"IT{sender.settings['seller_vat_number']}"
        stem = f"{owner}_{prefix}{_base36(count).rjust(PROGRESSIVE - len(prefix), '0')}"
        key = f"{sender.endpoint_id}:{stem.lower()}"
        row = {"tenant_id": self._tenant.tenant_id, "record_id": record_id}
        if again:
            await self._writing.tx.execute(_OUTLIVE, {**row, "latest": LATEST})
        await self._writing.tx.execute(_NAME, {**row, "key": key})
        return f"{stem}.xml"

    async def _next(self, counted: str, series: str, year: int, first: int) -> int:
        named = {"tenant_id": self._tenant.tenant_id, "counted": counted, "series": series, "year": year}
        ((last,),) = await self._writing.tx.fetch(_NEXT, {**named, "first": first})
        return int(last)

    async def _sender(self) -> Sender:
        if self._known is None:
            named = {"tenant_id": self._tenant.tenant_id, "routes": to_json(SENDING).decode()}
            rows = await self._writing.tx.fetch(_SENDERS, named)
            self._known = _sender(rows, self._writing.now if self._tenant.renewed else None)
        return self._known

    async def _get(self, key: Key) -> Record | None:
        """A record as it stands in this transaction."""
        record = self._workspace.get(key)
        if record is None:
            record = (await self._records.load(self._writing.tx, self._tenant.tenant_id, [key])).get(key)
        return record

    async def _write(self, record_id: str, op: Op, fields: Fields) -> None:
        before = await self._get((ISSUED, record_id))
        version = 0 if before is None else before.version
        mutation = Mutation(
            mutation_id=0,
            uid=derived("issuing", record_id, str(version)),
            op=op,
            collection=ISSUED,
            record_id=record_id,
            timestamp=self._writing.now,
            base_version=version,
            epoch=self._tenant.epoch,
            fields=fields,
        )
        await self._records.extend(self._writing.tx, self._tenant.tenant_id, self._workspace, [mutation])
        outcome = self._judge.one(mutation)
        if outcome.status == "rejected":
            raise ValueError(f"an invoice that cannot be stored: {outcome.code}: {outcome.message}")


def _is_invoice_of(key: Key, record: Record, sales: Sequence[str]) -> bool:
    is_invoice = key[0] == ISSUED and record.fields["document_type"] == "TD01"
    return is_invoice and str(record.fields["sale_id"]) in sales


def _sender(rows: Sequence[Sequence[Any]], renewed_at: str | None) -> Sender:
    """The one endpoint with a seller; another one of its kind would be sent the same file."""
    epoch_at = renewed_at or rows[0][3]
    bound = [(provider, endpoint_id, json.loads(said)) for provider, endpoint_id, said, _ in rows if endpoint_id]
    naming = [(*one, seller) for one in bound if (seller := seller_of(one[2])) is not None]
    if not naming:
        return Sender(problem="no_seller" if bound else "no_sender", epoch_at=epoch_at)
    via, endpoint_id, settings, seller = naming[0]
    if len(naming) > 1 or [provider for provider, *_ in bound].count(via) > 1:
        return Sender(problem="two_senders", epoch_at=epoch_at)
    return Sender(via, endpoint_id, settings, seller, epoch_at=epoch_at)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits
