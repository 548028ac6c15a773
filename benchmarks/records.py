"""Sales to push and rows to insert: the same ten business fields, about 400 bytes of JSON, made from a seed."""

import random
import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from benchmarks.peer import Record

T = TypeVar("T")

COLUMNS = (
    "id", "seq", "rev", "store_id", "product", "quantity", "unit_price", "tax", "total", "currency", "payment",
    "created_at", "note",
)  # fmt: skip
"""The raw databases' table: the record, a place in a sequence, a version."""

Row = tuple[str, int, int, *tuple[str, ...]]

_PRODUCTS = ("Caffè in grani 250 g", "Pane di segale", "Latte intero 1 l", "Sapone neutro x3", "Olio d'oliva 500 ml")
_START_MS = 1_790_000_000_000


def _money(rng: random.Random, most: int) -> str:
    cents = rng.randrange(1, most * 100)
    return f"{cents // 100}.{cents % 100:02d}"


def _record(number: int, rng: random.Random) -> Record:
    head = (_START_MS + number) << 80 | 0x7 << 76 | rng.getrandbits(12) << 64
    return {
        "id": str(uuid.UUID(int=head | 0x2 << 62 | rng.getrandbits(62))),
        "store_id": str(uuid.UUID(int=7 + number % 3, version=4)),
        "product": _PRODUCTS[number % 5],
        "quantity": f"{rng.randrange(1, 40)}.000",
        "unit_price": _money(rng, 90),
        "tax": _money(rng, 20),
        "total": _money(rng, 900),
        "currency": "EUR",
        "payment": ("cash", "card", "transfer")[number % 3],
        "created_at": f"2026-0{1 + number % 9}-1{number % 10}T0{number % 10}:{number % 60:02d}:00.000Z",
        "note": f"vendita {number:07d} al banco, in attesa di firma",
    }


def make_records(count: int, *, start: int = 0) -> list[Record]:
    """`count` records from the `start`-th on; the same numbers give the same records, but for their order of birth."""
    rng = random.Random(start)
    return [_record(number, rng) for number in range(start, start + count)]


def rows_of(records: Sequence[Record]) -> list[Row]:
    """The records as rows of the raw databases' table."""
    texts = COLUMNS[3:]
    return [(record["id"], seq, 1, *(record[name] for name in texts)) for seq, record in enumerate(records, 1)]


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
