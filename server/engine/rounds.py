"""Rounds: where a pull reads on. Pure.

Rules:

1. A round's target is the head at its first page, so a round ends under any load.
2. Buckets that a caller gained are read from the beginning as a second range; lost ones are `dropped`.
3. After a schema change all is read from the beginning, but what the reader has stays good: it still misses no deletion
   after its last completed target, so `since` stays as it was.
"""

from server.engine.history import Head
from sync.cursor import Bucket, Cursor, Range


def resume(cursor: Cursor | None, head: Head, wanted: frozenset[Bucket], schema: int) -> tuple[Cursor, list[Bucket]]:
    """Where to read on, and the buckets that were lost; None starts from nothing."""
    fresh = Cursor(head.epoch, head.mark, schema, head.seq, (Range(0, head.seq, wanted),))
    if cursor is None:
        return fresh, []
    before = frozenset[Bucket]().union(*(part.buckets for part in cursor.ranges))
    again = cursor.schema != schema
    target = head.seq if again or cursor.target is None else cursor.target
    ranges = [
        Range(0 if again else part.seq, part.since, part.buckets & wanted)
        for part in cursor.ranges
        if part.buckets & wanted
    ]
    if wanted - before:
        ranges.append(Range(0, target, wanted - before))
    reading = Cursor(head.epoch, head.mark, schema, target, tuple(ranges) or fresh.ranges)
    return reading, sorted(before - wanted)


def unread(cursor: Cursor) -> bool:
    """Whether pages of the round are still to come."""
    return any(part.seq < (cursor.target or 0) for part in cursor.ranges)


def completed(cursor: Cursor, wanted: frozenset[Bucket]) -> Cursor:
    """The cursor after a round's last page: one range, up to the target."""
    target = cursor.target or 0
    return cursor._replace(target=None, ranges=(Range(target, target, wanted),))
