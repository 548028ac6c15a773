"""The processor: takes what is due and works on so much at once. In `serve`, or in a process of its own.

Rules:

1. It is woken by receipts, by commits of other processes, by the end of a piece of work, and at the next due time. It
   never polls.
2. One endpoint gets only some of the places, so that a slow intermediary leaves room for the others.
3. What somebody died with is taken alone, when nothing else is in hand, so that it cannot take others down with it.
4. It survives the database: a failed claim is tried again. Nothing is lost by its death at any point: leases lapse, and
   the next one to come takes over.
5. Stopping, it takes nothing new, gives work in hand a moment to end, and gives back what is left.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio
import anyio.abc
import structlog
from pydantic import BaseModel

from server.inbox.accounts import may_fetch
from server.inbox.claim import Claimed, Lease, Outlook, Wanted, claim, claim_lapsed
from server.inbox.decide import Chance
from server.inbox.due import Due, Lapsed, due_endpoints, lapsed_leases
from server.inbox.end import Ender
from server.inbox.handle import Handler
from server.inbox.work import Worker
from server.ports import Applying, Secrets, Source
from server.resilience.backoff import Schedules
from server.resilience.entry import Look, nobody
from server.resilience.limits import read_limits
from server.resilience.retry_after import LeftAlone
from server.storage.database import Database, DatabaseError, Tx
from server.storage.writer import Job, Writer
from sync.protocol import Registry

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LONGEST_REST_S = 60.0
CONTENDED_S = 0.05
BLOCKED_S = 1.0
"""How long to rest where what is due waits for its object, which is in hand: its end wakes who has it anyway."""
TROUBLE_S = 1.0
_REST_S: Mapping[Outlook, float] = {"noted": 0, "contended": CONTENDED_S, "blocked": BLOCKED_S}


@dataclass(frozen=True, slots=True)
class ProcessorOptions:
    """How much at once, and how long. An attempt ends at `deadline_s`, well before its lease.

    `most_unended`: so many deliveries in a row may end with the death of the process before an event is isolated.
    """

    parallel: int = 32
    per_endpoint: int = 16
    lease_s: float = 60
    deadline_s: float = 30
    grace_s: float = 10
    most_unended: int = 5
    watch: bool = True
    schedules: Schedules = field(default_factory=Schedules)

    def __post_init__(self) -> None:
        """Refuse a deadline that outlives the lease."""
        if self.deadline_s >= self.lease_s:
            raise ValueError("the deadline of an attempt must end before its lease")


@dataclass(kw_only=True)
class Processor:
    """Processes events. `owner` is new for each process; `clock` gives milliseconds, `random` [0, 1).

    `forms` say what settings declare by default, by provider. `opened` is called when a fetch showed that an endpoint
    works again.
    """

    database: Database
    writer: Writer
    registry: Registry
    sources: Sequence[Source]
    secrets: Secrets
    applying: Applying
    owner: str
    clock: Callable[[], int]
    random: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    options: ProcessorOptions = field(default_factory=ProcessorOptions)
    forms: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    left_alone: LeftAlone = field(default_factory=LeftAlone)
    opened: Callable[[], None] = nobody

    def __post_init__(self) -> None:
        """Nothing runs yet."""
        self._sources = {source.name: source for source in self.sources}
        self._worker = Worker(
            Handler(self._sources, self.secrets, self.clock, self.options.deadline_s),
            Ender(self.writer, self.registry, self.applying, self.random, self.opened),
            Chance(self.options.schedules, self.random),
            self.clock,
            self.sleep,
            self.left_alone,
        )
        self._lease = Lease(self.owner, int(self.options.lease_s * 1000), self.options.most_unended)
        self._busy: Counter[str] = Counter()
        self._alone = False
        self._woken = anyio.Event()
        self._stopping = False

    def wake(self, _tenant_id: str | None = None) -> None:
        """Look again: something came in, or a place is free. For the receiver and `Database.watch`."""
        self._woken.set()

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Process until stopped or cancelled."""
        async with anyio.create_task_group() as watching:
            if self.options.watch:
                watching.start_soon(self.database.watch, self.wake)
            async with anyio.create_task_group() as working:
                await self._serve(working)
                working.cancel_scope.deadline = anyio.current_time() + self.options.grace_s
            watching.cancel_scope.cancel()

    async def drain(self) -> None:
        """Process what is due by now, and what becomes due by that; return when nothing is left to do at once."""
        async with anyio.create_task_group() as working:
            while True:
                self._woken = anyio.Event()
                rest_s = await self._round(working)
                if rest_s == 0 or self._woken.is_set():
                    continue
                if not self._busy.total():
                    return
                await self._woken.wait()

    async def _serve(self, working: anyio.abc.TaskGroup) -> None:
        while not self._stopping:
            self._woken = anyio.Event()  # before looking, so that nothing is missed in between
            try:
                rest_s = await self._round(working)
            except DatabaseError as error:
                log.warning("inbox_out_of_reach", error=str(error))
                rest_s = TROUBLE_S
            except Exception:
                log.exception("processor_failed", alarm=True)
                rest_s = TROUBLE_S
            if rest_s != 0:
                await self._rest(rest_s)

    async def _rest(self, seconds: float | None) -> None:
        async def alarm() -> None:
            await self.sleep(LONGEST_REST_S if seconds is None else min(seconds, LONGEST_REST_S))
            self._woken.set()

        async with anyio.create_task_group() as group:
            group.start_soon(alarm)
            await self._woken.wait()
            group.cancel_scope.cancel()

    async def _round(self, working: anyio.abc.TaskGroup) -> float | None:
        """Take and start what is due. How many seconds to rest: none at all, or None for until woken."""
        if self._alone:
            return None
        now_ms = self.clock()
        look = Look(now_ms, self._lease.length_ms, self.forms)
        due, lapsed = await self.database.read(partial(_look, look=look))
        lapsed = [one for one in lapsed if one.due.provider in self._sources and self._due_ms(one.due) <= now_ms]
        if lapsed:
            return None if self._busy.total() else await self._take_alone(lapsed[0], working)
        wanted, next_ms = self._plan(due, now_ms)
        if not wanted:
            return None if next_ms is None else max(next_ms - now_ms, 1) / 1000
        taken = await self.writer.submit(Job([], partial(claim, wanted, self._lease)))
        for one in taken.events:
            self._start(one, working)
        return 0 if taken.events else _REST_S[taken.outlook]

    async def _take_alone(self, lapsed: Lapsed, working: anyio.abc.TaskGroup) -> float:
        run = partial(claim_lapsed, self._wanted(lapsed.due, 1), lapsed.receipt_id, self._lease)
        taken = await self.writer.submit(Job([], run))
        if taken is None:
            return CONTENDED_S
        if taken == "isolated":
            log.error("event_isolated", tenant_id=lapsed.due.tenant_id, receipt_id=lapsed.receipt_id, alarm=True)
            return 0
        self._alone = True
        self._start(taken, working)
        return 0

    def _plan(self, due: Sequence[Due], now_ms: int) -> tuple[list[Wanted], int | None]:
        """How many to take of each endpoint, and when the next one is due that is not yet."""
        free = self.options.parallel - self._busy.total()
        wanted: list[Wanted] = []
        later: list[int] = []
        for one in due:
            if one.provider not in self._sources:
                continue
            due_ms, one_wanted = self._due_ms(one), self._wanted(one, free)
            if due_ms > now_ms:
                later.append(due_ms)
            elif one_wanted.limit > 0:
                free -= one_wanted.limit
                wanted.append(one_wanted)
        return wanted, min(later, default=None)

    def _due_ms(self, due: Due) -> int:
        """From when on something of an endpoint may be taken: where it may have to be asked, not before it may be."""
        if not may_fetch(self._sources[due.provider], due.settings):
            return due.due_ms
        return max(due.due_ms, due.open_ms, self.left_alone.until_ms(due.endpoint_id))

    def _wanted(self, due: Due, free: int) -> Wanted:
        form, places = self.forms.get(due.provider), self.options.per_endpoint
        fetches = may_fetch(self._sources[due.provider], due.settings)
        if fetches:
            places = min(places, read_limits(due.settings, form).concurrency or places)
        room = min(free, places - self._busy[due.endpoint_id])
        return Wanted(due.tenant_id, due.endpoint_id, room, fetches, form)

    def _start(self, claimed: Claimed, working: anyio.abc.TaskGroup) -> None:
        self._busy[claimed.endpoint_id] += 1
        working.start_soon(self._work, claimed)

    async def _work(self, claimed: Claimed) -> None:
        try:
            await self._worker.process(claimed)
        finally:
            self._busy -= Counter({claimed.endpoint_id: 1})
            self._alone = False
            self.wake()


async def _look(tx: Tx, look: Look) -> tuple[list[Due], list[Lapsed]]:
    return await due_endpoints(tx, look), await lapsed_leases(tx, look)
