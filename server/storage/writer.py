"""The one way to write: every change is a job, and the jobs that wait share one transaction and one fsync.

Rules:

1. The tenants of a group are locked first, in order: a tenant's sequence is taken under its lock by every writer, so a
   cursor never skips a late commit.
2. An answer follows the commit. On a database error the group rolls back and each job runs alone, told to `look`: what
   was taken for new may not be. What fails alone is its submitter's to handle.
3. A mark is left in a tenant's history at this process's first write, after a lost connection, and every minute with
   writes, so that a history somebody rewound is told from one that went on.
4. A tenant that is found behind what this process committed or read in the same epoch, or after a lost connection
   without the history that was read (`heads`), was rewound under it: a new epoch is drawn in that very transaction,
   before any job runs, so that what clients of the old one send is answered `rewound`.
5. A new epoch, whoever draws it, is stored with a mark and raises an alarm.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import anyio
import structlog

from server import meters
from server.storage.database import Database, DatabaseError, Tx
from server.storage.heads import Heads
from server.storage.statement import Statement
from sync.clock import encode_instant
from sync.cursor import Mark

T = TypeVar("T")

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MAX_WEIGHT = 2000
MARK_EVERY_MS = 60_000

_LOCK = Statement(
    "SELECT tenant_id, seq, epoch, revision FROM tenants WHERE tenant_id = :tenant_id",
    postgresql="SELECT tenant_id, seq, epoch, revision FROM tenants WHERE tenant_id = :tenant_id FOR UPDATE",
)
_ADVANCE_TEXT = """UPDATE tenants SET seq = :seq, revision = :revision, epoch = CAST(:epoch AS varchar),
       epoch_at = CASE WHEN epoch = CAST(:epoch AS varchar) THEN epoch_at ELSE :now END"""
_ADVANCE = Statement(
    f"{_ADVANCE_TEXT} WHERE tenant_id = :tenant_id",
    postgresql=f"""{_ADVANCE_TEXT} WHERE tenant_id = :tenant_id
        RETURNING pg_notify('rientro', tenant_id::text)""",
)
_MARK = Statement("INSERT INTO marks (tenant_id, seq, nonce, at) VALUES (:tenant_id, :seq, :nonce, :at)")


class UnknownTenantError(Exception):
    """No such tenant here."""


@dataclass(slots=True)
class Tenant:
    """A locked tenant.

    `seq` is the head of its sequence; a job that finds history rewound sets another `epoch`; `revision` grows with the
    tenant's devices, endpoints and bindings. `forwards`: something was written that is to be forwarded. `mark_seq`: the
    place kept for a mark, before those of this transaction's changes; it is used only where there are any.
    """

    tenant_id: str
    seq: int
    epoch: str
    revision: int
    forwards: bool = False
    mark_seq: int | None = None
    locked_at: tuple[int, int, str] = field(init=False)

    def __post_init__(self) -> None:
        """Remember what was stored."""
        self.locked_at = (self.seq, self.revision, self.epoch)

    def keep_place_for_mark(self) -> None:
        """A mark has a place of its own: what comes after it in the sequence came after it in history."""
        self.mark_seq = self.next_seq()
        self.__post_init__()

    @property
    def head(self) -> int:
        """Where the sequence stands once this transaction is over."""
        return self.seq if self.changed or self.mark_seq is None else self.seq - 1

    def next_seq(self) -> int:
        """Take the next place in the sequence."""
        self.seq += 1
        return self.seq

    @property
    def changed(self) -> bool:
        """Whether there is something to store."""
        return (self.seq, self.revision, self.epoch) != self.locked_at

    @property
    def renewed(self) -> bool:
        """Whether a new epoch was drawn."""
        return self.epoch != self.locked_at[2]


@dataclass(slots=True)
class Writing:
    """What a job works with. Without `look`, what a client calls new may be inserted unseen."""

    tx: Tx
    now_ms: int
    now: str
    look: bool
    tenants: dict[str, Tenant]

    def tenant(self, tenant_id: str) -> Tenant:
        """A tenant this job named. Raises UnknownTenantError."""
        found = self.tenants.get(tenant_id)
        if found is None:
            raise UnknownTenantError
        return found


@dataclass(slots=True)
class Job(Generic[T]):
    """A unit of writing: the tenants it changes, how much it is, and what it does."""

    tenants: Sequence[str]
    run: Callable[[Writing], Awaitable[T]]
    weight: int = 1


@dataclass(slots=True)
class _Waiting:
    job: Job[Any]
    done: anyio.Event = field(default_factory=anyio.Event)
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Groups jobs; use it as `async with writer.running():` or hand `run` to a task group."""

    def __init__(self, database: Database, *, clock: Callable[[], int], nonce: Callable[[], str]) -> None:
        """`clock` gives milliseconds since 1970, `nonce` a fresh random text for a mark or an epoch."""
        self._database, self._clock, self._nonce = database, clock, nonce
        self._queue: list[_Waiting] = []
        self._filled = anyio.Event()
        self._marked: dict[str, int] = {}
        self._furthest: dict[str, tuple[str, int]] = {}
        self._heads = Heads()
        self.committed: list[Callable[[str], None]] = []
        self.forwarding: list[Callable[[str], None]] = []
        """Told only of commits after which there may be something to forward: a look costs a reading transaction."""

    async def submit(self, job: Job[T]) -> T:
        """Run a job and return what it returned, after the commit.

        Raises what the job raised, or DatabaseError; nothing of it is stored then.
        """
        waiting = _Waiting(job)
        self._queue.append(waiting)
        meters.WRITER_WAITING.inc()
        self._filled.set()
        await waiting.done.wait()
        if waiting.error is not None:
            raise waiting.error
        return waiting.result  # type: ignore[no-any-return]

    def saw(self, tenant_id: str, epoch: str, mark: Mark, seq: int) -> None:
        """A tenant was read at this place of its sequence: it is not to be found before it, or without it, any more."""
        self._heads.saw(tenant_id, epoch, mark, seq)
        known_epoch, known_seq = self._furthest.setdefault(tenant_id, (epoch, seq))
        if epoch == known_epoch and seq > known_seq:
            self._furthest[tenant_id] = (epoch, seq)

    def forget_marks(self) -> None:
        """At each tenant's next write, leave a new mark, as a new process does, and see that its history stands."""
        self._marked.clear()
        self._heads.doubt()

    async def run(self) -> None:
        """Serve jobs until cancelled; a group under way is finished first."""
        while True:
            await self._filled.wait()
            self._filled = anyio.Event()
            while self._queue:
                with anyio.CancelScope(shield=True):
                    await self._serve(self._take())

    def _take(self) -> list[_Waiting]:
        weight = count = 0
        for count, waiting in enumerate(self._queue, 1):  # noqa: B007  # the count outlives the loop
            weight += waiting.job.weight
            if weight >= MAX_WEIGHT:
                break
        group, self._queue = self._queue[:count], self._queue[count:]
        meters.WRITER_WAITING.dec(len(group))
        meters.WRITER_GROUP.observe(len(group))
        return group

    async def _serve(self, group: list[_Waiting]) -> None:
        try:
            results = await self._transaction([waiting.job for waiting in group], look=False)
        except Exception as error:  # noqa: BLE001  # whatever it was, each job is tried alone and gets its own error
            self._note(error)
            for waiting in group:
                await self._alone(waiting)
        else:
            for waiting, result in zip(group, results, strict=True):
                waiting.result = result
                waiting.done.set()

    async def _alone(self, waiting: _Waiting) -> None:
        try:
            (waiting.result,) = await self._transaction([waiting.job], look=True)
        except Exception as error:  # noqa: BLE001  # handed to the submitter
            self._note(error)
            waiting.error = error
        waiting.done.set()

    def _note(self, error: Exception) -> None:
        if isinstance(error, DatabaseError) and error.transient:
            self.forget_marks()  # the connection may be another one, to a database with another history

    async def _transaction(self, jobs: Sequence[Job[Any]], *, look: bool) -> list[Any]:
        now_ms = self._clock()
        touched: dict[str, Tenant] = {}

        async def work(tx: Tx) -> list[Any]:
            touched.clear()
            writing = Writing(tx, now_ms, encode_instant(now_ms), look, touched)
            for tenant_id in sorted({tenant_id for job in jobs for tenant_id in job.tenants}):
                for row in await tx.fetch(_LOCK, (tenant_id,)):
                    lost = await self._heads.lost(tx, tenant_id, row[2])
                    touched[tenant_id] = self._locked(Tenant(*row), now_ms, lost=lost)
            results = [await job.run(writing) for job in jobs]
            await self._store(writing)
            return results

        results = await self._database.write(work)
        for tenant in touched.values():
            self._heads.settled(tenant.tenant_id)
            self._furthest[tenant.tenant_id] = (tenant.epoch, tenant.head)
            if tenant.renewed:
                log.error("history_rewound", alarm=True, tenant_id=tenant.tenant_id, seq=tenant.locked_at[0])
            if tenant.changed:
                self._marked.setdefault(tenant.tenant_id, now_ms)
                self._tell(tenant)
        return results

    def _locked(self, tenant: Tenant, now_ms: int, *, lost: bool) -> Tenant:
        """A tenant as it was found, under a new epoch where that is not, or less than, what was here before."""
        known_epoch, known_seq = self._furthest.get(tenant.tenant_id, (tenant.epoch, tenant.seq))
        rewound = lost or (tenant.epoch == known_epoch and tenant.seq < known_seq)
        if now_ms - self._marked.get(tenant.tenant_id, 0) >= MARK_EVERY_MS:
            tenant.keep_place_for_mark()
        if rewound:
            tenant.epoch = self._nonce()
        return tenant

    async def _store(self, writing: Writing) -> None:
        for tenant in writing.tenants.values():
            if not tenant.changed:
                continue
            key = tenant.tenant_id
            if tenant.renewed and tenant.mark_seq is None:
                tenant.mark_seq = tenant.next_seq()
            await writing.tx.execute(_ADVANCE, (tenant.seq, tenant.revision, tenant.epoch, writing.now, key))
            if tenant.mark_seq is not None:
                self._marked.pop(key, None)
                row = {"tenant_id": key, "seq": tenant.mark_seq, "nonce": self._nonce(), "at": writing.now}
                await writing.tx.execute(_MARK, row)

    def _tell(self, tenant: Tenant) -> None:
        may_forward = tenant.forwards or tenant.renewed or tenant.revision != tenant.locked_at[1]
        for listener in [*self.committed, *(self.forwarding if may_forward else ())]:
            listener(tenant.tenant_id)
