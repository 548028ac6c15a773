"""Who wrote something, by name: the devices behind authors, and the sides of a conflict."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic_core import to_json

from server.storage.database import Tx
from server.storage.statement import Statement
from sync.conflicts import CONFLICTS
from sync.wire import UUID_PATTERN
from sync.workspace import Workspace

_DEVICES = Statement(
    """SELECT c.client_id, c.device_id, d.name FROM clients AS c
       LEFT JOIN devices AS d ON d.tenant_id = c.tenant_id AND d.device_id = c.device_id
       WHERE c.tenant_id = :tenant_id AND c.client_id IN (SELECT value FROM json_each(:ids))""",
    postgresql="""SELECT c.client_id, c.device_id, d.name FROM clients AS c
       LEFT JOIN devices AS d ON d.tenant_id = c.tenant_id AND d.device_id = c.device_id
       WHERE c.tenant_id = :tenant_id
       AND c.client_id IN (SELECT x::uuid FROM json_array_elements_text(:ids::json) AS j(x))""",
)
_CLIENT_ID = re.compile(UUID_PATTERN)


class Device(NamedTuple):
    """A device and the name people gave it, where it is still known."""

    id: str
    name: str | None


async def devices_of(tx: Tx, tenant_id: str, authors: Iterable[str]) -> Mapping[str, Device]:
    """The devices of those authors that are clients; a provider or the server itself has none."""
    ids = sorted({author for author in authors if _CLIENT_ID.fullmatch(author)})
    rows = await tx.fetch(_DEVICES, {"tenant_id": tenant_id, "ids": to_json(ids).decode()}) if ids else []
    return {client_id: Device(device_id, name) for client_id, device_id, name in rows}


async def name_sides(tx: Tx, tenant_id: str, workspace: Workspace) -> None:
    """Add its device to each side of a changed conflict that has none yet."""
    sides = [side for side in _sides(workspace) if "device" not in side]
    if not sides:
        return
    known = await devices_of(tx, tenant_id, (side["author"] for side in sides))
    for side in sides:
        device = known.get(side["author"])
        side["device"] = None if device is None else device._asdict()


def _sides(workspace: Workspace) -> Iterator[dict[str, Any]]:
    for (name, _), record in workspace.changed.items():
        if name == CONFLICTS and not record.erased:
            yield record.fields["current"]
            yield from record.fields["candidates"]
