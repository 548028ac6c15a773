"""The sides of a conflict, by name: which device each value came from, as people call it."""

from collections.abc import Iterator
from typing import Any

from pydantic_core import to_json

from server.storage.database import Tx
from server.storage.statement import Statement
from sync.conflicts import CONFLICTS
from sync.workspace import Workspace

_DEVICES = Statement(
    """SELECT c.client_id, d.device_id, d.name FROM clients AS c
       JOIN devices AS d ON d.tenant_id = c.tenant_id AND d.device_id = c.device_id
       WHERE c.tenant_id = :tenant_id AND c.client_id IN (SELECT value FROM json_each(:clients))""",
    postgresql="""SELECT c.client_id, d.device_id, d.name FROM clients AS c
       JOIN devices AS d ON d.tenant_id = c.tenant_id AND d.device_id = c.device_id
       WHERE c.tenant_id = :tenant_id
       AND c.client_id IN (SELECT x::uuid FROM json_array_elements_text(:clients::json) AS j(x))""",
)


async def name_sides(tx: Tx, tenant_id: str, workspace: Workspace) -> None:
    """Add device id and name to the sides that lack them; a provider or the server itself has none."""
    sides = [side for side in _sides(workspace) if "device" not in side]
    if not sides:
        return
    clients = sorted({side["author"] for side in sides if ":" not in side["author"]})
    rows = await tx.fetch(_DEVICES, {"tenant_id": tenant_id, "clients": to_json(clients).decode()})
    known = {client_id: {"id": device_id, "name": name} for client_id, device_id, name in rows}
    for side in sides:
        side["device"] = known.get(side["author"])


def _sides(workspace: Workspace) -> Iterator[dict[str, Any]]:
    for (name, _), record in workspace.changed.items():
        if name == CONFLICTS:
            yield record.fields["current"]
            yield from record.fields["candidates"]
