"""The store: everything this device knows, in one SQLite file, and the few transactions that change it.

Invariants: what `write` returned is on disk and will be sent; a page and its cursor are stored together; a mutation
leaves the queue only with its verdict; a pull writes the base and never the queue.
"""

from pathlib import Path
from typing import Any, NamedTuple

from sync.client.answer import Answer
from sync.client.base import Base
from sync.client.database import Database, Meta
from sync.client.draft import Draft, content_of, encode_body
from sync.client.entries import Entries, Entry, State, export_json
from sync.client.errors import InvalidMutationError, NumberingError
from sync.client.queue import Counts, New, Queue
from sync.client.recovery import Recovery
from sync.client.runtime import Runtime
from sync.client.servertime import next_stamp
from sync.client.taking import Outgoing, Taken, Taking
from sync.client.view import View, ViewRecord


class Made(NamedTuple):
    """A mutation that is on disk. `number` is what its series gave."""

    uid: str
    mutation_id: int
    record_id: str
    number: int | None
    timestamp: str


class Store:
    """The local database. Used by one thread; other processes may use the same file."""

    def __init__(self, path: Path | str, runtime: Runtime | None = None, *, schema: int | None = None) -> None:
        """Open or create; `schema` is noted in each mutation. Raises StoreTooNewError, StoreError."""
        self._runtime, self._schema = runtime or Runtime(), schema
        self._database = Database(path, self._runtime.uuid7())
        connection = self._database.connection
        self._base, self._entries = Base(connection), Entries(connection)
        self._queue, self._view = Queue(connection, self._base), View(connection, self._base)
        self._taking = Taking(self._base, self._queue, Recovery(connection), self._runtime)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def write(self, *drafts: Draft) -> list[Made]:
        """Queue what is wanted, all in one transaction, on disk at return.

        Raises InvalidMutationError, MutationTooLargeError, StoreError; then nothing was written and no number given.
        """
        with self._database.transaction() as meta:
            return [self._add(meta, draft) for draft in drafts]

    def resend(self, uid: str, draft: Draft) -> Made:
        """Queue a corrected version of a rejected mutation, and take that off the list, in one transaction."""
        with self._database.transaction() as meta:
            self._entries.rejected(uid)
            self._entries.resolve(uid)
            return self._add(meta, draft)

    def dismiss(self, uid: str) -> None:
        """A person has seen it and wants no more of it; it stays in the journal. Raises UnknownRejectionError."""
        with self._database.transaction():
            self._entries.rejected(uid)
            self._entries.resolve(uid)

    def continue_series(self, series: str, last: int) -> None:
        """Let a series go on after `last`: a till whose database is new must not start at 1 again."""
        with self._database.transaction():
            self._queue.raise_series(series, last)

    def records(self, collection: str) -> dict[str, ViewRecord]:
        """A collection's live records by id, as a person sees them."""
        with self._database.reading() as meta:
            return self._view.records(meta, collection)

    def record(self, collection: str, record_id: str) -> ViewRecord | None:
        """One record as a person sees it."""
        with self._database.reading() as meta:
            return self._view.record(meta, collection, record_id)

    def entry(self, uid: str) -> Entry:
        """A rejected mutation. Raises UnknownRejectionError."""
        with self._database.reading():
            return self._entries.rejected(uid)

    def entries(self, *states: State) -> list[Entry]:
        """Mutations of this device in those states (none named: all), in the order they were made."""
        with self._database.reading():
            return list(self._entries.all(states))

    def export(self, *states: State) -> str:
        """The same as JSON text."""
        with self._database.reading():
            return export_json(self._entries.all(states))

    def counts(self) -> Counts:
        """How much is unsent, waiting, to be looked at."""
        with self._database.reading():
            return self._queue.counts()

    def meta(self) -> Meta:
        """A copy of the client's own row."""
        with self._database.reading() as meta:
            return meta

    def outgoing(self, limit: int, budget: int) -> Outgoing:
        """The next request: at most `limit` mutations, which have what the cursor leaves of `budget` bytes."""
        with self._database.reading() as meta:
            mutations = self._queue.batch(limit, budget - len(meta.cursor or ""))
            return Outgoing(meta.client_id, meta.epoch, meta.cursor, mutations, not meta.in_round, meta.resume_from)

    def take(self, sent: Outgoing, answer: Answer, sent_ms: int, received_ms: int) -> Taken:
        """Store an answer: verdicts, page and cursor in one transaction."""
        with self._database.transaction() as meta:
            return self._taking.take(meta, sent, answer, sent_ms, received_ms)

    def take_numbering(self, sent: Outgoing, error: NumberingError) -> Taken:
        """Store the verdicts so far and number what remains as the server wants it."""
        with self._database.transaction() as meta:
            return self._taking.take_numbering(meta, sent, error)

    def _add(self, meta: Meta, draft: Draft) -> Made:
        if draft.op != "create" and draft.record_id is None:
            raise InvalidMutationError(f"which record? {draft.op} needs a record_id")
        record_id = draft.record_id or self._runtime.uuid7()
        uid, timestamp = self._runtime.uuid7(), next_stamp(meta, self._runtime.clock_ms())
        content = content_of(draft)
        number = self._numbered(draft, content)
        body = {
            "uid": uid,
            "record_id": record_id,
            "timestamp": timestamp,
            "base_version": self._base.version(meta, draft.collection, record_id),
            "epoch": meta.epoch,
            **({} if self._schema is None else {"schema": self._schema}),
            **content,
        }
        meta.last_issued += 1
        new = New(uid, meta.last_issued, draft.collection, record_id, encode_body(body), timestamp)
        self._queue.add(meta, new)
        return Made(uid, meta.last_issued, record_id, number, timestamp)

    def _numbered(self, draft: Draft, content: dict[str, Any]) -> int | None:
        if draft.number is None:
            return None
        if draft.number.field in draft.fields:
            raise InvalidMutationError(f"fields.{draft.number.field}: the series gives it")
        number = self._queue.next_number(draft.number.series)
        content["fields"] = {**content.get("fields", {}), draft.number.field: number}
        return number
