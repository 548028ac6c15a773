"""Push: a client's queue is judged and stored in one transaction, and answered after its commit.

Rules:

1. Effects, verdicts, `last_mutation_id` and deliveries are stored together or not at all.
2. Creations are inserted unseen; where a key turns out to be taken, the transaction runs again and looks first.
3. When the database refuses a whole request, its mutations are tried one by one. One that fails alone twice, not for a
   passing reason, is rejected as `internal_error` and kept: a queue is never blocked by one bad mutation.
4. Refusals of a whole request are returned by the job, not raised: others share its transaction. One of them is that
   who sends may have been taken out meanwhile: the tenant is at another revision than when it was let in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import structlog

from server.engine.holes import note_hole
from server.engine.issuing import Issuing
from server.engine.late import Ended, Late
from server.engine.mutations import Client, Memory
from server.engine.records import Records
from server.engine.waiting import Sender, WaitingRoom
from server.ports import Cause, Forwarding, Principal, PrincipalMovedError
from server.storage.database import DatabaseError
from server.storage.writer import Job, Tenant, Writer, Writing
from sync.errors import ClientForkedError, ForeignClientError, MutationGapError, QueueError, SyncError
from sync.judge import Judge, Judgement
from sync.outcome import Writer as Author
from sync.protocol import Mutation, SyncRequest, Unusable, Verdict

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Queue = Sequence[Mutation | Unusable]


class Pushed(NamedTuple):
    """What became of a push, and where the tenant stands after it.

    `rewound`: the client speaks of another epoch, and nothing was applied. `ended`: mutations of this client waited for
    their record, and do so no more.
    """

    epoch: str
    seq: int
    last_mutation_id: int
    verdicts: list[Verdict]
    rewound: bool = False
    ended: bool = False
    safe_mutation_id: int = 0


@dataclass(frozen=True, slots=True)
class _Batch:
    """One request's queue and whose it is; `resume_from` and `schema` as it says them."""

    principal: Principal
    client_id: str
    epoch: str | None
    mutations: Queue
    correlation_id: str
    resume_from: int
    schema: int | None


class Pusher:
    """Applies pushes."""

    def __init__(self, writer: Writer, records: Records, forwarding: Forwarding) -> None:
        """All three are shared with the rest of the process."""
        self._writer, self._records, self._forwarding = writer, records, forwarding
        known = records.registry.collections
        self._memory, self._room, self._late = Memory(known), WaitingRoom(known), Late(records)
        self._issuing = Issuing(records)

    async def push(self, principal: Principal, request: SyncRequest, correlation_id: str) -> Pushed:
        """Apply a request's mutations.

        Raises QueueError (gap, fork), ForeignClientError, PrincipalMovedError, UnknownTenantError, DatabaseError
        (`transient`: ours, try again; nothing was kept).
        """
        queue = request.get("mutations", ())
        batch = _Batch(
            principal,
            request["client_id"],
            request.get("epoch"),
            queue,
            correlation_id,
            request.get("resume_from") or 0,
            request.get("schema"),
        )
        try:
            return await self._submit(batch)
        except DatabaseError as error:
            if error.transient:
                raise
            log.warning("push_refused_by_database", mutations=len(queue), error=str(error))
            return await self._one_by_one(batch)

    async def _submit(self, batch: _Batch) -> Pushed:
        job = Job([batch.principal.tenant_id], partial(self._apply, batch), weight=len(batch.mutations))
        result = await self._writer.submit(job)
        if isinstance(result, SyncError | PrincipalMovedError):
            raise result
        return result

    async def _one_by_one(self, batch: _Batch) -> Pushed:
        pushed = await self._stubborn(replace(batch, mutations=batch.mutations[:1]))
        for mutation in batch.mutations[1:]:
            try:
                following = await self._stubborn(replace(batch, mutations=[mutation]))
            except QueueError as error:
                raise error.after(pushed.verdicts) from None
            pushed = following._replace(verdicts=pushed.verdicts + following.verdicts)
        return pushed

    async def _stubborn(self, single: _Batch) -> Pushed:
        try:
            return await self._submit(single)
        except DatabaseError as error:
            if error.transient:
                raise
        try:
            return await self._submit(single)
        except DatabaseError as error:
            if error.transient:
                raise
            log.exception("mutation_rejected_internally", alarm=True)
        return await self._submit(replace(single, mutations=[_give_up(single.mutations[0])]))

    async def _apply(self, batch: _Batch, writing: Writing) -> Pushed | SyncError | PrincipalMovedError:
        tenant = writing.tenant(batch.principal.tenant_id)
        if batch.principal.revision not in {None, tenant.revision}:
            return PrincipalMovedError(tenant.revision)
        client = await self._memory.client(writing.tx, tenant.tenant_id, batch.client_id)
        if client.device_id not in (None, batch.principal.device_id):
            return ForeignClientError()
        last = client.queued.last_mutation_id
        if batch.epoch is not None and batch.epoch != tenant.epoch:
            return Pushed(tenant.epoch, tenant.head, last, [], rewound=True, safe_mutation_id=client.safe)
        scope = batch.principal.scope()
        workspace = await self._records.workspace(writing, tenant.tenant_id, batch.mutations, scope.defaults)
        known = await self._memory.known(writing, tenant.tenant_id, batch.mutations, last)
        collector = await self._forwarding.collector(writing, tenant, Cause(batch.correlation_id))
        author = Author(batch.client_id, tenant.epoch, writing.now)
        judge = Judge(self._records.registry, workspace, author, scope, collector.accepted)
        queued = client.queued._replace(resume_from=batch.resume_from).resumed(_first(batch.mutations))
        judgement = judge.batch(batch.mutations, queued, known)
        if client.device_id is None:
            device_id = batch.principal.device_id
            await self._memory.meet(writing.tx, tenant.tenant_id, batch.client_id, device_id, writing.now)
        if queued.last_mutation_id != last:
            await note_hole(writing, tenant.tenant_id, batch.client_id, last + 1, queued.last_mutation_id)
        await self._remember(batch, writing, judgement)
        ended = Ended()
        if client.waits or judgement.waiting:  # this very batch may hold what one of its mutations waits for
            ended = await self._late.judge(writing, tenant, workspace, collector.accepted)
        await self._issuing.complete(writing, tenant, workspace, collector.accepted)
        await self._records.store(writing.tx, tenant, workspace)
        await collector.store()
        await self._memory.supersede(writing.tx, tenant.tenant_id, judgement.lost, writing.now)
        await self._late.store(writing, tenant, ended)
        return _answer(judgement, tenant, client, ended)

    async def _remember(self, batch: _Batch, writing: Writing, judgement: Judgement) -> None:
        tx, tenant_id, client_id = writing.tx, batch.principal.tenant_id, batch.client_id
        await self._memory.remember(tx, tenant_id, client_id, judgement.remembered)
        if judgement.waiting:
            sender = Sender(client_id, batch.principal.device_id, batch.correlation_id, batch.principal.scope())
            await self._room.wait(writing, writing.tenant(tenant_id), judgement.waiting, sender, batch.schema)
        await self._room.readdress(tx, tenant_id, judgement.readdressed, client_id)
        for verdict, raw in judgement.refused:
            about = {
                "tenant_id": tenant_id,
                "client_id": client_id,
                "device_id": batch.principal.device_id,
                "correlation_id": batch.correlation_id,
                "received_at": writing.now,
            }
            await self._memory.refuse(tx, verdict, raw, about)
        await self._memory.advance(tx, tenant_id, client_id, judgement.last_mutation_id)


def _first(mutations: Queue) -> int:
    first = mutations[0]
    return first.mutation_id if isinstance(first, Unusable) else first["mutation_id"]


def _answer(judgement: Judgement, tenant: Tenant, client: Client, ended: Ended) -> Pushed | SyncError:
    if judgement.trouble is None:
        return Pushed(
            tenant.epoch,
            tenant.head,
            judgement.last_mutation_id,
            judgement.verdicts,
            ended=client.ended or bool(ended.verdicts),
            safe_mutation_id=client.safe,
        )
    kind = MutationGapError if judgement.trouble == "gap" else ClientForkedError
    return kind((kind.__doc__ or "").strip(), verdicts=judgement.verdicts, last_mutation_id=judgement.last_mutation_id)


def _give_up(mutation: Mutation | Unusable) -> Unusable:
    if isinstance(mutation, Unusable):
        return mutation
    return Unusable(
        mutation["mutation_id"], mutation["uid"], "internal_error", "the server could not store it", mutation
    )
