"""Drafts: what somebody wants done to a record, checked and written down before it becomes a mutation.

Values are kept in the wire's form. Decimals become text here; a float is refused wherever it hides, for what it would
do to money. A mutation's size is checked when it is made: later nobody could do anything about it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sync.client.errors import InvalidMutationError, MutationTooLargeError
from sync.collection import Op
from sync.protocol import MAX_MUTATION_BYTES

_MAX_INTEGER = 2**53 - 1
_DECIMAL = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
_NUMBERING_BYTES = 64  # what the envelope's number adds when it is sent


@dataclass(frozen=True, slots=True)
class Number:
    """The field to fill with the next number of a series, such as a till's receipts."""

    field: str
    series: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What is wanted. Without `record_id` a creation gets a new one; `actor` is the person at a shared till.

    Counters are added to by `increments`; tags go in by `adds`, out by `removes`. Fields that are declared as one unit
    are best set together: who sets half of one loses it against somebody who set the other half meanwhile.
    """

    collection: str
    op: Op
    record_id: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    increments: Mapping[str, Decimal | str] = field(default_factory=dict)
    adds: Mapping[str, Sequence[str]] = field(default_factory=dict)
    removes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    number: Number | None = None
    actor: str | None = None


def wire_value(value: Any, place: str) -> Any:
    """The value in wire form. Raises InvalidMutationError naming the place, never the value."""
    match value:
        case None | bool() | str():
            return value
        case int() if abs(value) <= _MAX_INTEGER:
            return value
        case Decimal() if value.is_finite():
            return format(value, "f")
        case Mapping():
            return {_name(name, place): wire_value(part, f"{place}.{name}") for name, part in value.items()}
        case list() | tuple():
            return [wire_value(part, f"{place}.{index}") for index, part in enumerate(value)]
        case _:
            raise InvalidMutationError(f"{place}: a mutation holds no {type(value).__name__} of this kind")


def content_of(draft: Draft) -> dict[str, Any]:
    """The draft's own part of a mutation, in wire form. Raises InvalidMutationError."""
    content: dict[str, Any] = {"collection": draft.collection, "op": draft.op}
    try:
        fields, increments = wire_value(draft.fields, "fields"), wire_value(draft.increments, "increments")
    except RecursionError:
        raise InvalidMutationError("fields: nested too deeply") from None
    if fields:
        content["fields"] = fields
    if increments:
        content["increments"] = {name: _delta(delta, name) for name, delta in increments.items()}
    for part, tags in (("adds", draft.adds), ("removes", draft.removes)):
        if tags:
            content[part] = {name: _tags(names, f"{part}.{name}") for name, names in tags.items()}
    if draft.actor is not None:
        content["actor"] = draft.actor
    return content


def encode_body(body: Mapping[str, Any]) -> str:
    """A mutation's JSON without its number. Raises MutationTooLargeError, InvalidMutationError."""
    try:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        size = len(text.encode()) + _NUMBERING_BYTES
    except ValueError as error:  # a lone surrogate
        raise InvalidMutationError(f"this cannot be written as JSON ({type(error).__name__})") from None
    if size > MAX_MUTATION_BYTES:
        raise MutationTooLargeError(f"a mutation holds at most {MAX_MUTATION_BYTES} bytes; this one has {size}")
    return text


def _name(name: Any, place: str) -> str:
    if not isinstance(name, str):
        raise InvalidMutationError(f"{place}: names are text")
    return name


def _tags(names: Any, place: str) -> list[str]:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise InvalidMutationError(f"{place}: tags are a list of texts")
    return list(names)


def _delta(delta: Any, name: str) -> str:
    if not isinstance(delta, str) or not _DECIMAL.fullmatch(delta):
        raise InvalidMutationError(f"increments.{name}: an increment is a decimal")
    return delta
