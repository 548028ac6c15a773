"""Recovery: what becomes of the queue when the server counts otherwise, or has lost some of its history.

Rules:

1. Uids never change, so whatever is sent twice is recognised and answered by its stored verdict. When it was settled
   stays with it: where the server keeps no verdict of it any more, it is settled still, and nobody is asked about it.
2. Numbers are the sending order: what is queued again comes before what was never sent, in the order it was made, and
   is numbered without holes from the one the server expects.
3. A new client id means that earlier writes of the old one are a stranger's. A verdict `applied` says that the record
   then held nothing this device had not seen, so later edits of it may say they have seen that version.
4. Versions of another epoch mean nothing: what is sent again says it has seen nothing but its own writes.
5. Where the server asks for what was pruned from the journal, the queue goes on after that and the request says so
   (`resume_from`): the server lists the hole. What was pruned is remembered, not guessed from the numbers that are
   left: a rejected mutation's stays for ever, and an erased one's is gone without a loss.
6. What a backup covers is said of one history and one client id (`safe_mutation_id`): it ends with either.
"""

import sqlite3

from sync.client.database import Meta

_RESTART = """UPDATE mutations SET state = 'pending', shown = iif(state = 'settled' AND shown = 0, 2, shown),
    version = NULL, verdict = NULL,
    body = json_set(body, '$.base_version', 0, '$.epoch', ?)
    WHERE state IN ('pending', 'waiting', 'settled')"""
_SEND_AGAIN = """UPDATE mutations SET state = 'pending', shown = iif(state = 'settled' AND shown = 0, 2, shown),
    version = NULL, verdict = NULL
    WHERE state IN ('waiting', 'settled') AND client_id = ? AND mutation_id >= ?"""
_SEEN = """UPDATE mutations SET body = json_set(body, '$.base_version', own.version) FROM (
    SELECT later.place AS place, max(earlier.version) AS version FROM mutations AS later JOIN mutations AS earlier
    ON earlier.collection = later.collection AND earlier.record_id = later.record_id AND earlier.place < later.place
    WHERE later.state = 'pending' AND earlier.state = 'settled'
    AND json_extract(earlier.verdict, '$.status') = 'applied' GROUP BY later.place) AS own
    WHERE mutations.place = own.place AND own.version > coalesce(json_extract(body, '$.base_version'), 0)"""
_IN_ORDER = (
    "SELECT place FROM mutations WHERE state = 'pending' AND (client_id <> ? OR mutation_id >= ?) ORDER BY place"
)
_NUMBER = "UPDATE mutations SET client_id = ?, mutation_id = ? WHERE place = ?"


class Recovery:
    """Rewrites the queue inside somebody's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """All statements run on `connection`."""
        self._connection = connection

    def take_new_client(self, meta: Meta, client_id: str) -> None:
        """The database was copied: go on under an id of its own, from number 1."""
        waiting = "UPDATE mutations SET state = 'pending' WHERE state = 'waiting'"  # its end is told to its sender
        self._connection.execute(waiting)
        self._connection.execute(_SEEN)
        meta.client_id, meta.resume_from = client_id, None
        meta.safe_mutation_id = meta.pruned_to = 0
        self._number(meta, 1)

    def resume(self, meta: Meta, expected: int) -> None:
        """Go on from the number the server expects, with what the journal has from there on."""
        meta.safe_mutation_id = min(meta.safe_mutation_id, expected - 1)
        self._connection.execute(_SEND_AGAIN, (meta.client_id, expected))
        self._number(meta, expected)

    def begin_epoch(self, meta: Meta, epoch: str, last_mutation_id: int) -> None:
        """The server lost some of its history: queue all that was ever taken, then what is pending."""
        meta.epoch, meta.safe_mutation_id = epoch, 0
        self._connection.execute(_RESTART, (epoch,))
        self._number(meta, last_mutation_id + 1)

    def _number(self, meta: Meta, expected: int) -> None:
        """Number what is queued from where the server stands, or from after the hole that begins there."""
        meta.resume_from = meta.pruned_to + 1 if expected <= meta.pruned_to else None
        start = meta.resume_from or expected
        rows = self._connection.execute(_IN_ORDER, (meta.client_id, expected)).fetchall()
        numbered = [(meta.client_id, start + index, place) for index, (place,) in enumerate(rows)]
        self._connection.executemany(_NUMBER, numbered)
        meta.last_issued = start + len(numbered) - 1
