"""Tag sets: an add wins over a remove that did not see it.

A tag that is in the set has the clock of its last add, under `<field>:<tag>` in the record's clocks; without one of its
own it came with the record. A tag that was removed leaves nothing behind: an add that did not see the removal wins
over it anyway.
"""

from collections.abc import Callable, Iterable

from sync.record import Clock, Record


def clock_name(field: str, tag: str) -> str:
    """Where a tag's clock is kept."""
    return f"{field}:{tag}"


def add(record: Record, field: str, tags: Iterable[str], clock: Clock) -> bool:
    """Put tags into a record; a tag that was there is added anew. Whether there was anything to do."""
    added = set(tags)
    if not added:
        return False
    record.fields[field] = sorted({*record.fields[field], *added})
    for tag in added:
        record.write(clock_name(field, tag), clock)
    return True


def remove(record: Record, field: str, tags: Iterable[str], seen: Callable[[Clock], bool]) -> tuple[bool, list[str]]:
    """Take out those tags whose last add was seen; whether anything changed, and the tags that stay."""
    there = set(record.fields[field])
    wanted = there & set(tags)
    kept = [tag for tag in sorted(wanted) if not seen(record.clock(clock_name(field, tag)))]
    gone = wanted - set(kept)
    if gone:
        record.fields[field] = sorted(there - gone)
        for tag in gone:
            record.forget(clock_name(field, tag))
    return bool(gone), kept
