"""Digest: whether two sides have the same records of a bucket, told by one number.

It is the sum, modulo 2^52, of a hash of each live record's collection, id and version; a version stands for one state
of a record. A sum, so that a writer keeps it up to date by what it changed alone, in any order; 52 bits, so that every
JSON reader holds it exactly. Tombstones do not count: they are collected, and on either side at another time.
"""

from collections.abc import Iterable
from hashlib import sha256

from sync.cursor import Bucket

MASK = (1 << 52) - 1
_REST = 256 - 52


def record_hash(collection: str, record_id: str, version: int) -> int:
    """The first 52 bits of SHA-256 over the three, a line each."""
    return int.from_bytes(sha256(f"{collection}\n{record_id}\n{version}".encode()).digest()) >> _REST


def digests(live: Iterable[tuple[str, str, str, int]]) -> dict[Bucket, int]:
    """The digest of each bucket that has live records: (collection, audience, record id, version)."""
    sums: dict[Bucket, int] = {}
    for collection, audience, record_id, version in live:
        bucket = (collection, audience)
        sums[bucket] = sums.get(bucket, 0) + record_hash(collection, record_id, version)
    return {bucket: total & MASK for bucket, total in sums.items()}
