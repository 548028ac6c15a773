"""The relay: takes what is due and hands it to calls, so many at once. In `serve`, or in a process of its own.

Rules:

1. A claim takes only what can be sent at once: between claim and call nothing waits, so nothing learns too late that a
   provider asked to be left alone. One endpoint gets only some of the places, so that a slow one leaves room; how many
   may its own settings say (`concurrency`), which are known from its first claim on.
2. It is woken by commits here that may leave it something to do, by all commits elsewhere, by the end of a call, and at
   the next due time; unasked it looks once a lease's length, should another relay have died.
3. It survives the database: a failed claim is tried again. Nothing is lost by its death at any point: leases run out,
   and the next one to come takes over.
4. Stopping, it takes nothing new, gives calls under way a moment to end, and gives back what is left.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import anyio.abc
import structlog

from server.outbox.call import Caller
from server.outbox.claim import Claimed, Lease, Wanted, claim
from server.outbox.decide import Chance
from server.outbox.deliver import Deliverer
from server.outbox.due import Due, due_endpoints
from server.outbox.history import Times
from server.outbox.renew import Renewer
from server.outbox.settle import Settler
from server.ports import Applying, Observing, Provider, Route, Secrets, Unobserved
from server.resilience.backoff import Schedules
from server.resilience.entry import Look, nobody
from server.resilience.retry_after import LeftAlone
from server.storage.database import Database, DatabaseError
from server.storage.writer import Job, Writer
from sync.clock import decode_instant

log: structlog.stdlib.BoundLogger = structlog.get_logger()

CONTENDED_S = 0.05
TROUBLE_S = 1.0


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """How much at once, and how long. A call ends at `deadline_s`, well before its lease.

    `patience_s`: how long after a new epoch's beginning an endpoint's polls are waited for.
    """

    parallel: int = 32
    per_endpoint: int = 8
    lease_s: float = 60
    deadline_s: float = 30
    grace_s: float = 10
    patience_s: float = 300
    watch: bool = True
    schedules: Schedules = field(default_factory=Schedules)

    def __post_init__(self) -> None:
        """Refuse a deadline that outlives the lease."""
        if self.deadline_s >= self.lease_s:
            raise ValueError("the deadline of a call must end before its lease")


def nobody_polls(_provider: str, _settings: Mapping[str, Any]) -> bool:
    """No endpoint is polled."""
    return False


@dataclass(kw_only=True)
class Relay:
    """Delivers. `owner` is new for each process; `clock` gives milliseconds, `random` [0, 1), `sleep` takes seconds.

    `polls` says of an endpoint, by its provider and settings, whether somebody polls it.
    """

    database: Database
    writer: Writer
    routes: Sequence[Route]
    providers: Sequence[Provider]
    secrets: Secrets
    applying: Applying
    owner: str
    clock: Callable[[], int]
    random: Callable[[], float]
    observing: Observing = field(default_factory=Unobserved)
    polls: Callable[[str, Mapping[str, Any]], bool] = nobody_polls
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    options: RelayOptions = field(default_factory=RelayOptions)
    left_alone: LeftAlone = field(default_factory=LeftAlone)
    opened: Callable[[], None] = nobody

    def __post_init__(self) -> None:
        """Nothing runs yet."""
        self._routes = {route.name: route for route in self.routes}
        self._providers = {provider.name: provider for provider in self.providers}
        lease_ms = int(self.options.lease_s * 1000)
        self._deliverer = Deliverer(
            Caller(self._providers, self.secrets, self.clock, self.options.deadline_s, self.left_alone),
            Settler(
                self.writer, self._routes, self.applying, self.random, observing=self.observing, opened=self.opened
            ),
            self._routes,
            Chance(self.options.schedules, self.random),
            Times(self.database, lease_ms),
            Renewer(self.writer, lease_ms, self.clock, self.sleep),
            self.clock,
            self.sleep,
        )
        self._lease = Lease(self.owner, lease_ms)
        self._forms = {provider.name: provider.settings for provider in self.providers}
        self._busy: Counter[str] = Counter()
        self._places: dict[str, int] = {}
        self._woken = anyio.Event()
        self._stopping = False

    def wake(self, _tenant_id: str | None = None) -> None:
        """Look again: something was committed, or a place is free. For Writer.forwarding and Database.watch."""
        self._woken.set()

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Deliver until stopped or cancelled."""
        self.writer.forwarding.append(self.wake)
        try:
            async with anyio.create_task_group() as watching:
                if self.options.watch:
                    watching.start_soon(self.database.watch, self.wake)
                async with anyio.create_task_group() as sending:
                    await self._serve(sending)
                    sending.cancel_scope.deadline = anyio.current_time() + self.options.grace_s
                watching.cancel_scope.cancel()
        finally:
            self.writer.forwarding.remove(self.wake)

    async def drain(self) -> None:
        """Deliver what is due by now, and what becomes due by that; return when nothing is left to do at once."""
        async with anyio.create_task_group() as sending:
            while True:
                self._woken = anyio.Event()
                rest_s = await self._round(sending)
                if rest_s == 0 or self._woken.is_set():
                    continue
                if not self._busy.total():
                    return
                await self._woken.wait()

    async def _serve(self, sending: anyio.abc.TaskGroup) -> None:
        while not self._stopping:
            self._woken = anyio.Event()  # before looking, so that nothing is missed in between
            try:
                rest_s = await self._round(sending)
            except DatabaseError as error:
                log.warning("outbox_out_of_reach", error=str(error))
                rest_s = TROUBLE_S
            except Exception:
                log.exception("relay_failed", alarm=True)
                rest_s = TROUBLE_S
            if rest_s != 0:
                await self._rest(rest_s)

    async def _rest(self, seconds: float | None) -> None:
        async def alarm() -> None:
            # A lease's length at most: on PostgreSQL another relay's claim tells nobody, and it may die.
            await self.sleep(self.options.lease_s if seconds is None else min(seconds, self.options.lease_s))
            self._woken.set()

        async with anyio.create_task_group() as group:
            group.start_soon(alarm)
            await self._woken.wait()
            group.cancel_scope.cancel()

    async def _round(self, sending: anyio.abc.TaskGroup) -> float | None:
        """Take and start what is due. How many seconds to rest: none at all, or None for until woken."""
        now_ms = self.clock()
        look = Look(now_ms, self._lease.length_ms, self._forms)
        due = await self.database.read(partial(due_endpoints, look=look, patience=self._patience_ms))
        wanted, next_ms = self._plan(due, now_ms)
        if not wanted:
            return None if next_ms is None else max(next_ms - now_ms, 1) / 1000
        taken = await self.writer.submit(Job([], partial(claim, wanted, self._lease, routes=self._routes)))
        for claimed in taken.deliveries:
            self._busy[claimed.endpoint_id] += 1
            self._places[claimed.endpoint_id] = claimed.endpoint.limits.concurrency or self.options.per_endpoint
            sending.start_soon(self._deliver, claimed)
        return 0 if taken.seen else CONTENDED_S

    def _patience_ms(self, provider: str, settings: Mapping[str, Any]) -> int:
        return int(self.options.patience_s * 1000) if self.polls(provider, settings) else 0

    def _plan(self, due: Sequence[Due], now_ms: int) -> tuple[list[Wanted], int | None]:
        """How many to take of each endpoint, and when the next one is due that is not yet."""
        free = self.options.parallel - self._busy.total()
        wanted: list[Wanted] = []
        later: list[int] = []
        for one in due:
            provider = self._providers.get(one.provider)
            if provider is None:
                continue
            due_ms = max(decode_instant(one.due_at), self.left_alone.until_ms(one.endpoint_id))
            places = self._places.get(one.endpoint_id, self.options.per_endpoint)
            room = min(free, places - self._busy[one.endpoint_id])
            if due_ms > now_ms:
                later.append(due_ms)
            elif room > 0:
                free -= room
                wanted.append(Wanted(one.tenant_id, one.endpoint_id, room, provider.settings, one.patience_ms))
        return wanted, min(later, default=None)

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            await self._deliverer.deliver(claimed)
        finally:
            self._busy -= Counter({claimed.endpoint_id: 1})
            self.wake()
