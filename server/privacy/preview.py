"""What an erasure would take and what the law keeps, told before anybody decides."""

from collections.abc import Mapping
from dataclasses import dataclass

from server.privacy.export import Held
from sync.erasure import blanked
from sync.protocol import Registry

_SETTLED = frozenset(("delivered", "superseded", "cancelled", "answered"))


@dataclass(frozen=True, slots=True)
class Preview:
    """Of each kind how many: what would go, what stays, and what goes only once it is settled."""

    customer_id: str
    goes: Mapping[str, int]
    stays: Mapping[str, int]
    waits: Mapping[str, int]


def preview(held: Held, registry: Registry) -> Preview:
    """What would become of what is held."""
    said = 0 if held.erased else len([value for value in held.record.values() if value is not None])
    texts = sum(
        len(blanked(registry.collections[name], dict(one))) for name, records in held.naming.items() for one in records
    )
    settled = len([one for one in held.deliveries if one["state"] in _SETTLED])
    goes = {
        "fields": said,
        "fields_of_records_that_name_them": texts,
        "conflicts": len(held.conflicts),
        "superseded": len(held.superseded),
        "rejected": len(held.rejected),
        "waiting": len(held.waiting),
        "deliveries": settled,
        "events": len(held.events),
    }
    stays = {name: len(records) for name, records in held.naming.items()}
    return Preview(held.customer_id, goes, stays, {"deliveries": len(held.deliveries) - settled})
