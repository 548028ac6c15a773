"""The queue and the journal: this device's own mutations, from the moment they are made until long after their verdict.

A mutation is in one state:

    pending    made; sent again and again until its verdict comes
    waiting    consumed, but its record is not known there yet; the final verdict comes in a later answer
    settled    taken; kept as the journal, for a server restored from a backup asks for it again
    rejected   refused; its content is in "Da controllare"
    resolved   rejected, and since sent again corrected or put aside by a person

`shown` says whether the view replays it over the base: 1 yes, 0 no, 2 from the next swap on (the base of a lost epoch
still holds its effect). Only a verdict moves a mutation out of pending, whatever else happens.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic_core import to_json

from sync.client.base import Base
from sync.client.database import Meta
from sync.protocol import Verdict

_ADD = """INSERT INTO mutations (uid, client_id, mutation_id, collection, record_id, body, made_at, state, shown)
    VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', 1)"""
_BATCH = "SELECT mutation_id, body FROM mutations WHERE state = 'pending' ORDER BY mutation_id LIMIT ?"
_SETTLE = """UPDATE mutations SET state = iif(settled_at IS NULL, ?, ?), shown = iif(?, shown, 0), version = ?,
    verdict = ?, settled_at = ? WHERE uid = ? AND state IN ('pending', 'waiting')"""
_LEAVE = """UPDATE mutations INDEXED BY mutations_returning SET shown = 0
    WHERE shown = 1 AND state = 'settled' AND version <= (SELECT base.version FROM base WHERE base.side = ?
    AND base.collection = mutations.collection AND base.record_id = mutations.record_id)"""
_OUT_OF_REACH = """UPDATE mutations SET shown = 0 WHERE shown = 1 AND state = 'settled' AND collection = ?
    AND NOT EXISTS (SELECT 1 FROM base WHERE base.side = ? AND base.collection = mutations.collection
    AND base.record_id = mutations.record_id)"""
_COUNTS = """SELECT (SELECT count(*) FROM mutations WHERE state = 'pending'),
    (SELECT count(*) FROM mutations WHERE state = 'waiting'), (SELECT count(*) FROM mutations WHERE state = 'rejected'),
    (SELECT made_at FROM mutations WHERE state = 'pending' ORDER BY mutation_id LIMIT 1)"""
_LAST_TAKEN = """SELECT max(mutation_id) FROM mutations WHERE client_id = ? AND state IN ('settled', 'waiting')"""
_NEXT = """INSERT INTO series (name, last) VALUES (?, 1)
    ON CONFLICT (name) DO UPDATE SET last = last + 1 RETURNING last"""
_RAISE = """INSERT INTO series (name, last) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET last = excluded.last WHERE excluded.last > last"""
_PRUNE = """DELETE FROM mutations WHERE state = 'settled' AND settled_at < :before AND place <= (
    SELECT max(place) FROM mutations WHERE client_id = :client_id AND state = 'settled' AND mutation_id <= :safe)
    RETURNING iif(client_id = :client_id, mutation_id, 0)"""


class New(NamedTuple):
    """A mutation to queue; `body` is its JSON without the number."""

    uid: str
    mutation_id: int
    collection: str
    record_id: str
    body: str
    made_at: str


class Counts(NamedTuple):
    """What the status pill shows; `oldest_pending_at` is when the oldest unsent mutation was made."""

    pending: int
    waiting: int
    rejected: int
    oldest_pending_at: str | None


class Queue:
    """Reads and writes this device's mutations inside somebody's transaction."""

    def __init__(self, connection: sqlite3.Connection, base: Base) -> None:
        """All statements run on `connection`, as those of the base."""
        self._connection, self._base = connection, base

    def add(self, meta: Meta, new: New) -> None:
        """Queue a mutation under the client's id."""
        self._connection.execute(_ADD, (new.uid, meta.client_id, *new[1:]))

    def next_number(self, series: str) -> int:
        """The next number of a series: given once, never again, without holes."""
        return int(self._connection.execute(_NEXT, (series,)).fetchone()[0])

    def raise_series(self, series: str, last: int) -> None:
        """Go on after `last`; a series never goes back."""
        self._connection.execute(_RAISE, (series, last))

    def batch(self, limit: int, budget: int) -> list[str]:
        """The first pending mutations as JSON: at most `limit`, and `budget` bytes, but one if there is one."""
        texts: list[str] = []
        for mutation_id, body in self._connection.execute(_BATCH, (limit,)):
            text = f'{{"mutation_id":{mutation_id},{body[1:]}'
            budget -= len(text.encode()) + 1
            if budget < 0 and texts:
                break
            texts.append(text)
        return texts

    def settle(self, verdicts: Sequence[Verdict], now: str) -> int:
        """Take verdicts over; how many were news. A verdict told twice, or of a stranger, changes nothing."""
        rows = [_settled(verdict, now) for verdict in verdicts]
        before = self._connection.total_changes
        self._connection.executemany(_SETTLE, rows)
        news = self._connection.total_changes - before
        for verdict in verdicts:
            if verdict["code"] == "erased":
                self._erase(verdict["uid"])
        return news

    def leave_view(self, meta: Meta) -> None:
        """Mutations whose effect has come back with a pull are not replayed any more."""
        if meta.building_side is None:  # the shown side is old news until the swap
            self._connection.execute(_LEAVE, (meta.shown_side,))

    def leave_lost(self, meta: Meta, collections: Iterable[str]) -> None:
        """After a bucket was lost, what was taken there never comes back: nor is it replayed.

        One that lies in another bucket and has not come yet is shown again as soon as it does.
        """
        self._connection.executemany(_OUT_OF_REACH, [(name, meta.shown_side) for name in collections])

    def last_taken(self, meta: Meta) -> int:
        """The highest number whose mutation the server must know: it said that it took it."""
        found = self._connection.execute(_LAST_TAKEN, (meta.client_id,)).fetchone()
        return int(found[0] or 0)

    def join_view(self) -> None:
        """After a swap the base lacks what is queued again: replay it."""
        self._connection.execute("UPDATE mutations SET shown = 1 WHERE shown = 2")

    def prune(self, meta: Meta, before: str) -> None:
        """Forget the journal where a verified backup covers it and it is older than `before`, and note how far."""
        named = {"before": before, "client_id": meta.client_id, "safe": meta.safe_mutation_id}
        pruned = self._connection.execute(_PRUNE, named).fetchall()
        meta.pruned_to = max([meta.pruned_to, *(number for (number,) in pruned)])

    def counts(self) -> Counts:
        """How many are in the states a person cares about."""
        return Counts(*self._connection.execute(_COUNTS).fetchone())

    def _erase(self, uid: str) -> None:
        """A record was erased for good (GDPR): nothing of it stays here, but the numbers of what is queued do."""
        named = self._connection.execute("SELECT collection, record_id FROM mutations WHERE uid = ?", (uid,)).fetchone()
        if named is not None:
            self.forget(named[0], named[1], uid)
            self._base.erase(*named)

    def forget(self, collection: str, record_id: str, kept: str = "") -> None:
        """What this device ever said of a record goes, but the numbers of what is queued, and the entry `kept`."""
        gone = "DELETE FROM mutations WHERE collection = ? AND record_id = ? AND state <> 'pending' AND uid <> ?"
        self._connection.execute(gone, (collection, record_id, kept))
        emptied = """UPDATE mutations SET body = json_object('uid', uid, 'op', 'noop'), shown = 0
            WHERE collection = ? AND record_id = ?"""
        self._connection.execute(emptied, (collection, record_id))


def _settled(verdict: Verdict, now: str) -> Sequence[object]:
    """The values of `_SETTLE`: the state for what was never settled before, and for what was once."""
    status, version = verdict["status"], verdict["version"]
    expired = verdict["code"] == "verdict_expired"
    if status == "waiting":
        state, stays = "waiting", True
    elif status == "rejected" or expired:
        state, stays = "rejected", False
    else:
        state, stays = "settled", version is not None
    settled_at = None if state == "waiting" else now
    return state, "settled" if expired else state, stays, version, to_json(verdict).decode(), settled_at, verdict["uid"]
