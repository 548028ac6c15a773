"""What a provider calls our records: given to the calls of routes that ask, for a charge must name its customer.

A name is learnt from the answer to the call that made the thing, and kept for good, longer than deliveries are. An
endpoint's names are its own: what a record is called at another account is nothing to this one.
"""

import json
from collections.abc import Sequence

from server.ports import Route
from server.storage.database import Tx
from server.storage.statement import Statement

Names = Sequence[tuple[str, str]]
"""Names, each with the collection of its record, in a stable order."""

NAMES = Statement(
    """SELECT key FROM identities WHERE tenant_id = :tenant_id AND collection = :collection
       AND record_id = :record_id ORDER BY key"""
)


def wanted_names(route: Route, record_id: str, payload: str) -> Sequence[tuple[str, str]]:
    """The records, as (collection, record id), that a delivery needs the names of: its own, and those it is after."""
    return [(route.collection, record_id), *route.after(json.loads(payload)["data"]["fields"])]


async def read_names(tx: Tx, place: tuple[str, str], records: Sequence[tuple[str, str]]) -> Names:
    """The names of records at (tenant, endpoint)."""
    tenant_id, endpoint_id = place
    found: list[tuple[str, str]] = []
    prefix = f"{endpoint_id}:"
    for collection, record_id in dict.fromkeys(records):
        named = {"tenant_id": tenant_id, "collection": collection, "record_id": record_id}
        keys = [str(row[0]) for row in await tx.fetch(NAMES, named)]
        found += [(collection, key.removeprefix(prefix)) for key in keys if key.startswith(prefix)]
    return found
