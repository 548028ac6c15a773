"""The view: what a person sees is the base with the device's own mutations replayed on top.

The overlay is small on purpose: fields are simply set, increments added, tags put in and taken out. Who wins against
others is the server's to say, and comes back with the next pull; until then a person sees what they did.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from pydantic_core import from_json

from sync.client.base import Base, BaseRecord
from sync.client.database import Meta
from sync.collection import Fields

_SHOWN = "SELECT record_id, body, state FROM mutations WHERE shown = 1 AND collection = ?"


class ViewRecord(NamedTuple):
    """A record as a person sees it. `unsent` counts its mutations that have no verdict yet."""

    record_id: str
    version: int
    deleted: bool
    fields: Fields
    unsent: int


@dataclass(slots=True)
class _Replayed:
    """A record in the making; `touched` once a mutation of this device changed it."""

    version: int
    deleted: bool
    fields: Fields
    exists: bool
    touched: bool = False
    unsent: int = 0


class View:
    """Reads the view inside somebody's transaction."""

    def __init__(self, connection: sqlite3.Connection, base: Base) -> None:
        """All statements run on `connection`."""
        self._connection, self._base = connection, base

    def records(self, meta: Meta, collection: str) -> dict[str, ViewRecord]:
        """A collection's live records by id."""
        found = {record.record_id: _started(record) for record in self._base.records(meta, collection)}
        rows = self._connection.execute(f"{_SHOWN} ORDER BY place", (collection,))
        replay(found, rows)
        return {record_id: _seen(record_id, one) for record_id, one in found.items() if one.exists and not one.deleted}

    def record(self, meta: Meta, collection: str, record_id: str) -> ViewRecord | None:
        """One record, also where it is deleted; None where there is none."""
        base = self._base.record(meta, collection, record_id)
        found = {} if base is None else {record_id: _started(base)}
        rows = self._connection.execute(f"{_SHOWN} AND record_id = ? ORDER BY place", (collection, record_id))
        replay(found, rows)
        one = found.get(record_id)
        return _seen(record_id, one) if one is not None and one.exists else None


def replay(found: dict[str, _Replayed], rows: Iterable[tuple[str, str, str]]) -> None:
    """Replay mutations (record id, JSON, state) over records, in the order they were made."""
    for record_id, body, state in rows:
        one = found.setdefault(record_id, _Replayed(0, deleted=False, fields={}, exists=False))
        _apply(one, from_json(body))
        one.unsent += state != "settled"


def _apply(one: _Replayed, mutation: dict[str, Any]) -> None:
    op = mutation["op"]
    if op == "create" and not one.exists:
        one.exists = True
    elif op == "create":
        return  # the server has it already, and knows more about it
    elif op != "update":
        one.deleted = op == "delete"
    elif one.touched or mutation.get("base_version", 0) >= one.version:
        one.deleted = one.deleted and not mutation.get("fields")  # an edit that saw the deletion brings it back
    one.fields |= mutation.get("fields", {})
    for name, delta in mutation.get("increments", {}).items():
        one.fields[name] = _sum(one.fields.get(name), delta)
    for name, tags in mutation.get("removes", {}).items():
        one.fields[name] = sorted({*one.fields.get(name, ())} - {*tags})
    for name, tags in mutation.get("adds", {}).items():
        one.fields[name] = sorted({*one.fields.get(name, ()), *tags})
    one.touched = True


def _sum(value: Any, delta: str) -> Any:
    total = Decimal(str(value or 0)) + Decimal(delta)
    return int(total) if isinstance(value, int) else format(total, "f")


def _started(record: BaseRecord) -> _Replayed:
    return _Replayed(record.version, record.deleted, record.fields, exists=True)


def _seen(record_id: str, one: _Replayed) -> ViewRecord:
    return ViewRecord(record_id, one.version, one.deleted, one.fields, one.unsent)
