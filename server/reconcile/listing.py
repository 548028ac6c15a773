"""Reconciliations for people at the command line: what does not add up, the oldest first."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from server.engine.records import Records
from server.reconcile.settle import CLOSURES, RECONCILIATIONS
from server.storage.database import Database, Tx
from server.storage.statement import Statement

_OPEN = Statement(
    """SELECT CAST(id AS text) FROM reconciliations WHERE tenant_id = :tenant_id AND status = 'open'
       AND NOT accepted AND NOT deleted ORDER BY opened_at, id LIMIT :most"""
)
_NEWEST = Statement(
    """SELECT CAST(id AS text) FROM reconciliations WHERE tenant_id = :tenant_id AND audience = :audience
       AND NOT deleted ORDER BY seq DESC LIMIT :most"""
)
_AUDIENCES = Statement("SELECT audience FROM digests WHERE tenant_id = :tenant_id AND collection = 'reconciliations'")


class UnknownReconciliationError(Exception):
    """There is no such reconciliation here: see `rientro closures list`."""


class Line(NamedTuple):
    """A reconciliation in one line."""

    id: str
    kind: str
    status: str
    shop: str
    terminal_id: str
    business_day: str
    expected_count: int
    arrived_count: int
    missing: str
    differences: int
    opened_at: str


async def list_reconciliations(
    database: Database, records: Records, tenant_id: str, *, every: bool, limit: int
) -> list[Line]:
    """Open ones, the oldest first; with `every` all, the last changed first in each shop."""

    async def work(tx: Tx) -> list[Line]:
        ids = await _newest(tx, tenant_id, limit) if every else await _open(tx, tenant_id, limit)
        found = await records.load(tx, tenant_id, [(RECONCILIATIONS, one) for one in ids])
        return [_line(one, found[RECONCILIATIONS, one].fields) for one in ids]

    return await database.read(work)


async def show_reconciliation(
    database: Database, records: Records, tenant_id: str, record_id: str
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """One, and its closing where it is about one. Raises UnknownReconciliationError."""

    async def work(tx: Tx) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
        key = (RECONCILIATIONS, record_id)
        found = await records.load(tx, tenant_id, [key])
        if key not in found or found[key].deleted:
            raise UnknownReconciliationError
        said = found[key].fields
        closing = (CLOSURES, str(said["closure_id"]))
        known = {} if said["closure_id"] is None else await records.load(tx, tenant_id, [closing])
        return said, known[closing].fields if closing in known else None

    return await database.read(work)


async def _open(tx: Tx, tenant_id: str, limit: int) -> list[str]:
    return [str(row[0]) for row in await tx.fetch(_OPEN, {"tenant_id": tenant_id, "most": limit})]


async def _newest(tx: Tx, tenant_id: str, limit: int) -> list[str]:
    found: list[str] = []
    for (audience,) in await tx.fetch(_AUDIENCES, {"tenant_id": tenant_id}):
        rows = await tx.fetch(_NEWEST, {"tenant_id": tenant_id, "audience": audience, "most": limit})
        found += [str(row[0]) for row in rows]
    return found[:limit]


def _line(record_id: str, said: Mapping[str, Any]) -> Line:
    known = {name: said[name] for name in Line._fields if name in said and name not in {"missing", "differences"}}
    return Line(id=record_id, missing=numbers(said["missing"]), differences=len(said["differences"]), **known)


def numbers(ranges: Sequence[Mapping[str, int]]) -> str:
    """`3-4, 6`."""
    return ", ".join(
        str(one["first"]) if one["first"] == one["last"] else f"{one['first']}-{one['last']}" for one in ranges
    )


def as_text(value: Any) -> str:
    """A field as one reads it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
