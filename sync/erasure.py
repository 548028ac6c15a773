"""erasure: a record of which nothing may be left, for good. Pure.

Rules:

1. What was erased is a tombstone with the author `ERASED`: its id stays taken, and it has no values of a person.
2. Whatever is written to it later is rejected with the code `erased`, whenever it was made and by whom; that is asked
   before any merge, so no queued edit brings anything back.
3. Of such a mutation only what names it is kept. Who sent it forgets it, too.
"""

from collections.abc import Container, Mapping
from typing import Any

from sync.collection import Collection, Fields
from sync.outcome import rejected
from sync.record import ERASED, NEW, Record

REFUSED = rejected("erased", "this record was erased for good")
_NAMES = ("mutation_id", "uid", "collection", "record_id", "op")
_PARTS = ("fields", "increments", "adds", "removes")
_BLANKS: Mapping[str, Any] = {
    "text": "",
    "code": "",
    "json": [],
    "uuid": "00000000-0000-0000-0000-000000000000",
    "instant": "1970-01-01T00:00:00.000Z",
}


def erased(collection: Collection, have: Record | None, audience: str, now: str) -> Record:
    """What is left of a record; `have` is None where it is not known here, and its id is to stay taken."""
    version, seq = (1, NEW) if have is None else (have.version + 1, have.seq)
    fields = _emptied(collection) if have is None else {**have.fields, **blanked(collection, have.fields)}
    return Record(seq, version, audience, deleted=True, stamp=now, author=ERASED, clocks=None, fields=fields)


def bare(raw: Any) -> Any:
    """Of a mutation, what names it."""
    return {name: raw[name] for name in _NAMES if name in raw} if isinstance(raw, dict) else {}


def without_personal(raw: Any, collections: Mapping[str, Collection], own: Container[str]) -> Any:
    """A kept mutation without what it says of the person whose records those are, by id.

    One of such a record is bare after it; of one that only names it, what is declared personal goes, and all it
    says where its collection is not known.
    """
    if not isinstance(raw, dict):
        return {}
    if str(raw.get("record_id")).lower() in own:
        return bare(raw)
    collection = collections.get(str(raw.get("collection")))
    if collection is None:
        return bare(raw)
    gone = frozenset(collection.options.personal)
    return {name: _less(value, gone) if name in _PARTS else value for name, value in raw.items()}


def blanked(collection: Collection, fields: Fields) -> Fields:
    """The fields that hold something personal, each with what stands for nothing."""
    blanks = {name: _blank(collection, name) for name in collection.options.personal}
    return {name: blank for name, blank in blanks.items() if fields.get(name) != blank}


def _emptied(collection: Collection) -> Fields:
    blanks = {name: _blank(collection, name) for name in collection.names if name not in collection.defaults}
    return {**collection.defaults, **blanks}


def _blank(collection: Collection, name: str) -> Any:
    spec = collection.fields[name]
    return None if spec.nullable else _BLANKS[spec.wire.kind]


def _less(value: Any, gone: frozenset[str]) -> Any:
    return {name: one for name, one in value.items() if name not in gone} if isinstance(value, dict) else {}
