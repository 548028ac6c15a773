"""The client of a till: sell and edit as if there were no network, and let the loop see to the rest.

Every writing method returns when its mutation is on disk. All of it belongs to the thread and event loop that made it.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import httpx

from sync.client.draft import Draft, Number
from sync.client.entries import Entry, State, corrected
from sync.client.live import Live
from sync.client.loop import Moment, SyncLoop
from sync.client.loop import State as LoopState
from sync.client.options import Options
from sync.client.runtime import Runtime
from sync.client.store import Made, Store
from sync.client.taking import Taken
from sync.client.transport import Transport
from sync.client.view import ViewRecord

Decision = Literal["mine", "theirs", "value"]

_NOTHING: Mapping[str, Any] = {}


class Status(NamedTuple):
    """What the status pill tells. `code` and `reason` say why the loop is held or backing off.

    `update_needed`: the server takes what is queued, and gives nothing new before the app is updated. `differences`:
    how often the local copy was found not to be what the server has, by its digest; what is told again counts once.
    """

    state: LoopState
    code: str | None
    reason: str | None
    pending: int
    waiting: int
    rejected: int
    oldest_pending_at: str | None
    update_needed: bool = False
    differences: int = 0


class SyncClient:
    """A local database and the loop that keeps it in step with a server."""

    def __init__(
        self,
        path: Path | str,
        url: str,
        token: str,
        options: Options,
        *,
        http: httpx.AsyncClient | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        """Open or create the database at `path`; nothing is sent before the loop is asked.

        A given `http` stays its owner's to close. Raises StoreTooNewError, StoreError.
        """
        runtime = runtime or Runtime()
        self.store = Store(path, runtime, schema=options.schema)
        self._own_http = httpx.AsyncClient(timeout=options.timeout_s) if http is None else None
        self._http = http or self._own_http or httpx.AsyncClient()
        self._transport = Transport(self._http, url, options, runtime)
        self._transport.token = token
        self._loop = SyncLoop(self.store, self._transport, options, runtime)
        self._live = Live(self._http, self._transport, options, runtime, is_news=self._is_news, news=self._loop.wake)

    async def __aenter__(self) -> Self:
        """Nothing to do: it is open."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close database and connections; what is queued stays queued."""
        self.store.close()
        if self._own_http is not None:
            await self._own_http.aclose()

    def mutate(self, draft: Draft) -> Made:
        """Queue one mutation. Raises InvalidMutationError, MutationTooLargeError, StoreError."""
        return self.mutate_all(draft)[0]

    def mutate_all(self, *drafts: Draft) -> list[Made]:
        """Queue several in one transaction: all of them or none."""
        made = self.store.write(*drafts)
        self._loop.wake()
        return made

    def sell(self, fields: Mapping[str, Any], *, series: str | None = None, actor: str | None = None) -> Made:
        """Ring up a sale with the next number of the till's series (`terminal_id`, unless told otherwise)."""
        number = Number("receipt_no", series or str(fields["terminal_id"]))
        return self.mutate(Draft("sales", "create", fields=fields, number=number, actor=actor))

    def create(
        self,
        collection: str,
        fields: Mapping[str, Any],
        *,
        increments: Mapping[str, Decimal | str] = _NOTHING,
        adds: Mapping[str, Sequence[str]] = _NOTHING,
        record_id: str | None = None,
    ) -> Made:
        """Make a record."""
        return self.mutate(Draft(collection, "create", record_id, fields, increments, adds))

    def update(
        self,
        collection: str,
        record_id: str,
        fields: Mapping[str, Any] = _NOTHING,
        *,
        increments: Mapping[str, Decimal | str] = _NOTHING,
        adds: Mapping[str, Sequence[str]] = _NOTHING,
        removes: Mapping[str, Sequence[str]] = _NOTHING,
    ) -> Made:
        """Set fields, add to counters, put tags in and take them out."""
        return self.mutate(Draft(collection, "update", record_id, fields, increments, adds, removes))

    def decide(self, conflict_id: str, decision: Decision, **more: Any) -> Made:
        """End a conflict: `mine` (`candidate` names the uid, where there are several), `theirs`, or a `value`."""
        return self.update("conflicts", conflict_id, {"decision": decision, **more})

    def delete(self, collection: str, record_id: str) -> Made:
        """Delete a record."""
        return self.mutate(Draft(collection, "delete", record_id))

    def restore(self, collection: str, record_id: str) -> Made:
        """Bring a deleted record back."""
        return self.mutate(Draft(collection, "restore", record_id))

    def continue_series(self, series: str, last: int) -> None:
        """Let a receipt series go on after `last`; it never goes back."""
        self.store.continue_series(series, last)

    def records(self, collection: str) -> dict[str, ViewRecord]:
        """A collection's live records by id, as a person sees them."""
        return self.store.records(collection)

    def record(self, collection: str, record_id: str) -> ViewRecord | None:
        """One record, also a deleted one; None where there is none."""
        return self.store.record(collection, record_id)

    def rejected(self) -> list[Entry]:
        """What is in "Da controllare": refused mutations with their content, the oldest first."""
        return self.store.entries("rejected")

    def entries(self, *states: State) -> list[Entry]:
        """Mutations of this device in those states (none named: all), with what became of them."""
        return self.store.entries(*states)

    def export(self, *states: State) -> str:
        """The same as JSON text, to be kept elsewhere."""
        return self.store.export(*states)

    def resend(
        self,
        uid: str,
        fields: Mapping[str, Any] = _NOTHING,
        *,
        increments: Mapping[str, Decimal | str] = _NOTHING,
    ) -> Made:
        """Send a rejected mutation again with some of it corrected. Raises UnknownRejectionError."""
        made = self.store.resend(uid, corrected(self.store.entry(uid), fields, increments))
        self._loop.wake()
        return made

    def dismiss(self, uid: str) -> None:
        """Take a rejected mutation off the list. Raises UnknownRejectionError."""
        self.store.dismiss(uid)

    @property
    def status(self) -> Status:
        """How things stand."""
        moment = self._loop.moment
        error = moment.error
        code, reason = (None, None) if error is None else (error.code, error.reason)
        differences = self.store.meta().differences
        return Status(moment.state, code, reason, *self.store.counts(), self._loop.too_old, differences)

    def watch(self, watcher: Callable[[Moment], None]) -> None:
        """Have every change of the loop's state told to `watcher`."""
        self._loop.watch = watcher

    def sign_in(self, token: str) -> None:
        """Use another token from now on, and go on if the loop was held."""
        self._transport.token = token
        self._loop.release()

    def wake(self) -> None:
        """Sync now rather than at the next interval."""
        self._loop.wake()

    async def sync_once(self) -> Taken:
        """One exchange. Raises TroubleError, HeldError, BatchTooLargeError (already halved: call again)."""
        return await self._loop.sync_once()

    async def drain(self) -> None:
        """Sync until the queue is empty and what it did has come back, through any trouble. Raises HeldError."""
        await self._loop.drain()

    async def run(self) -> None:
        """Sync for ever: at once, when something is written or poked, and at every interval."""
        await self._loop.run()

    async def live(self) -> None:
        """Listen for pokes for ever; run it beside `run`."""
        await self._live.listen()

    def _is_news(self, head: str) -> bool:
        return head != self.store.meta().head
