"""Mutations the server makes: what a provider answered or told, what a command does. The same merge, the same feed.

They run inside the transaction of whoever brings them (a settle, an inbox row's end), so that the news and the fact
that it was taken in are stored together. Their uids are derived from what they tell of, so news told twice applies
once.
"""

from collections.abc import Sequence

from server.engine.issuing import Issuing
from server.engine.late import Ended, Late
from server.engine.mutations import Memory
from server.engine.records import Records
from server.engine.waiting import WaitingRoom
from server.ports import Cause, Forwarding
from server.storage.writer import Writing
from sync.judge import Judge
from sync.outcome import Outcome
from sync.outcome import Writer as Author
from sync.protocol import Mutation, Status, Unusable, verdict
from sync.scope import Scope

_SERVER = Scope("server", frozenset())
ACCEPTED: frozenset[Status] = frozenset(("applied", "merged", "conflict"))
"""What counts as taken in; the rest was refused, or waits."""
_NOBODY = "00000000-0000-0000-0000-000000000000"


class Applier:
    """Applies server-side mutations."""

    def __init__(self, records: Records, forwarding: Forwarding) -> None:
        """Both are shared with the rest of the process."""
        self._records, self._forwarding = records, forwarding
        known = records.registry.collections
        self._memory, self._room, self._late = Memory(known), WaitingRoom(known), Late(records)
        self._issuing = Issuing(records)

    async def apply(
        self,
        writing: Writing,
        tenant_id: str,
        author: str,
        mutations: Sequence[Mutation],
        cause: Cause,
        scope: Scope | None = None,
    ) -> list[Outcome]:
        """Apply mutations inside the caller's transaction; one whose uid was here before is not applied again.

        With a `scope` the rules are those of a client's mutation within it, and what is not accepted is not remembered:
        it may be tried again. Values are checked as strictly as a client's either way. Raises UnknownTenantError when
        the job did not name the tenant, ValueError for a mutation the wire would not take: that is a defect of whoever
        made it.
        """
        mutations = [self._checked(mutation) for mutation in mutations]
        tenant = writing.tenant(tenant_id)
        looking = Writing(writing.tx, writing.now_ms, writing.now, look=True, tenants=writing.tenants)
        workspace = await self._records.workspace(looking, tenant_id, mutations, scope.defaults if scope else {})
        known = await self._memory.known(looking, tenant_id, mutations, 0)
        collector = await self._forwarding.collector(writing, tenant, cause)
        judge = Judge(
            self._records.registry,
            workspace,
            Author(author, tenant.epoch, writing.now, server=scope is None),
            scope or _SERVER,
            collector.accepted,
        )
        new = [mutation for mutation in mutations if mutation["uid"] not in known]
        outcomes = {mutation["uid"]: judge.one(mutation) for mutation in new}
        ended = Ended()
        if (workspace.created or workspace.moved) and await self._room.any(writing.tx, tenant_id):
            ended = await self._late.judge(writing, tenant, workspace, collector.accepted)
        await self._issuing.complete(writing, tenant, workspace, collector.accepted)
        await self._records.store(writing.tx, tenant, workspace)
        await collector.store()
        await self._memory.supersede(writing.tx, tenant_id, judge.lost, writing.now)
        kept = [mutation for mutation in new if scope is None or outcomes[mutation["uid"]].status in ACCEPTED]
        await self._remember(writing, tenant_id, kept, outcomes)
        await self._late.store(writing, tenant, ended)
        return [outcomes.get(mutation["uid"]) or Outcome("applied") for mutation in mutations]

    def _checked(self, mutation: Mutation) -> Mutation:
        """The mutation with every value in its one form: what is stored as it stands must be canonical."""
        checked = self._records.registry.parse_mutation({**mutation, "mutation_id": 1})
        if isinstance(checked, Unusable):
            raise ValueError(f"{checked.code}: {checked.message}")  # noqa: TRY004  # of its values, not its type
        return checked

    async def _remember(
        self, writing: Writing, tenant_id: str, new: Sequence[Mutation], outcomes: dict[str, Outcome]
    ) -> None:
        rows = []
        for mutation in new:
            outcome = outcomes[mutation["uid"]]
            told = None
            if outcome.status != "applied":
                told = verdict(0, mutation["uid"], outcome.status, code=outcome.code, message=outcome.message)
            version = outcome.record.version if outcome.record is not None else None
            rows.append((mutation["uid"], 0, version, told))
        await self._memory.remember(writing.tx, tenant_id, _NOBODY, rows)
