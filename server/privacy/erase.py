"""Erasing a person's record for good: at once where clients look, then wherever a copy of what it said was kept.

Rules:

1. In one transaction the record and its conflicts become empty tombstones, the ledger has the id, and the audit says
   who did it and why. Clients hear of it by the feed. From then on nothing that is written to it is taken.
2. Copies are emptied by jobs of a bounded size, each of which finds what is left: cut off, the next run goes on.
3. What is still to be sent or processed is emptied once that has ended; until then the erasure stays open, and every
   tidying looks again.
4. Facts that name the record stay, for the law wants them; what they say of the person beside that goes. The id in them
   names nobody any more.
5. A file beside the database knows the id first (`ledger`): a backup that is put back brings nothing back.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import anyio

from server.audit import Actor, Entry, note
from server.engine.records import Records
from server.ids import derived
from server.ports import Applying, Cause, Forwarding
from server.privacy.kept import BATCH, FIRST, Step, Wanted, deliveries, events, lost_values, refused_mutations
from server.privacy.kept import waiting_mutations as waits
from server.privacy.ledger import Erasure, end_erasure, keep, note_erasure, open_erasures
from server.privacy.naming import Naming, namings
from server.storage.database import Database
from server.storage.writer import Job, Writer, Writing
from sync.conflicts import CONFLICTS, conflict_id
from sync.erasure import blanked, erased
from sync.errors import SyncError
from sync.judge import Accepted
from sync.outcome import WHOLE
from sync.protocol import Mutation
from sync.record import ERASED
from sync.workspace import Key, Workspace

CUSTOMERS = "customers"
Reason = Literal["request", "consent_withdrawn", "no_longer_needed", "unlawful", "legal_duty"]
"""Why somebody may want it: the grounds of article 17 of the GDPR."""


class UnknownPersonError(SyncError):
    """There is no such customer here."""

    code = "unknown_customer"
    status_hint = 404


class Erased(NamedTuple):
    """What an erasure did: copies emptied, and how many wait for their delivery or processing to end."""

    emptied: int
    left: int


class Eraser:
    """Erases, and finishes what was begun."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        records: Records,
        doors: tuple[Applying, Forwarding],
        folder: Path,
    ) -> None:
        """`doors`: the engine's and the outbox's; `folder` is where the ledger's file lies."""
        self._database, self._writer, self._records, self._folder = database, writer, records, folder
        self._applier, self._forwarding = doors

    async def erase(self, tenant_id: str, record_id: str, reason: Reason, actor: Actor) -> Erased:
        """Erase a customer; again, only what is left of it is done. Raises UnknownPersonError, UnknownTenantError."""
        found = await self._writer.submit(Job([tenant_id], partial(self._known, tenant_id, record_id)))
        if not found:
            raise UnknownPersonError
        now, begun = found
        erasure = Erasure(tenant_id, CUSTOMERS, record_id, reason, now)
        if not begun:
            await anyio.to_thread.run_sync(keep, self._folder, erasure)
            await self._writer.submit(Job([tenant_id], partial(self._begin, erasure, actor)))
        return await self._finish(erasure)

    async def go_on(self, tenant_id: str) -> Erased:
        """Finish what was begun, as far as it can be."""
        done = [await self._finish(erasure) for erasure in await open_erasures(self._database, tenant_id)]
        return Erased(sum(one.emptied for one in done), sum(one.left for one in done))

    async def apply(self, tenant_id: str) -> None:
        """See that what the ledger names is gone, before anybody is answered: a backup may have brought it back."""
        for erasure in await open_erasures(self._database, tenant_id):
            await self._writer.submit(Job([tenant_id], partial(self._begin, erasure, None)))

    async def _known(self, tenant_id: str, record_id: str, writing: Writing) -> tuple[str, bool] | None:
        """When, and whether it is erased already, where there is such a record."""
        writing.tenant(tenant_id)
        found = await self._records.load(writing.tx, tenant_id, [(CUSTOMERS, record_id)])
        return (writing.now, found[CUSTOMERS, record_id].erased) if found else None

    async def _begin(self, erasure: Erasure, actor: Actor | None, writing: Writing) -> None:
        """Rule 1. Without an actor it was noted before."""
        tenant = writing.tenant(erasure.tenant_id)
        collection, key = (
            self._records.registry.collections[erasure.collection],
            (erasure.collection, erasure.record_id),
        )
        keys = [key, *self._conflicts(key)]
        have = await self._records.load(writing.tx, tenant.tenant_id, keys)
        workspace = Workspace(self._records.registry, have)
        collector = await self._forwarding.collector(writing, tenant, Cause("erasure"))
        before = have.get(key)
        for one, label in zip(keys, ("", *self._labels(collection.name)), strict=True):
            about = {"collection": key[0], "record_id": key[1], "field": label, "status": "decided"} if label else {}
            self._empty(workspace, one, about, writing.now)
        after = workspace.get(key)
        if after is not None and key in workspace.changed and before is not None and not before.deleted:
            uid = derived("erase", *key)
            collector.accepted(Accepted(collection, erasure.record_id, uid, writing.now, before, after))
        await self._records.store(writing.tx, tenant, workspace)
        await collector.store()
        await note_erasure(writing, erasure)
        if actor is not None:
            entry = Entry("customer.erase", actor, "customer", erasure.record_id, reason=erasure.reason)
            await note(writing, tenant.tenant_id, entry)

    def _conflicts(self, key: Key) -> list[Key]:
        return [(CONFLICTS, conflict_id(*key, label)) for label in self._labels(key[0])]

    def _labels(self, name: str) -> tuple[str, ...]:
        return (*self._records.registry.collections[name].manual, WHOLE)

    def _empty(self, workspace: Workspace, key: Key, about: Mapping[str, str], now: str) -> None:
        """Also what is not here: a record that a backup does not know, a conflict that somebody may yet decide."""
        have, collection = workspace.get(key), self._records.registry.collections[key[0]]
        if have is not None and have.erased:
            return
        audience = "tenant" if have is None else have.audience
        empty = erased(collection, have, audience, now)
        workspace.take(key, replace(empty, fields={**empty.fields, **about}) if have is None else empty)

    async def _finish(self, erasure: Erasure) -> Erased:
        """Rules 2 and 3."""
        emptied = left = 0
        for work in self._steps(erasure):
            place: str | None = FIRST
            while place is not None:
                run = partial(_within, erasure.tenant_id, work, place)
                step = await self._writer.submit(Job([erasure.tenant_id], run, weight=BATCH))
                emptied, left, place = emptied + step.emptied, left + step.left, step.place
        if not left:
            await self._writer.submit(Job([erasure.tenant_id], partial(end_erasure, erasure=erasure)))
        return Erased(emptied, left)

    def _steps(self, erasure: Erasure) -> list[Callable[[Writing, str], Awaitable[Step]]]:
        tenant_id, name, record_id, *_ = erasure
        collections, found = self._records.registry.collections, namings(self._records, name)
        keys: list[Key] = [(name, record_id), *self._conflicts((name, record_id))]
        wanted = Wanted(tenant_id, keys, {other: one.among for other, one in found.items()})

        async def own(writing: Writing, _after: str) -> Step:
            lost = 0
            for other, one in keys:
                lost += await lost_values(writing.tx, tenant_id, other, one)
            sent = await deliveries(writing.tx, tenant_id, collections[name], record_id)
            return sent._replace(emptied=sent.emptied + lost)

        return [
            own,
            *(partial(self._naming, erasure, naming) for naming in found.values()),
            lambda writing, after: refused_mutations(writing.tx, wanted, collections, after),
            lambda writing, after: waits(writing.tx, wanted, collections, after),
            lambda writing, after: events(writing.tx, tenant_id, wanted, after),
        ]

    async def _naming(self, erasure: Erasure, naming: Naming, writing: Writing, after: str) -> Step:
        """Rule 4, for one page of records that name it."""
        tx, (tenant_id, _, record_id, *_) = writing.tx, erasure
        ids = await naming.ids(tx, tenant_id, record_id, after, BATCH)
        name, epoch = naming.collection.name, writing.tenant(tenant_id).epoch
        found = await self._records.load(tx, tenant_id, [(name, one) for one in ids])
        blanks = {one: blanked(naming.collection, record.fields) for (_, one), record in found.items()}
        mutations = [
            Mutation(
                mutation_id=1,
                uid=derived("erase", record_id, one, str(found[name, one].version)),
                op="update",
                collection=name,
                record_id=one,
                timestamp=writing.now,
                base_version=found[name, one].version,  # seen, so that what it overwrites is not kept as lost
                epoch=epoch,
                fields=fields,
            )
            for one, fields in blanks.items()
            if fields
        ]
        await self._applier.apply(writing, tenant_id, ERASED, mutations, Cause("erasure"))
        emptied, left = len(mutations), 0
        for one in ids:
            emptied += await lost_values(tx, tenant_id, name, one, naming.collection.options.personal)
            sent = await deliveries(tx, tenant_id, naming.collection, one)
            emptied, left = emptied + sent.emptied, left + sent.left
        return Step(emptied, left, ids[-1] if len(ids) == BATCH else None)


async def _within(
    tenant_id: str, work: Callable[[Writing, str], Awaitable[Step]], place: str, writing: Writing
) -> Step:
    writing.tenant(tenant_id)
    return await work(writing, place)
