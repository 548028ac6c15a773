"""How people act: they find a record on their screen, or know of one, and write something to it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sync.client.draft import Draft
from tests.simulation.device import Device

if TYPE_CHECKING:
    from tests.simulation.world import World

WORDS = ("rosso", "verde", "blu", "bianco", "nero")
SHOPS = ("centro", "mare")

_HOT, _HOT_SHARE = 3, 0.6


def write(world: "World", device: Device, draft: Draft) -> str:
    """Queue a mutation, and say what it is."""
    made = device.store.write(draft)[0]
    world.ledger.made[made.uid] = device.name
    if draft.op == "create":
        world.known[draft.collection].append(made.record_id)
    number = "" if made.number is None else f" no. {made.number}"
    said = [dict(part) for part in (draft.fields, draft.increments, draft.adds, draft.removes) if part]
    return f"{draft.op} {draft.collection} {made.record_id[-6:]}{number} {said or ''}"


def some(world: "World", device: Device, collection: str, *, deleted: bool = False) -> str | None:
    """A record this device sees, or now and then one it only heard of."""
    known = world.known[collection]
    if world.random.random() < _HOT_SHARE:
        known = known[:_HOT]  # where people meet
    for _ in range(3):
        record_id = world.random.choice(known) if known else None
        if record_id is None:
            return None
        seen = device.store.record(collection, record_id)
        if (seen is not None and seen.deleted == deleted) or world.random.random() < world.day.blind:
            return record_id
    return None


def word(world: "World") -> str:
    """A name, a note, a title."""
    return f"{world.random.choice(WORDS)} {world.random.randrange(100)}"


def edit(
    world: "World",
    device: Device,
    collection: str,
    fields: Mapping[str, Any],
    increments: Mapping[str, str] | None = None,
) -> str:
    """Change a record, if there is one."""
    record_id = some(world, device, collection)
    if record_id is None:
        return "nothing"
    return write(world, device, Draft(collection, "update", record_id, fields, increments or {}))


def part(world: "World", values: Mapping[str, Any]) -> dict[str, Any]:
    """Some of the values, at least one."""
    names = world.random.sample(sorted(values), world.random.randint(1, len(values)))
    return {name: values[name] for name in names}


def money(cents: int) -> str:
    """Cents as the wire writes them."""
    return f"{cents // 100}.{cents % 100:02d}"
