"""Lists that grow without end, read newest first, in pages bounded by count and bytes.

A page goes on after the last row's own key, in the order of an index: however long the list is, a page reads no more
than it shows. What its rows hold is read once their sizes say that it fits.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from server.storage.database import Row, Tx
from server.storage.statement import Statement
from sync.wire import INSTANT_PATTERN, UUID_PATTERN

MAX_ROWS = 1000
MAX_PAGE_BYTES = 4 * 1024 * 1024

PLACE_PATTERN = rf"{INSTANT_PATTERN}_{UUID_PATTERN}"
"""A place in a list by (instant, uid). Places hold no data but keys, so they may stand in an address."""
FIELD_PLACE_PATTERN = PLACE_PATTERN + r"_[A-Za-z0-9_.:@-]{1,64}"
"""A place in a list by (instant, uid, field)."""

_TOP = ("2199-12-31T23:59:59.999Z", "ffffffff-ffff-ffff-ffff-ffffffffffff", "")


class Wanted(NamedTuple):
    """Which part of a list: at most `limit` rows after the place `after` (None: from the newest on)."""

    after: str | None = None
    limit: int = 100


class Listing(NamedTuple):
    """A list: the key its index ends with, the keys and sizes of what comes after a place, and the rows themselves."""

    key: Sequence[str]
    sizes: Statement
    rows: Statement


def listing(source: str, key: Sequence[str], columns: str, content: str) -> Listing:
    """The list of `source` (a table and a condition); `content` is the column whose size matters."""
    named, order = ", ".join(key), ", ".join(f"{name} DESC" for name in key)
    after, last = (", ".join(f":{edge}_{name}" for name in key) for edge in ("after", "last"))
    below = f"FROM {source} AND ({named}) < ({after})"
    return Listing(
        key,
        Statement(
            f"SELECT {named}, length(CAST({content} AS BLOB)) {below} ORDER BY {order} LIMIT :most",
            postgresql=f"SELECT {named}, octet_length(CAST({content} AS text)) {below} ORDER BY {order} LIMIT :most",
        ),
        Statement(f"SELECT {columns} {below} AND ({named}) >= ({last}) ORDER BY {order}"),
    )


async def read_page(
    tx: Tx, listed: Listing, named: Mapping[str, Any], wanted: Wanted
) -> tuple[Sequence[Row], str | None]:
    """Rows of a list, and the place to go on after (None: that was all). Raises ValueError for what is no place."""
    named = {**named, **_edge("after", listed.key, _parse_place(listed.key, wanted.after))}
    found = await tx.fetch(listed.sizes, {**named, "most": wanted.limit + 1})
    count = _fitting([row[-1] for row in found[: wanted.limit]])
    if not count:
        return [], None
    last = found[count - 1][:-1]
    rows = await tx.fetch(listed.rows, {**named, **_edge("last", listed.key, last)})
    return rows, "_".join(last) if count < len(found) else None


def _edge(name: str, key: Sequence[str], place: Sequence[str]) -> dict[str, str]:
    return {f"{name}_{part}": value for part, value in zip(key, place, strict=False)}


def _parse_place(key: Sequence[str], text: str | None) -> Sequence[str]:
    if text is None:
        return _TOP
    if not re.fullmatch(FIELD_PLACE_PATTERN if "field" in key else PLACE_PATTERN, text):
        raise ValueError("this is no place in the list: give what the page before named as its next")
    return text.split("_", 2)


def _fitting(sizes: Sequence[int]) -> int:
    """How many of them a page holds: at least the first, whatever its size."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > MAX_PAGE_BYTES and count:
            return count
    return len(sizes)
