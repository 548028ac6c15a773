"""The check: whether the base is what the server says, told by a few numbers.

Rules:

1. The sums kept with the base are compared with each digest. They are made anew from the rows first where they differ
   from it, and the first time after the database was opened and once a day: what damaged a row told no sum.
2. Where the rows differ, that is counted, and the copy is made anew beside the shown one; not again before they have
   agreed once, for then the fault is not here. What differs is counted once, however often it is told.
3. While a copy is built nothing is compared: there is more to come.
"""

from collections.abc import Sequence

from pydantic_core import to_json

from sync.client.answer import BucketDigest
from sync.client.base import Base
from sync.client.database import Meta
from sync.client.runtime import Runtime

RECOUNT_MS = 24 * 60 * 60 * 1000


class Check:
    """Compares, inside the store's transactions."""

    def __init__(self, base: Base, runtime: Runtime) -> None:
        """Nothing was recounted since the database was opened."""
        self._base, self._runtime = base, runtime
        self._recounted_ms: int | None = None

    def compare(self, meta: Meta, told: Sequence[BucketDigest] | None) -> None:
        """Compare with what the server told; where it differs, report and rebuild."""
        if told is None or meta.building_side is not None:
            return
        differs = self._differing(meta, told)
        if self._is_due() or differs not in (None, meta.disputed):
            self._base.recount(meta)
            differs = self._differing(meta, told)
        if differs not in (None, meta.disputed):
            meta.differences += 1
            if meta.disputed is None:
                self._base.start_rebuild(meta)
        meta.disputed = differs

    def _differing(self, meta: Meta, told: Sequence[BucketDigest]) -> str | None:
        """What was told of buckets that differ, as text; None where there are none."""
        theirs = {(bucket["collection"], bucket["audience"]): bucket["sum"] for bucket in told if bucket["sum"]}
        ours = self._base.digests(meta)
        differ = sorted(bucket for bucket in theirs.keys() | ours if theirs.get(bucket) != ours.get(bucket))
        return to_json([(*bucket, theirs.get(bucket, 0)) for bucket in differ]).decode() if differ else None

    def _is_due(self) -> bool:
        """Whether a recount is; if so, it is done now. A clock that was put back makes it due, too."""
        now = self._runtime.clock_ms()
        if self._recounted_ms is not None and abs(now - self._recounted_ms) < RECOUNT_MS:
            return False
        self._recounted_ms = now
        return True
