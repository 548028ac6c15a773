"""Loads what a transaction needs and stores what became of it, for all collections."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pydantic_core import to_json

from server.engine.sides import name_sides
from server.storage.database import Tx
from server.storage.digests import add_to_digests
from server.storage.record_sql import RecordSql
from server.storage.statement import Statement
from server.storage.writer import Tenant, Writing
from sync.conflicts import CONFLICTS
from sync.cursor import Bucket
from sync.digest import record_hash
from sync.protocol import Mutation, Registry, Unusable
from sync.record import Record
from sync.workspace import Held, Key, Workspace, needed

_HELD = Statement(
    """SELECT field, record_id, units FROM held_increments WHERE tenant_id = :tenant_id AND collection = :collection
       AND record_id IN (SELECT value FROM json_each(:ids))""",
    postgresql="""SELECT field, record_id, units FROM held_increments WHERE tenant_id = :tenant_id
       AND collection = :collection AND record_id IN (SELECT x::uuid FROM json_array_elements_text(:ids::json) AS
       j(x))""",
)
_HOLD = Statement(
    """INSERT INTO held_increments (tenant_id, collection, record_id, field, units)
       VALUES (:tenant_id, :collection, :record_id, :field, :units)
       ON CONFLICT (tenant_id, collection, record_id, field)
       DO UPDATE SET units = held_increments.units + excluded.units"""
)
_RELEASE = Statement(
    """DELETE FROM held_increments WHERE tenant_id = :tenant_id AND collection = :collection
       AND record_id = :record_id AND field = :field"""
)
_DEPART = Statement(
    """INSERT INTO departures (tenant_id, seq, collection, record_id, version, audience)
       VALUES (:tenant_id, :seq, :collection, :record_id, :version, :audience)"""
)


class Records:
    """The records of every collection, as transactions load and store them."""

    def __init__(self, registry: Registry) -> None:
        """SQL is derived here, once."""
        self.registry = registry
        self.sql: Mapping[str, RecordSql] = {name: RecordSql(c) for name, c in registry.collections.items()}

    async def workspace(
        self, writing: Writing, tenant_id: str, mutations: Sequence[Mutation | Unusable], implied: Mapping[str, str]
    ) -> Workspace:
        """Everything these mutations touch, loaded; `implied` are fields their creations may leave out."""
        tx = writing.tx
        loaded = await self.load(tx, tenant_id, needed(self.registry, mutations, look=writing.look))
        workspace = Workspace(self.registry, loaded, await self.load_held(tx, tenant_id, _created(mutations)))
        await self._load_targets(tx, tenant_id, workspace, mutations, implied)
        return workspace

    async def extend(
        self, tx: Tx, tenant_id: str, workspace: Workspace, mutations: Sequence[Mutation | Unusable]
    ) -> None:
        """Load what further mutations touch into a workspace that is at work."""
        missing = workspace.missing(needed(self.registry, mutations, look=True))
        workspace.add_loaded(await self.load(tx, tenant_id, missing), {})
        await self._load_targets(tx, tenant_id, workspace, mutations, {})

    async def _load_targets(
        self,
        tx: Tx,
        tenant_id: str,
        workspace: Workspace,
        mutations: Sequence[Mutation | Unusable],
        implied: Mapping[str, str],
    ) -> None:
        while missing := workspace.targets(mutations, implied):
            loaded = await self.load(tx, tenant_id, missing)
            workspace.add_loaded(loaded, await self.load_held(tx, tenant_id, loaded))
            mutations = [one for one in mutations if not isinstance(one, Unusable) and one["collection"] == CONFLICTS]

    async def load(self, tx: Tx, tenant_id: str, keys: Iterable[Key]) -> dict[Key, Record]:
        """Those of the records that exist."""
        wanted: dict[str, list[str]] = defaultdict(list)
        for name, record_id in keys:
            wanted[name].append(record_id)
        found: dict[Key, Record] = {}
        for name, ids in wanted.items():
            for record_id, record in (await self.sql[name].load(tx, tenant_id, ids)).items():
                found[name, record_id] = record
        return found

    async def load_held(self, tx: Tx, tenant_id: str, keys: Iterable[Key]) -> Held:
        """Increments that wait for these records: for their creation, or for a sum that is back in its range."""
        wanted: dict[str, list[str]] = defaultdict(list)
        for name, record_id in keys:
            if self.registry.collections[name].counters:
                wanted[name].append(record_id)
        held: Held = {}
        for name, ids in wanted.items():
            for field, record_id, units in await tx.fetch(_HELD, (tenant_id, name, to_json(ids).decode())):
                held[name, record_id, field] = units
        return held

    async def store(self, tx: Tx, tenant: Tenant, workspace: Workspace) -> None:
        """Give each changed record its place in the sequence and store it; a conflict's sides get their names first."""
        await name_sides(tx, tenant.tenant_id, workspace)
        new: dict[str, dict[str, Record]] = defaultdict(dict)
        old: dict[str, dict[str, Record]] = defaultdict(dict)
        left = [
            (tenant.tenant_id, tenant.next_seq(), *key, version, audience)
            for key, audience, version in workspace.moved
            if workspace.changed[key].audience != audience  # it may have come back
        ]
        for (name, record_id), record in workspace.changed.items():
            record.seq = tenant.next_seq()
            (new if (name, record_id) in workspace.created else old)[name][record_id] = record
        for name, records in new.items():
            await self.sql[name].insert(tx, tenant.tenant_id, records)
        for name, records in old.items():
            await self.sql[name].update(tx, tenant.tenant_id, records)
        await tx.many(_DEPART, left)
        await add_to_digests(tx, tenant.tenant_id, _deltas(workspace))
        await self._store_held(tx, tenant.tenant_id, workspace)

    async def _store_held(self, tx: Tx, tenant_id: str, workspace: Workspace) -> None:
        await tx.many(_RELEASE, [(tenant_id, *counter) for counter in workspace.joined])
        await tx.many(_HOLD, [(tenant_id, *counter, units) for counter, units in workspace.held.items() if units])


def _deltas(workspace: Workspace) -> dict[Bucket, int]:
    """What this transaction changes in the digest of each bucket: live records that came, less those that went."""
    sums: dict[Bucket, int] = defaultdict(int)
    for (name, record_id), record in workspace.changed.items():
        before = workspace.before[name, record_id]
        if before is not None and not before.deleted:
            sums[name, before.audience] -= record_hash(name, record_id, before.version)
        if not record.deleted:
            sums[name, record.audience] += record_hash(name, record_id, record.version)
    return sums


def _created(mutations: Sequence[Mutation | Unusable]) -> list[Key]:
    return [
        (mutation["collection"], mutation["record_id"])
        for mutation in mutations
        if not isinstance(mutation, Unusable) and mutation["op"] == "create"
    ]
