"""Entries: this device's own mutations as people and checkers read them, with what became of each.

Nothing is hidden here: what was rejected keeps its content, what was taken keeps its verdict, and all of it can leave
the device as JSON, also when the server will not have it.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from sync.client.draft import Draft
from sync.client.errors import InvalidMutationError, UnknownRejectionError
from sync.protocol import Verdict

State = Literal["pending", "waiting", "settled", "rejected", "resolved"]

_COLUMNS = "uid, client_id, mutation_id, collection, record_id, state, made_at, settled_at, body, verdict"


class Entry(NamedTuple):
    """A mutation made on this device. `content` is what was or will be sent, without its number."""

    uid: str
    client_id: str
    mutation_id: int
    collection: str
    record_id: str
    state: State
    made_at: str
    settled_at: str | None
    content: dict[str, Any]
    verdict: Verdict | None


class Entries:
    """Reads entries inside somebody's transaction, and ends those that a person has dealt with."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """All statements run on `connection`."""
        self._connection = connection

    def all(self, states: Sequence[State] = ()) -> Iterator[Entry]:
        """Those in one of `states` (none named: all), in the order they were made."""
        wanted = json.dumps(states)
        statement = f"""SELECT {_COLUMNS} FROM mutations
            WHERE json_array_length(?1) = 0 OR state IN (SELECT value FROM json_each(?1)) ORDER BY place"""  # noqa: S608
        return map(_entry, self._connection.execute(statement, (wanted,)))

    def rejected(self, uid: str) -> Entry:
        """One entry of "Da controllare". Raises UnknownRejectionError."""
        statement = f"SELECT {_COLUMNS} FROM mutations WHERE uid = ? AND state = 'rejected'"  # noqa: S608
        row = self._connection.execute(statement, (uid,)).fetchone()
        if row is None:
            raise UnknownRejectionError
        return _entry(row)

    def resolve(self, uid: str) -> None:
        """Take an entry off the list; its content stays."""
        self._connection.execute("UPDATE mutations SET state = 'resolved' WHERE uid = ? AND state = 'rejected'", (uid,))


def export_json(entries: Iterator[Entry]) -> str:
    """Entries as a JSON document that people can keep and other programs can read."""
    return json.dumps([entry._asdict() for entry in entries], ensure_ascii=False, indent=1)


def _entry(row: Sequence[Any]) -> Entry:
    *plain, body, verdict = row
    return Entry._make([*plain, json.loads(body), None if verdict is None else json.loads(verdict)])


def corrected(entry: Entry, fields: Mapping[str, Any], increments: Mapping[str, Decimal | str]) -> Draft:
    """A draft of an entry's content with some of it replaced. Raises InvalidMutationError for an erased one."""
    content = entry.content
    if content["op"] == "noop":
        raise InvalidMutationError("this record was erased for good")
    return Draft(
        entry.collection,
        content["op"],
        entry.record_id,
        {**content.get("fields", {}), **fields},
        {**content.get("increments", {}), **increments},
        content.get("adds", {}),
        content.get("removes", {}),
        actor=content.get("actor"),
    )
