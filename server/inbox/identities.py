"""Which record of ours a thing of a provider's is: found by what it was told under before, else derived from its key.

Rules:

1. A record's id follows from the key it was first told under, so that a restored server makes the same one again.
2. A strong key (an SDI id and a position) names a record for certain. A weak one (a file's hash) finds it too, unless
   both sides have strong keys that differ: then they are two things that look alike.
3. Rows are read and written under the tenant's lock, in the transaction that applies what was told.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic_core import to_json

from server.ids import derived
from server.ports import Draft
from server.storage.database import Tx
from server.storage.statement import Statement

_FIND = Statement(
    """SELECT collection, key, record_id, strong FROM identities WHERE tenant_id = :tenant_id
       AND key IN (SELECT value FROM json_each(:keys)) AND collection IN (SELECT value FROM json_each(:collections))""",
    postgresql="""SELECT collection, key, record_id, strong FROM identities WHERE tenant_id = :tenant_id
       AND key = ANY (ARRAY (SELECT json_array_elements_text(:keys::json)))
       AND collection = ANY (ARRAY (SELECT json_array_elements_text(:collections::json)))""",
)
_KEEP = Statement(
    """INSERT INTO identities (tenant_id, collection, key, record_id, strong)
       VALUES (:tenant_id, :collection, :key, :record_id, :strong)
       ON CONFLICT (tenant_id, collection, key)
       DO UPDATE SET strong = coalesce(identities.strong, excluded.strong)"""
)


class Identified(NamedTuple):
    """A draft and its record; `is_new` where nothing was told of it before."""

    draft: Draft
    record_id: str
    is_new: bool


class _Known(NamedTuple):
    record_id: str
    strong: str | None


async def identify(tx: Tx, tenant_id: str, drafts: Sequence[Draft]) -> list[Identified]:
    """The record of each draft."""
    if not drafts:
        return []
    keys = {key for draft in drafts for key in (draft.key, draft.weak_key) if key is not None}
    named = {
        "tenant_id": tenant_id,
        "keys": to_json(sorted(keys)).decode(),
        "collections": to_json(sorted({draft.collection for draft in drafts})).decode(),
    }
    known = {(row[0], row[1]): _Known(row[2], row[3]) for row in await tx.fetch(_FIND, named)}
    return [_identified(draft, known) for draft in drafts]


async def remember(tx: Tx, tenant_id: str, identified: Sequence[Identified]) -> None:
    """Keep under which keys the records are known."""
    rows: list[tuple[str, str, str, str, str | None]] = []
    for draft, record_id, _ in identified:
        rows.append((tenant_id, draft.collection, draft.key, record_id, None))
        if draft.weak_key is not None:
            rows.append((tenant_id, draft.collection, draft.weak_key, record_id, draft.key))
    await tx.many(_KEEP, rows)


def _identified(draft: Draft, known: dict[tuple[str, str], _Known]) -> Identified:
    found = known.get((draft.collection, draft.key))
    if found is None and draft.weak_key is not None:
        weak = known.get((draft.collection, draft.weak_key))
        found = weak if weak is not None and weak.strong in {None, draft.key} else None
    if found is not None:
        return Identified(draft, found.record_id, is_new=False)
    return Identified(draft, derived("record", draft.collection, draft.key), is_new=True)
