"""The late judgement of mutations that waited for a record that a transaction is bringing."""

from collections.abc import Callable
from dataclasses import dataclass, field

from server.engine.mutations import Memory
from server.engine.records import Records
from server.engine.waiting import Waiting, WaitingRoom
from server.storage.writer import Tenant, Writing
from sync.judge import Accepted, Judge, Lost
from sync.outcome import Writer
from sync.protocol import Mutation, Unusable, Verdict, verdict
from sync.workspace import Key, Workspace


@dataclass(slots=True)
class Ended:
    """What no longer waits, with its final verdict, and the values that lost on the way."""

    verdicts: list[tuple[Waiting, Verdict]] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)


class Late:
    """Judges what waited, and stores its end."""

    def __init__(self, records: Records) -> None:
        """Shared with the rest of the process."""
        known = records.registry.collections
        self._records, self._room, self._memory = records, WaitingRoom(known), Memory(known)

    async def judge(
        self, writing: Writing, tenant: Tenant, workspace: Workspace, accepted: Callable[[Accepted], None]
    ) -> Ended:
        """Judge what waits for records that are new or came into another sight; what that brings about may end more."""
        ended, asked = Ended(), set[Key]()
        while arrived := (workspace.created | {key for key, *_ in workspace.moved}) - asked:
            asked |= arrived
            waiting = await self._room.for_records(writing.tx, tenant.tenant_id, arrived)
            if waiting:
                mutations = [one.mutation for one in waiting]
                await self._records.extend(writing.tx, tenant.tenant_id, workspace, mutations)
            for one in waiting:
                author = Writer(one.sender.client_id, tenant.epoch, writing.now)
                judge = Judge(self._records.registry, workspace, author, one.sender.scope, accepted)
                told = self._late(judge, one.mutation)
                if told is not None:
                    ended.verdicts.append((one, told))
                    ended.lost += judge.lost
        return ended

    def _late(self, judge: Judge, mutation: Mutation) -> Verdict | None:
        """Judged as of today's schema: it may have come to an older server."""
        today = self._records.registry.parse_mutation(mutation)
        if isinstance(today, Unusable):
            uid, code = mutation["uid"], today.code
            return verdict(mutation["mutation_id"], uid, "rejected", code=code, message=today.message)
        return judge.late(today)

    async def store(self, writing: Writing, tenant: Tenant, ended: Ended) -> None:
        """Store verdicts at the place the tenant's sequence has reached, what lost, and what was refused after all."""
        if not ended.verdicts:
            return
        tx, tenant_id = writing.tx, tenant.tenant_id
        await self._room.resolve(tx, tenant_id, [told for _, told in ended.verdicts], tenant.next_seq())
        await self._memory.supersede(tx, tenant_id, ended.lost, writing.now)
        for one, told in ended.verdicts:
            if told["status"] == "rejected":
                about = {
                    "tenant_id": tenant_id,
                    "client_id": one.sender.client_id,
                    "device_id": one.sender.device_id,
                    "correlation_id": one.sender.correlation_id,
                    "received_at": writing.now,
                }
                await self._memory.refuse(tx, told, one.mutation, about)

    async def expire(self, writing: Writing, tenant: Tenant, before: str, most: int) -> int:
        """Reject what has waited since before then, at most so many; how many there were."""
        waiting = await self._room.older(writing.tx, tenant.tenant_id, before, most)
        ended = Ended([(one, _never_came(one)) for one in waiting])
        await self.store(writing, tenant, ended)
        return len(waiting)


def _never_came(one: Waiting) -> Verdict:
    mutation = one.mutation
    told = "its record never came"
    return verdict(mutation["mutation_id"], mutation["uid"], "rejected", code="unknown_record", message=told)
