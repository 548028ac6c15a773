"""The sync loop: a state machine that brings the queue up and the changes down, and knows when to leave it.

    idle ──start──▶ syncing ──done──▶ idle
                      │  ├──trouble──▶ backing_off ──start──▶ syncing
                      │  ├──signed_out──▶ held_signed_out ──released──▶ idle
                      └──└──update_needed──▶ held_update_needed ──released──▶ idle

The table `TRANSITIONS` is the machine; what is not in it does not happen. Only the outcome of requests moves it: what
the device thinks of its network is not asked. A held loop sends nothing until somebody releases it; its queue waits.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import anyio

from sync.client.backoff import Backoff
from sync.client.errors import (
    BatchTooLargeError,
    ClientError,
    HeldError,
    NumberingError,
    TroubleError,
    UnexpectedAnswerError,
    UpdateNeededError,
)
from sync.client.options import Options
from sync.client.runtime import Runtime
from sync.client.store import Store
from sync.client.taking import Outgoing, Taken
from sync.client.transport import Transport

State = Literal["idle", "syncing", "backing_off", "held_signed_out", "held_update_needed"]
Event = Literal["start", "done", "trouble", "signed_out", "update_needed", "released"]

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    ("idle", "start"): "syncing",
    ("backing_off", "start"): "syncing",
    ("syncing", "done"): "idle",
    ("syncing", "trouble"): "backing_off",
    ("syncing", "signed_out"): "held_signed_out",
    ("syncing", "update_needed"): "held_update_needed",
    ("held_signed_out", "released"): "idle",
    ("held_update_needed", "released"): "idle",
}

_MOST_RENUMBERINGS = 5
_STUCK = Taken(0, 0, more=True)


class Moment(NamedTuple):
    """Where the loop stands; `error` is what put it there."""

    state: State
    error: ClientError | None


class SyncLoop:
    """Runs exchanges, one at a time. Used from one event loop."""

    def __init__(self, store: Store, transport: Transport, options: Options, runtime: Runtime) -> None:
        """Idle at first; nothing is sent before somebody asks."""
        self._store, self._transport, self._options, self._runtime = store, transport, options, runtime
        self._backoff = Backoff(options, runtime.random)
        self._lock, self._woken, self._released = anyio.Lock(), anyio.Event(), anyio.Event()
        self._batch = options.batch
        self._renumberings = 0
        self._behind = False  # something was pushed in the middle of a round, whose target does not cover it
        self._moment = Moment("idle", None)
        self.too_old = False
        self.watch: Callable[[Moment], None] = lambda _moment: None

    @property
    def moment(self) -> Moment:
        """Where it stands now."""
        return self._moment

    def wake(self) -> None:
        """There is something new, here or there: do not wait for the interval. Backing off goes on."""
        self._woken.set()

    def release(self) -> None:
        """Somebody signed in, or updated the app: try again."""
        if self._moment.state.startswith("held"):
            self._enter("released")
        self._released.set()
        self.wake()

    async def sync_once(self) -> Taken:
        """One exchange. Raises TroubleError, HeldError, BatchTooLargeError (already halved: call again)."""
        async with self._lock:
            return await self._guarded()

    async def drain(self) -> None:
        """Sync until the queue is empty and what it did has come back, through any trouble. Raises HeldError."""
        async with self._lock:
            while True:
                try:
                    if self._finished(await self._guarded()):
                        return
                except BatchTooLargeError:
                    continue
                except TroubleError as error:
                    await self._runtime.sleep(self._backoff.next_s(error.retry_after_s))

    async def run(self) -> None:
        """Sync for ever: at once, when woken, and at every interval."""
        while True:
            self._woken, self._released = anyio.Event(), anyio.Event()
            try:
                await self.drain()
            except HeldError:
                await self._released.wait()
            else:
                await self._pause()

    async def _pause(self) -> None:
        """Wait for the interval or for somebody's call, whichever comes first."""
        async with anyio.create_task_group() as tasks:

            async def listen() -> None:
                await self._woken.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(listen)
            await self._runtime.sleep(self._options.interval_s)
            tasks.cancel_scope.cancel()

    async def _guarded(self) -> Taken:
        """One exchange with its transitions. A held loop raises what holds it."""
        if self._moment.state.startswith("held") and self._moment.error is not None:
            raise self._moment.error
        self._enter("start")
        try:
            taken = await self._exchange()
        except TroubleError as error:
            self._enter("trouble", error)
            raise
        except HeldError as error:
            self._enter("update_needed" if isinstance(error, UpdateNeededError) else "signed_out", error)
            raise
        except BaseException:
            self._enter("done")
            raise
        self._backoff.reset()
        self._enter("done")
        return taken

    async def _exchange(self) -> Taken:
        outgoing = self._store.outgoing(self._batch, self._options.body_bytes)
        sent_ms = self._runtime.clock_ms()
        try:
            answer = await self._transport.sync(outgoing)
        except NumberingError as error:
            return self._advance(outgoing, self._store.take_numbering(outgoing, error))
        except BatchTooLargeError as error:
            raise self._halved(len(outgoing.mutations), error) from error
        return self._advance(outgoing, self._store.take(outgoing, answer, sent_ms, self._runtime.clock_ms()))

    def _advance(self, outgoing: Outgoing, taken: Taken) -> Taken:
        """Notice a server that answers without ever getting on. Raises UnexpectedAnswerError."""
        self.too_old = taken.too_old
        self._renumberings = self._renumberings + 1 if taken.renumbered else 0
        if self._renumberings > _MOST_RENUMBERINGS:
            raise UnexpectedAnswerError("the queue was numbered anew again and again")
        if outgoing.mutations and not taken.verdicts and not taken.renumbered:
            raise UnexpectedAnswerError("the mutations got no verdict")
        if taken == _STUCK and self._store.meta().cursor == outgoing.cursor:
            raise UnexpectedAnswerError("there is said to be more, and it does not come")
        self._behind = (self._behind or bool(outgoing.mutations)) and not outgoing.starts_round
        return taken

    def _halved(self, sent: int, error: BatchTooLargeError) -> ClientError:
        if sent <= 1:
            return UnexpectedAnswerError("even the smallest request is too large", reason=error.reason)
        self._batch = max(1, sent // 2)
        return error

    def _finished(self, taken: Taken) -> bool:
        pending = self._store.counts().pending
        if not pending:
            self._batch = self._options.batch  # what was too large has left
        return not (pending or taken.more or self._behind)

    def _enter(self, event: Event, error: ClientError | None = None) -> None:
        self._moment = Moment(TRANSITIONS[self._moment.state, event], error)
        self.watch(self._moment)
