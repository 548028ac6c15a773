"""What is kept of a mutation that says something of somebody erased: nothing of theirs, whenever it arrives."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from server.storage.database import Tx
from server.storage.statement import Statement
from sync.collection import Collection
from sync.erasure import without_personal
from sync.record import ERASED
from sync.wire import UUID_PATTERN

_ID = re.compile(UUID_PATTERN)
_ERASED_TEXT = f"""SELECT record_id FROM erasures WHERE tenant_id = :tenant_id AND record_id IN ({{ids}})
    UNION ALL SELECT id FROM conflicts WHERE tenant_id = :tenant_id AND id IN ({{ids}}) AND deleted
    AND author = '{ERASED}'"""  # noqa: S608  # our own words
_ERASED = Statement(
    _ERASED_TEXT.format(ids="SELECT value FROM json_each(:ids)"),
    postgresql=_ERASED_TEXT.format(ids="SELECT x::uuid FROM json_array_elements_text(:ids::json) AS j(x)"),
)


async def without_erased(tx: Tx, tenant_id: str, raw: Any, collections: Mapping[str, Collection]) -> Any:
    """A mutation to be kept, without what it says of erased records, wherever in it their ids stand."""
    ids = sorted(set(_ID.findall(json.dumps(raw, ensure_ascii=True).lower())))
    rows = await tx.fetch(_ERASED, {"tenant_id": tenant_id, "ids": to_json(ids).decode()}) if ids else ()
    return without_personal(raw, collections, {row[0] for row in rows}) if rows else raw
