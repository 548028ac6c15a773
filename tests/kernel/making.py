"""Short ways to write down records, mutations and points in time."""

from typing import Any, cast

from sync.clock import encode_instant
from sync.outcome import Writer
from sync.protocol import Mutation
from sync.record import Record
from sync.scope import Scope

NOON_MS = 1_795_435_200_000
"""2026-11-23T12:00:00Z: the server's clock where a test does not say otherwise."""

EPOCH = "epoch-1"
SHOPS = frozenset(("tenant", "shop:bar", "shop:kiosk"))
OWNER = Scope("owner", SHOPS)
NOTE = {"shop": "bar", "kind": "memo", "title": "first"}
SHELF = {"name": "top"}


def at(ms: int) -> str:
    """An instant that many milliseconds after noon."""
    return encode_instant(NOON_MS + ms)


def uuid(kind: int, number: int) -> str:
    """A uuid of the kind's own series."""
    return f"{kind:08x}-0000-7000-8000-{number:012x}"


def client(number: int) -> str:
    """A client's id; a higher number wins ties."""
    return uuid(0xC, number)


def record_id(number: int) -> str:
    """A record's id."""
    return uuid(0xD, number)


def writer(number: int = 1, *, now: int = 0, epoch: str = EPOCH, server: bool = False) -> Writer:
    """A client's hand, or the server's own."""
    return Writer("system:test" if server else client(number), epoch, at(now), server=server)


def mutation(op: str, *, collection: str = "notes", record: int = 1, stamp: int = 0, **more: Any) -> Mutation:
    """A mutation made that many milliseconds after noon; `more` are further members of the wire."""
    plain = {
        "mutation_id": 1,
        "uid": uuid(0xA, 1),
        "collection": collection,
        "record_id": record_id(record),
        "op": op,
        "timestamp": at(stamp),
    }
    return cast("Mutation", plain | more)


def note(version: int = 1, *, deleted: bool = False, author: int = 9, stamp: int = -60_000, **more: Any) -> Record:
    """A note as the server holds it; `clocks` and fields may be given."""
    clocks = more.pop("clocks", None)
    fields: dict[str, Any] = NOTE | {"colour": None, "pinned": False, "price": "1.50", "tags": [], "status": None}
    fields |= {"seen": "0.000", "paid": "0.00"} | more
    return Record(1, version, "shop:bar", deleted, at(stamp), client(author), clocks, fields)


def shelf(version: int = 1, *, deleted: bool = False, author: int = 9, stamp: int = -60_000, **more: Any) -> Record:
    """A shelf as the server holds it; `clocks` and fields may be given."""
    clocks = more.pop("clocks", None)
    fields: dict[str, Any] = SHELF | {"colour": None, "stock": "0.000"} | more
    return Record(1, version, "tenant", deleted, at(stamp), client(author), clocks, fields)
