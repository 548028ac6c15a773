"""Two ways to read a request, whole and one by one, that never disagree, and never raise but what is documented."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sync.errors import SyncError
from sync.protocol import SyncRequest, Unusable
from tests.kernel.histories import DELTAS, VALUES
from tests.kernel.making import at, client, record_id, uuid
from tests.kernel.models import REGISTRY

Pairs = list[tuple[str, Any]]
"""A JSON object as it is written: in order, names possibly twice."""

ODD: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.0,
    -0.5,
    1e400,
    float("nan"),
    2**53,
    10**30,
    10**200,
    [],
    {},
    [[]],
    [1],
    [None],
]
ODD += [
    "",
    "x",
    "12",
    "12.5",
    "-0",
    "01",
    "\ud800",
    "\x00",
    "NaN",
    "2026-02-29",
    uuid(1, 1),
    "notes",
    "noop",
    "x" * 300,
]
SIMPLE = st.sampled_from(ODD)
NAMES = st.sampled_from(["", "title", "price", "seen", "op", "\ud800", "é"])
JSON = SIMPLE | st.lists(SIMPLE, max_size=2) | st.dictionaries(NAMES, SIMPLE, max_size=2)
MEMBERS = ["protocol", "client_id", "schema", "epoch", "cursor", "collections", "limit", "mutations"]
PARTS = ["mutation_id", "uid", "collection", "record_id", "op", "timestamp", "base_version", "epoch", "fields", "adds"]


@st.composite
def good_mutations(draw: st.DrawFn) -> Pairs:
    """A mutation as a client would send it."""
    collection = draw(st.sampled_from(["notes", "shelves"]))
    optional = {
        "base_version": st.sampled_from([0, 1, 2**53 - 1]),
        "epoch": st.sampled_from([None, "", "epoch-1"]),
        "schema": st.just(3),
        "actor": st.sampled_from([None, "person-1"]),
        "fields": st.fixed_dictionaries({}, optional=VALUES[collection]),
        "increments": st.fixed_dictionaries({}, optional=DELTAS[collection]),
        "adds": st.just({}),
        "later": JSON,
    }
    needed = {
        "mutation_id": st.integers(1, 9),
        "uid": st.sampled_from([uuid(1, 1), uuid(1, 2)]),
        "collection": st.just(collection),
        "record_id": st.just(record_id(1)),
        "op": st.sampled_from(["create", "update", "delete", "restore"]),
        "timestamp": st.just(at(0)),
    }
    return list(draw(st.fixed_dictionaries(needed, optional=optional)).items())


@st.composite
def spoiled(draw: st.DrawFn, names: list[str], good: st.SearchStrategy[Pairs]) -> Pairs:
    """An object with one member replaced, gone, or there twice."""
    pairs = draw(good)
    name, place = draw(st.sampled_from(names)), draw(st.integers(0, len(pairs)))
    kept = pairs if draw(st.booleans()) else [pair for pair in pairs if pair[0] != name]
    return [*kept[:place], *draw(st.just([]) | JSON.map(lambda value: [(name, value)])), *kept[place:]]


MUTATIONS = st.lists(good_mutations() | good_mutations() | spoiled(PARTS, good_mutations()), max_size=3)


def written(value: Any) -> str:
    """JSON text; a list of pairs is an object."""
    if isinstance(value, list) and value and all(isinstance(pair, tuple) for pair in value):
        return "{" + ",".join(f"{json.dumps(name)}:{written(part)}" for name, part in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


def requests(mutations: st.SearchStrategy[Any]) -> st.SearchStrategy[Pairs]:
    """A request with such mutations and whatever else it may hold."""
    optional = {"cursor": st.sampled_from([None, "x"]), "limit": st.just(9), "later": JSON, "mutations": mutations}
    needed = {"protocol": st.just(1), "client_id": st.just(client(1))}
    return st.fixed_dictionaries(needed, optional=optional).map(lambda request: list(request.items()))


def whole(body: bytes) -> SyncRequest | None:
    """What the fast way makes of a request, if it can."""
    try:
        return REGISTRY._whole.validate_json(body)
    except ValidationError:
        return None


def alone(body: bytes) -> SyncRequest | type[SyncError]:
    """What the slow way makes of it, or how it refuses it."""
    try:
        return REGISTRY._parse_loosely(body)
    except SyncError as error:
        return type(error)


@given(requests(MUTATIONS))
def test_both_ways_agree(request: Pairs) -> None:
    """What can be read whole is read alike one by one; what cannot has an unusable mutation, a noop, or no request."""
    body = written(request).encode()
    fast, slow = whole(body), alone(body)
    if fast is not None:
        assert slow == {"mutations": [], **fast}
        assert REGISTRY.parse_request(body) == slow
    elif isinstance(slow, dict) and "\\ud800" not in body.decode():
        assert any(isinstance(made, Unusable) or made["op"] == "noop" for made in slow["mutations"])


@given(requests(st.lists(good_mutations(), max_size=3)))
def test_what_is_good_is_read_the_fast_way(request: Pairs) -> None:
    """The usual case pays for no second look; half characters in what is ignored are the exception."""
    body = written(request).encode()
    assert whole(body) is not None or "\\ud800" in body.decode()


@given(st.lists(good_mutations(), min_size=1, max_size=3), spoiled(PARTS, good_mutations()), st.data())
def test_neighbours_of_a_bad_one_are_read_as_if_it_were_not_there(
    good: list[Pairs], bad: Pairs, data: st.DataObject
) -> None:
    """Wherever it stands."""
    place = data.draw(st.integers(0, len(good)))
    request = [("protocol", 1), ("client_id", client(1))]
    mixed = alone(written([*request, ("mutations", [*good[:place], bad, *good[place:]])]).encode())
    if isinstance(mixed, dict):
        alike = REGISTRY.parse_request(written([*request, ("mutations", good)]).encode())["mutations"]
        assert [*mixed["mutations"][:place], *mixed["mutations"][place + 1 :]] == alike


@given(spoiled(MEMBERS, requests(MUTATIONS)))
def test_a_spoiled_request_is_read_or_refused(request: Pairs) -> None:
    """And both ways still agree."""
    body = written(request).encode()
    fast, slow = whole(body), alone(body)
    assert fast is None or slow == {"mutations": [], **fast}


@given(st.binary() | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing but a SyncError comes out, and nothing so small is a request."""
    assert isinstance(alone(body), type)


@given(requests(MUTATIONS), st.data())
def test_a_damaged_request_is_read_or_refused(request: Pairs, data: st.DataObject) -> None:
    """Bytes changed, cut out or put in on the way."""
    body = bytearray(written(request).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body)))
        body[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    fast, slow = whole(bytes(body)), alone(bytes(body))
    assert fast is None or slow == {"mutations": [], **fast}


@given(JSON)
def test_any_value_is_a_mutation_or_refused(raw: Any) -> None:
    """Also when it does not come through bytes."""
    with suppress(SyncError):
        assert isinstance(REGISTRY.parse_mutation(raw), Unusable)
