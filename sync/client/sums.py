"""Sums: the digest of each bucket of the base, kept up to date by what is written, so that a check compares numbers.

Damage to a row, by the disk or by anything but this app, does not change them: a recount makes them of the rows anew.
"""

import sqlite3
from collections.abc import Iterable

from sync.cursor import Bucket
from sync.digest import MASK, digests

_OF = "SELECT collection, audience, sum FROM sums WHERE side = ? AND sum <> 0"
_ADD = f"""INSERT INTO sums (side, collection, audience, sum) VALUES (?, ?, ?, ?)
    ON CONFLICT (side, collection, audience) DO UPDATE SET sum = (sum + excluded.sum) & {MASK}"""  # noqa: S608  # a number
_LIVE = "SELECT collection, audience, record_id, version FROM base WHERE side = ? AND NOT deleted"

Live = tuple[str, str, str, int]
"""(collection, audience, record id, version) of a record that is not deleted."""


class Sums:
    """Reads and writes the sums inside somebody's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """All statements run on `connection`."""
        self._connection = connection

    def of(self, side: int) -> dict[Bucket, int]:
        """What the server's digests of a side must be: one number for each bucket that has live records."""
        return {(name, audience): total for name, audience, total in self._connection.execute(_OF, (side,))}

    def replace(self, side: int, gone: Iterable[Live], come: Iterable[Live]) -> None:
        """Some of a side's records went, or are of another version; others came."""
        taken = [(side, *bucket, -total & MASK) for bucket, total in digests(gone).items()]
        added = [(side, *bucket, total) for bucket, total in digests(come).items()]
        self._connection.executemany(_ADD, taken + added)

    def drop(self, buckets: Iterable[Bucket]) -> None:
        """Buckets went whole, from either side."""
        self._connection.executemany("DELETE FROM sums WHERE collection = ? AND audience = ?", buckets)

    def clear(self, side: int) -> None:
        """A side is empty."""
        self._connection.execute("DELETE FROM sums WHERE side = ?", (side,))

    def recount(self, side: int) -> None:
        """Make a side's sums from its rows: slow, for it reads and hashes them all."""
        self.clear(side)
        self.replace(side, (), self._connection.execute(_LIVE, (side,)))
