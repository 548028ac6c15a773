"""The base: the server's records as they were last pulled. Only a pull writes here.

A rebuild fills a second copy, the building side, beside the shown one, and takes its place when its round has ended:
what a person sees is old until then, never half.

A record is in one bucket (collection, audience); one that moved comes twice, as a tombstone of the bucket it left and
as it is now, both with the version it moved at and in either order. So of equal versions the later one is taken, but
not a tombstone of another bucket than the record is known to be in: that is old news.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from sync.client.answer import Bucket as BucketName
from sync.client.answer import Change
from sync.client.database import Meta
from sync.client.sums import Live, Sums
from sync.collection import Fields
from sync.cursor import Bucket

_WRITE = """INSERT INTO base (side, collection, record_id, version, audience, deleted, fields)
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (side, collection, record_id) DO UPDATE
    SET version = excluded.version, audience = excluded.audience, deleted = excluded.deleted, fields = excluded.fields
    WHERE excluded.version > version
    OR (excluded.version = version AND (NOT excluded.deleted OR excluded.audience = audience)) RETURNING 1"""
_LIVE = """SELECT collection, audience, record_id, version FROM base
    WHERE side = ? AND collection = ? AND record_id = ? AND NOT deleted"""
_DROP = "DELETE FROM base WHERE collection = ? AND audience = ?"


class BaseRecord(NamedTuple):
    """A record as the server had it."""

    record_id: str
    version: int
    deleted: bool
    fields: Fields


class Base:
    """Reads and writes the base inside somebody's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """All statements run on `connection`."""
        self._connection, self._sums = connection, Sums(connection)

    def version(self, meta: Meta, collection: str, record_id: str) -> int:
        """The version somebody who looks at the screen has seen; 0 where there is none, or only another epoch's."""
        if meta.base_epoch != meta.epoch:
            return 0
        statement = "SELECT version FROM base WHERE side = ? AND collection = ? AND record_id = ?"
        found = self._connection.execute(statement, (meta.shown_side, collection, record_id)).fetchone()
        return int(found[0]) if found else 0

    def records(self, meta: Meta, collection: str) -> list[BaseRecord]:
        """All of a collection, tombstones included."""
        statement = "SELECT record_id, version, deleted, fields FROM base WHERE side = ? AND collection = ?"
        return [_record(row) for row in self._connection.execute(statement, (meta.shown_side, collection))]

    def record(self, meta: Meta, collection: str, record_id: str) -> BaseRecord | None:
        """One record, tombstones included."""
        statement = """SELECT record_id, version, deleted, fields FROM base
            WHERE side = ? AND collection = ? AND record_id = ?"""
        found = self._connection.execute(statement, (meta.shown_side, collection, record_id)).fetchone()
        return _record(found) if found else None

    def digests(self, meta: Meta) -> dict[Bucket, int]:
        """What the server's digests must be: one number for each bucket that has live records."""
        return self._sums.of(meta.shown_side)

    def recount(self, meta: Meta) -> None:
        """See that the digests are of the rows as they are, whoever wrote them. It reads all of them."""
        self._sums.recount(meta.shown_side)

    def write(self, meta: Meta, changes: Sequence[Change]) -> None:
        """A page."""
        side = meta.shown_side if meta.building_side is None else meta.building_side
        gone, come = list[Live](), list[Live]()
        for change in changes:
            name, record_id, version, audience = _named(change)
            before = self._connection.execute(_LIVE, (side, name, record_id)).fetchall()
            fields = to_json(change["fields"]).decode()
            row = (side, name, record_id, version, audience, change["deleted"], fields)
            if self._connection.execute(_WRITE, row).fetchall():
                gone += before
                come += [] if change["deleted"] else [(name, audience, record_id, version)]
        self._sums.replace(side, gone, come)

    def erase(self, collection: str, record_id: str) -> None:
        """A record that was erased for good: nothing of it stays, in neither copy."""
        for side in (0, 1):
            self._sums.replace(side, self._connection.execute(_LIVE, (side, collection, record_id)), ())
        self._connection.execute("DELETE FROM base WHERE collection = ? AND record_id = ?", (collection, record_id))

    def drop(self, buckets: Sequence[BucketName]) -> None:
        """Buckets that are out of this device's reach: nothing of them stays, in neither copy."""
        rows = [(bucket["collection"], bucket["audience"]) for bucket in buckets]
        self._connection.executemany(_DROP, rows)
        self._sums.drop(rows)

    def start_rebuild(self, meta: Meta) -> None:
        """Begin a second copy from nothing; one begun before is thrown away."""
        meta.building_side = 1 - meta.shown_side
        meta.cursor, meta.in_round = None, False
        self._empty(meta.building_side)

    def swap(self, meta: Meta) -> None:
        """Show the rebuilt copy."""
        if meta.building_side is not None:
            self._empty(meta.shown_side)
            meta.shown_side, meta.building_side, meta.base_epoch = meta.building_side, None, meta.epoch

    def _empty(self, side: int) -> None:
        self._connection.execute("DELETE FROM base WHERE side = ?", (side,))
        self._sums.clear(side)


def _named(change: Change) -> tuple[str, str, int, str]:
    return change["collection"], change["record_id"], change["version"], change["audience"]


def _record(row: Sequence[Any]) -> BaseRecord:
    record_id, version, deleted, fields = row
    return BaseRecord(record_id, version, bool(deleted), from_json(fields))
