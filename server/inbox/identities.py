"""Which record of ours a thing of a provider's is: found by what it was told under before, else derived from its key.

Rules:

1. A record's id follows from the key it was first told under, so that a restored server makes the same one again.
2. A strong key (an SDI id and a position) names a record for certain. A weak one (a file's hash) finds it too, unless
   both sides have strong keys that differ: then they are two things that look alike.
3. A key remembers the greatest watermark it was told under, and whether the thing came to its final state.
4. Rows are read and written under the tenant's lock, in the transaction that applies what was told.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic_core import to_json

from server.ids import derived
from server.ports import Draft
from server.storage.database import Tx
from server.storage.statement import Statement

_COLUMNS = "collection, key, record_id, strong, watermark, final"
_FIND = Statement(
    f"""SELECT {_COLUMNS} FROM identities WHERE tenant_id = :tenant_id
       AND key IN (SELECT value FROM json_each(:keys))
       AND collection IN (SELECT value FROM json_each(:collections))""",  # noqa: S608  # our own names
    postgresql=f"""SELECT {_COLUMNS} FROM identities WHERE tenant_id = :tenant_id
       AND key = ANY (ARRAY (SELECT json_array_elements_text(:keys::json)))
       AND collection = ANY (ARRAY (SELECT json_array_elements_text(:collections::json)))""",  # noqa: S608
)
_KEEP = Statement(
    f"""INSERT INTO identities (tenant_id, {_COLUMNS})
       VALUES (:tenant_id, :collection, :key, :record_id, :strong, :watermark, :final)
       ON CONFLICT (tenant_id, collection, key)
       DO UPDATE SET strong = coalesce(identities.strong, excluded.strong),
         final = (identities.final OR excluded.final), watermark = coalesce(excluded.watermark, identities.watermark)"""  # noqa: S608
)
_NAME = Statement(
    f"""INSERT INTO identities (tenant_id, {_COLUMNS})
       VALUES (:tenant_id, :collection, :key, :record_id, NULL, NULL, false)
       ON CONFLICT (tenant_id, collection, key) DO NOTHING"""  # noqa: S608
)


class Known(NamedTuple):
    """What is remembered of a key."""

    record_id: str
    strong: str | None
    watermark: int | None
    final: bool


Identities = dict[tuple[str, str], Known]
"""By collection and key."""


class Identified(NamedTuple):
    """A draft and its record; `is_new` where nothing was told of it before. `final`: now, or before."""

    draft: Draft
    record_id: str
    is_new: bool
    final: bool = False


async def load_identities(tx: Tx, tenant_id: str, drafts: Sequence[Draft]) -> Identities:
    """What is remembered of the keys of drafts."""
    keys = {key for draft in drafts for key in (draft.key, draft.weak_key) if key is not None}
    named = {
        "tenant_id": tenant_id,
        "keys": to_json(sorted(keys)).decode(),
        "collections": to_json(sorted({draft.collection for draft in drafts})).decode(),
    }
    return {(row[0], row[1]): Known(row[2], row[3], row[4], bool(row[5])) for row in await tx.fetch(_FIND, named)}


def find(draft: Draft, known: Mapping[tuple[str, str], Known]) -> Known | None:
    """What is remembered of a draft's thing."""
    found = known.get((draft.collection, draft.key))
    if found is None and draft.weak_key is not None:
        weak = known.get((draft.collection, draft.weak_key))
        found = weak if weak is not None and weak.strong in {None, draft.key} else None
    return found


def new_record_id(draft: Draft) -> str:
    """The id of a record that is made because of a draft."""
    return derived("record", draft.collection, draft.key)


async def remember(tx: Tx, tenant_id: str, identified: Sequence[Identified]) -> None:
    """Keep under which keys the records are known, and how new what was applied is."""
    rows: list[tuple[str, str, str, str, str | None, int | None, bool]] = []
    for draft, record_id, _, final in identified:
        rows.append((tenant_id, draft.collection, draft.key, record_id, None, draft.watermark, final))
        if draft.weak_key is not None:  # it may find another thing that looks alike: how new that is it cannot know
            rows.append((tenant_id, draft.collection, draft.weak_key, record_id, draft.key, None, False))
    await tx.many(_KEEP, rows)


async def name_record(tx: Tx, tenant_id: str, collection: str, key: str, record_id: str) -> None:
    """Keep that a record of ours is known under a provider's key, unless that key is another's."""
    row = {"tenant_id": tenant_id, "collection": collection, "key": key, "record_id": record_id}
    await tx.execute(_NAME, row)
