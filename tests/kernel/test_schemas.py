"""Schemas grow by adding: what an older app queued is lifted to today's form, and nothing of it is lost."""

import json
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import BaseModel

from sync.collection import EVERYTHING, SyncOptions
from sync.policy import LAST_WRITER
from sync.protocol import Registry, Unusable
from sync.wire import CODE, INTEGER, text
from tests.kernel.making import client, mutation, uuid


def split_name(raw: dict[str, Any]) -> dict[str, Any]:
    """Schema 3: one `name` became first and last."""
    first, _, last = raw["fields"].pop("name").partition(" ")
    raw["fields"] |= {"first": first, "last": last}
    return raw


def count_in_cents(raw: dict[str, Any]) -> dict[str, Any]:
    """Schema 5: `points` are counted in hundredths."""
    raw["fields"]["points"] = raw["fields"].get("points", 0) * 100
    return raw


class Guest(BaseModel):
    """Grown twice."""

    sync: ClassVar[SyncOptions] = SyncOptions(
        "guests", may={"owner": EVERYTHING}, schema=5, upcasters={5: count_in_cents, 3: split_name}
    )

    first: Annotated[str, text(50), LAST_WRITER]
    last: Annotated[str, text(50), LAST_WRITER] = ""
    points: Annotated[int, INTEGER, LAST_WRITER] = 0


class Thing(BaseModel):
    """Never changed."""

    sync: ClassVar[SyncOptions] = SyncOptions("things", may={"owner": EVERYTHING})

    name: Annotated[str, CODE, LAST_WRITER]


REGISTRY = Registry((Guest, Thing))


def parsed(fields: dict[str, Any], *, request_schema: int | None = None, **more: Any) -> Any:
    """One mutation of a request, as it is read."""
    made: Any = {**mutation("create", collection="guests", fields=fields), "uid": uuid(1, 1), **more}
    request: dict[str, Any] = {"protocol": 1, "client_id": client(1), "mutations": [made]}
    if request_schema is not None:
        request["schema"] = request_schema
    (read,) = REGISTRY.parse_request(json.dumps(request).encode())["mutations"]
    return read


def test_the_registrys_schema_is_the_newest_of_its_collections() -> None:
    """An app names one number, whatever it holds."""
    assert REGISTRY.schema == 5


@pytest.mark.parametrize(
    ("schema", "fields"),
    [
        (1, {"name": "Ada Rossi", "points": 3}),
        (2, {"name": "Ada Rossi", "points": 3}),
        (3, {"first": "Ada", "last": "Rossi", "points": 3}),
        (4, {"first": "Ada", "last": "Rossi", "points": 3}),
        (5, {"first": "Ada", "last": "Rossi", "points": 300}),
        (6, {"first": "Ada", "last": "Rossi", "points": 300}),
    ],
)
def test_a_mutation_of_every_schema_says_the_same_today(schema: int, fields: dict[str, Any]) -> None:
    """Named by the mutation itself, or by its request."""
    today = {"first": "Ada", "last": "Rossi", "points": 300}
    assert parsed(fields, schema=schema)["fields"] == today
    assert parsed(fields, request_schema=schema)["fields"] == today


def test_what_was_lifted_and_kept_is_not_lifted_again() -> None:
    """A refused mutation is kept as it was read, and may be sent again from there."""
    read = parsed({"name": "Ada Rossi", "points": 3}, schema=1)
    assert REGISTRY.parse_mutation(read) == read


def test_the_mutations_own_schema_counts_before_the_requests() -> None:
    """An app that was updated with a full queue sends old mutations in a new request."""
    assert parsed({"name": "Ada"}, schema=2, request_schema=5)["fields"] == {"first": "Ada", "last": "", "points": 0}


def test_one_without_a_schema_is_todays() -> None:
    """Nothing is guessed."""
    assert parsed({"first": "Ada", "points": 3})["fields"]["points"] == 3


@pytest.mark.parametrize("fields", [{}, {"name": 1}, {"name": "Ada", "points": "x"}, [], None], ids=str)
def test_what_is_no_mutation_of_its_schema_is_kept_as_it_was_sent(fields: Any) -> None:
    """Its upcaster meets what nobody checked; the queue goes on."""
    read = parsed(fields, schema=1)
    assert isinstance(read, Unusable)
    assert (read.code, read.raw["fields"]) == ("invalid", fields)
