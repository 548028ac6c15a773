"""Reads what is to be judged: the server's tables and the devices' databases, as plain data."""

import json
from typing import Any

from server.storage.database import Database, Tx
from server.storage.statement import Statement
from tests.simulation.device import Device
from tests.simulation.models import records
from tests.simulation.standing import Delivery, Held, Key, Lost, OwnMutation, Remembered, Row, Seen, Standing

_SUPERSEDED = Statement("SELECT uid, field, collection, record_id, value, author FROM superseded WHERE tenant_id = :t")
_REJECTED = Statement("SELECT uid FROM rejected WHERE tenant_id = :t")
_HELD = Statement("SELECT collection, record_id, field, units FROM held_increments WHERE tenant_id = :t")
_DIGESTS = Statement("SELECT collection, audience, sum FROM digests WHERE tenant_id = :t")
_MUTATIONS = Statement("SELECT uid, client_id, mutation_id, version, verdict FROM mutations WHERE tenant_id = :t")
_OUTBOX = Statement(
    "SELECT route, collection, record_id, uid, payload FROM outbox WHERE tenant_id = :t ORDER BY sequence"
)


async def read_server(database: Database, tenant_id: str) -> Standing:
    """The server's rows, in one snapshot."""

    async def work(tx: Tx) -> Standing:
        named = {"t": tenant_id}
        return Standing(
            records=await _records(tx, tenant_id),
            superseded=[
                Lost(str(uid), field, (name, str(record_id)), json.loads(value), author)
                for uid, field, name, record_id, value, author in await tx.fetch(_SUPERSEDED, named)
            ],
            rejected=frozenset(str(uid) for (uid,) in await tx.fetch(_REJECTED, named)),
            held={
                (name, str(record_id), field): units for name, record_id, field, units in await tx.fetch(_HELD, named)
            },
            digests={(name, audience): total for name, audience, total in await tx.fetch(_DIGESTS, named)},
            mutations={
                str(uid): Remembered(str(client), number, version, verdict and json.loads(verdict))
                for uid, client, number, version, verdict in await tx.fetch(_MUTATIONS, named)
            },
            deliveries=[
                Delivery(route, (name, str(record_id)), str(uid), json.loads(payload)["type"])
                for route, name, record_id, uid, payload in await tx.fetch(_OUTBOX, named)
            ],
        )

    return await database.read(work)


async def _records(tx: Tx, tenant_id: str) -> dict[Key, Row]:
    found: dict[Key, Row] = {}
    for name, sql in records().sql.items():
        ids = [str(row[0]) for row in await tx.fetch(_ids(sql.table), {"t": tenant_id})]
        for record_id, record in (await sql.load(tx, tenant_id, ids)).items():
            collected = record.deleted and record.seq == 0
            found[name, record_id] = Row(record.version, record.deleted, collected, record.audience, record.fields)
    return found


def _ids(table: str) -> Statement:
    return Statement(f"SELECT id FROM {table} WHERE tenant_id = :t")  # noqa: S608  # names of our own


def read_device(device: Device) -> Seen:
    """What a device holds."""
    store, base, view = device.store, dict[Key, Held](), dict[Key, Any]()
    meta = store.meta()
    for name in device.options.collections:
        for one in store._base.records(meta, name):
            base[name, one.record_id] = Held(one.version, one.deleted, one.fields)
        for record_id, seen in store.records(name).items():
            view[name, record_id] = seen.fields
    journal = [OwnMutation(entry.uid, entry.state, entry.verdict) for entry in store.entries()]
    scope = device.principal.scope()
    return Seen(device.name, scope.role, scope.audiences, device.copied, meta.differences, base, view, journal)
