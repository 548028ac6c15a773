"""The local database: its tables, and the one way to write to it.

Every write is one transaction that holds the client's own row (`Meta`): read at its start, stored at its end. It is on
disk when the transaction returns (WAL, synchronous=FULL), and a process killed at any point leaves either all of it or
nothing. Several processes may share a file; each transaction takes the write lock first.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from sync.client.errors import StoreError, StoreTooNewError

FORMAT = 2
_LOCK_WAIT_S = 10.0

_TABLES = """
CREATE TABLE client (
    one INTEGER PRIMARY KEY CHECK (one = 1), client_id TEXT NOT NULL, last_issued INTEGER NOT NULL,
    epoch TEXT, base_epoch TEXT, cursor TEXT, shown_side INTEGER NOT NULL, building_side INTEGER,
    in_round INTEGER NOT NULL, round_head TEXT, head TEXT, offset_ms INTEGER NOT NULL,
    last_stamp_ms INTEGER NOT NULL, safe_mutation_id INTEGER NOT NULL,
    disputed TEXT, differences INTEGER NOT NULL DEFAULT 0, resume_from INTEGER, pruned_to INTEGER NOT NULL DEFAULT 0);
CREATE TABLE base (
    side INTEGER NOT NULL, collection TEXT NOT NULL, record_id TEXT NOT NULL, version INTEGER NOT NULL,
    audience TEXT NOT NULL DEFAULT '', deleted INTEGER NOT NULL, fields TEXT NOT NULL,
    PRIMARY KEY (side, collection, record_id));
CREATE TABLE mutations (
    place INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, client_id TEXT NOT NULL,
    mutation_id INTEGER NOT NULL, collection TEXT NOT NULL, record_id TEXT NOT NULL, body TEXT NOT NULL,
    made_at TEXT NOT NULL, shown INTEGER NOT NULL, version INTEGER, verdict TEXT, settled_at TEXT,
    state TEXT NOT NULL CHECK (state IN ('pending', 'waiting', 'settled', 'rejected', 'resolved')));
CREATE INDEX mutations_pending ON mutations (mutation_id) WHERE state = 'pending';
CREATE INDEX mutations_taken ON mutations (client_id, mutation_id) WHERE state IN ('settled', 'waiting');
CREATE INDEX mutations_shown ON mutations (collection, place) WHERE shown = 1;
CREATE INDEX mutations_returning ON mutations (collection, record_id) WHERE shown = 1 AND state = 'settled';
CREATE INDEX mutations_waiting ON mutations (place) WHERE state = 'waiting';
CREATE INDEX mutations_rejected ON mutations (place) WHERE state = 'rejected';
CREATE INDEX mutations_record ON mutations (collection, record_id, place);
CREATE TABLE series (name TEXT PRIMARY KEY, last INTEGER NOT NULL);
"""
_SUMS = """
CREATE TABLE sums (
    side INTEGER NOT NULL, collection TEXT NOT NULL, audience TEXT NOT NULL, sum INTEGER NOT NULL,
    PRIMARY KEY (side, collection, audience)) WITHOUT ROWID;
"""
_FROM_1 = """
ALTER TABLE base ADD COLUMN audience TEXT NOT NULL DEFAULT '';
ALTER TABLE client ADD COLUMN disputed TEXT;
ALTER TABLE client ADD COLUMN differences INTEGER NOT NULL DEFAULT 0;
ALTER TABLE client ADD COLUMN resume_from INTEGER;
ALTER TABLE client ADD COLUMN pruned_to INTEGER NOT NULL DEFAULT 0;
UPDATE client SET cursor = NULL, in_round = 0, building_side = 1 - shown_side;
DELETE FROM base WHERE side <> (SELECT shown_side FROM client);
UPDATE mutations SET settled_at = NULL WHERE state = 'waiting';
UPDATE client SET pruned_to = coalesce((SELECT min(mutation_id) FROM mutations
    WHERE client_id = client.client_id AND state IN ('pending', 'waiting', 'settled')), last_issued + 1) - 1;
"""
"""Format 1 did not know which bucket a record was in: the copy is pulled anew, beside the one that is shown.

It called settled what waited, and did not say how far its journal was pruned: before its first entry, at most.
"""
_STEPS = {0: (_TABLES + _SUMS, FORMAT), 1: (_FROM_1 + _SUMS, 2)}


@dataclass(slots=True)
class Meta:
    """The client's own row.

    `base` holds one or two copies (sides) of the server's records: `shown_side`, and while a rebuild is under way
    `building_side`. `base_epoch` is the epoch of the shown one's versions. `in_round`: pages are still to come.

    `disputed` is what the server last told of the buckets where the base differs, None while they agree; `differences`
    counts how often that was something new. `pruned_to`: the highest of this client's numbers that was pruned from the
    journal. `resume_from`: the server asks for some of those, so what is sent again begins here.
    """

    client_id: str
    last_issued: int = 0
    epoch: str | None = None
    base_epoch: str | None = None
    cursor: str | None = None
    shown_side: int = 0
    building_side: int | None = None
    in_round: bool = False
    round_head: str | None = None
    head: str | None = None
    offset_ms: int = 0
    last_stamp_ms: int = 0
    safe_mutation_id: int = 0
    disputed: str | None = None
    differences: int = 0
    resume_from: int | None = None
    pruned_to: int = 0


_COLUMNS = tuple(member.name for member in fields(Meta))
_LOAD = f"SELECT {', '.join(_COLUMNS)} FROM client"  # noqa: S608  # names of our own
_SAVE = f"UPDATE client SET {', '.join(f'{name} = ?' for name in _COLUMNS)}"  # noqa: S608
_INSERT = f"INSERT INTO client VALUES (1, {', '.join('?' for _ in _COLUMNS)})"  # noqa: S608


class Database:
    """One connection, used by the thread that opened it."""

    def __init__(self, path: Path | str, client_id: str) -> None:
        """Open or create; `client_id` is for a new database. Raises StoreTooNewError, StoreError."""
        with _refusals():
            self.connection = sqlite3.connect(path, timeout=_LOCK_WAIT_S, isolation_level=None)
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
        try:
            self._prepare(client_id)
        except BaseException:
            self.connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[Meta]:
        """All of it or nothing; on disk when it returns. Raises StoreError when the database refuses."""
        with self._locked("IMMEDIATE"):
            meta = self._load()
            yield meta
            self.connection.execute(_SAVE, astuple(meta))

    @contextmanager
    def reading(self) -> Iterator[Meta]:
        """One consistent state, however many statements read it."""
        with self._locked("DEFERRED"):
            yield self._load()

    def close(self) -> None:
        """Close the file; everything is on disk already."""
        self.connection.close()

    @contextmanager
    def _locked(self, kind: str) -> Iterator[None]:
        with _refusals():
            self.connection.execute(f"BEGIN {kind}")
            try:
                yield
                self.connection.execute("COMMIT")
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    def _load(self) -> Meta:
        meta = Meta(*self.connection.execute(_LOAD).fetchone())
        meta.in_round = bool(meta.in_round)
        return meta

    def _prepare(self, client_id: str) -> None:
        with self._locked("IMMEDIATE"):
            (found,) = self.connection.execute("PRAGMA user_version").fetchone()
            if found > FORMAT:
                raise StoreTooNewError
            new = found == 0
            while found < FORMAT:
                statements, found = _STEPS[found]
                for statement in statements.split(";\n"):
                    self.connection.execute(statement)
                self.connection.execute(f"PRAGMA user_version = {found}")
            if new:
                self.connection.execute(_INSERT, astuple(Meta(client_id)))


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"the local database refused: {error}") from error
