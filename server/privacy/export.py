"""Everything that is held about a customer, as one document: theirs to take along (GDPR, articles 15 and 20).

Only declared places are looked at: fields that collections call personal or kept, and the copies of them that `kept`
knows. It is read in one transaction, so it is of one moment.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.audit import Actor, Entry, note
from server.engine.records import Records
from server.privacy.erase import CUSTOMERS, UnknownPersonError
from server.privacy.kept import BATCH, FIRST, REFUSED, WAITING, Wanted, naming_mutations
from server.privacy.naming import namings
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.conflicts import CONFLICTS, conflict_id
from sync.outcome import WHOLE
from sync.workspace import Key

_LOST = Statement(
    """SELECT field, value, stamp, author, noted_at FROM superseded WHERE tenant_id = :tenant_id
       AND collection = :collection AND record_id = :record_id ORDER BY noted_at, uid, field"""
)
_SENT = """SELECT o.delivery_id, o.route, o.state, o.created_at, o.payload FROM endpoints AS e JOIN outbox AS o
       ON o.tenant_id = e.tenant_id AND o.endpoint_id = e.endpoint_id AND o.collection = :collection
       AND o.record_id = :record_id WHERE e.tenant_id = :tenant_id AND {holds}"""
_DELIVERIES = Statement(f"{_SENT.format(holds='o.holds')} UNION ALL {_SENT.format(holds='NOT o.holds')}")
_EVENTS = Statement(
    """SELECT receipt_id, provider, event_type, received_at, records FROM inbox WHERE tenant_id = :tenant_id
       AND receipt_id > :after AND records IS NOT NULL ORDER BY receipt_id LIMIT :most"""
)
_BODY = Statement("SELECT body FROM inbox WHERE tenant_id = :tenant_id AND receipt_id = :receipt_id")
_INVOICES = Statement("SELECT id FROM invoices WHERE tenant_id = :tenant_id AND supplier_vat = :vat ORDER BY id")


@dataclass(frozen=True, slots=True)
class Held:
    """What is held about a customer. `naming`: records that name them, by collection; `erased`: nothing is left."""

    customer_id: str
    erased: bool
    record: Mapping[str, Any]
    conflicts: Sequence[Mapping[str, Any]]
    naming: Mapping[str, Sequence[Mapping[str, Any]]]
    superseded: Sequence[Mapping[str, Any]]
    rejected: Sequence[Any]
    waiting: Sequence[Any]
    deliveries: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]


class Exporter:
    """Gathers what is held."""

    def __init__(self, database: Database, writer: Writer, records: Records) -> None:
        """`writer` notes who was given it."""
        self._database, self._writer, self._records = database, writer, records

    async def export(self, tenant_id: str, record_id: str, actor: Actor) -> Held:
        """Everything, noted in the audit. Raises UnknownPersonError, UnknownTenantError."""
        held = await self.look(tenant_id, record_id)

        async def job(writing: Writing) -> None:
            writing.tenant(tenant_id)
            await note(writing, tenant_id, Entry("customer.export", actor, "customer", record_id))

        await self._writer.submit(Job([tenant_id], job))
        return held

    async def look(self, tenant_id: str, record_id: str) -> Held:
        """The same, for who may see it anyway. Raises UnknownPersonError."""

        async def work(tx: Tx) -> Held | None:
            return await self._look(tx, tenant_id, record_id)

        held = await self._database.read(work)
        if held is None:
            raise UnknownPersonError
        return held

    async def _look(self, tx: Tx, tenant_id: str, record_id: str) -> Held | None:
        collection = self._records.registry.collections[CUSTOMERS]
        key: Key = (CUSTOMERS, record_id)
        conflicts = [(CONFLICTS, conflict_id(*key, label)) for label in (*collection.manual, WHOLE)]
        found = await self._records.load(tx, tenant_id, [key, *conflicts])
        if key not in found:
            return None
        naming = await self._naming(tx, tenant_id, record_id)
        naming["invoices"] = await self._invoices(tx, tenant_id, found[key].fields.get("vat_number"))
        theirs: list[Key] = [key, *((name, one["record_id"]) for name, many in naming.items() for one in many)]
        wanted = self._wanted(tenant_id, [key, *conflicts])
        return Held(
            customer_id=record_id,
            erased=found[key].erased,
            record=found[key].fields,
            conflicts=[found[one].fields for one in conflicts if one in found and not found[one].erased],
            naming=naming,
            superseded=[one for place in theirs for one in await _lost(tx, tenant_id, place)],
            rejected=await naming_mutations(tx, REFUSED, wanted),
            waiting=await naming_mutations(tx, WAITING, wanted),
            deliveries=[one for place in theirs for one in await _sent(tx, tenant_id, place)],
            events=await self._events(tx, wanted),
        )

    async def _naming(self, tx: Tx, tenant_id: str, record_id: str) -> dict[str, list[Mapping[str, Any]]]:
        found: dict[str, list[Mapping[str, Any]]] = {}
        for name, naming in namings(self._records, CUSTOMERS).items():
            after, found[name] = FIRST, []
            while ids := await naming.ids(tx, tenant_id, record_id, after, BATCH):
                found[name] += await self._load(tx, tenant_id, name, ids)
                after = ids[-1]
        return found

    async def _invoices(self, tx: Tx, tenant_id: str, vat: str | None) -> list[Mapping[str, Any]]:
        """A customer may be a supplier, too: known by the number that both must give."""
        ids = [row[0] for row in await tx.fetch(_INVOICES, (tenant_id, vat))] if vat else []
        return await self._load(tx, tenant_id, "invoices", ids)

    async def _load(self, tx: Tx, tenant_id: str, name: str, ids: Sequence[str]) -> list[Mapping[str, Any]]:
        loaded = await self._records.load(tx, tenant_id, [(name, one) for one in ids])
        return [{"record_id": one, **loaded[name, one].fields} for one in ids]

    def _wanted(self, tenant_id: str, keys: Sequence[Key]) -> Wanted:
        return Wanted(tenant_id, keys, {name: one.among for name, one in namings(self._records, CUSTOMERS).items()})

    async def _events(self, tx: Tx, wanted: Wanted) -> list[Mapping[str, Any]]:
        tenant_id, after, found = wanted.tenant_id, FIRST, list[Mapping[str, Any]]()
        while rows := await tx.fetch(_EVENTS, {"tenant_id": tenant_id, "after": after, "most": BATCH}):
            brought = {row[0]: {(one["collection"], one["record_id"]) for one in json.loads(row[4])} for row in rows}
            theirs = await wanted.among(tx, set().union(*brought.values()))
            for receipt_id, provider, event_type, received_at, _ in rows:
                if brought[receipt_id] & theirs:
                    ((body,),) = await tx.fetch(_BODY, (tenant_id, receipt_id))
                    told = {"receipt_id": receipt_id, "provider": provider, "event_type": event_type}
                    found.append({**told, "received_at": received_at, "body": bytes(body).decode(errors="replace")})
            after = rows[-1][0]
        return found


async def _lost(tx: Tx, tenant_id: str, place: Key) -> list[Mapping[str, Any]]:
    names = ("field", "value", "written_at", "author", "superseded_at")
    rows = [dict(zip(names, row, strict=True)) for row in await tx.fetch(_LOST, (tenant_id, *place))]
    return [{"collection": place[0], "record_id": place[1], **row, "value": json.loads(row["value"])} for row in rows]


async def _sent(tx: Tx, tenant_id: str, place: Key) -> list[Mapping[str, Any]]:
    names = ("delivery_id", "route", "state", "created_at", "payload")
    named = {"tenant_id": tenant_id, "collection": place[0], "record_id": place[1]}
    rows = [dict(zip(names, row, strict=True)) for row in await tx.fetch(_DELIVERIES, named)]
    return [{**row, "payload": json.loads(row["payload"])} for row in rows]
