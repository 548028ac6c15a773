"""Each mutation is read alone: what is wrong with one is its own affair, is kept whole, and is not told on."""

import json
from typing import Any

import pytest

from sync.errors import MalformedError, TooLargeError, UnsupportedError
from sync.protocol import MAX_MUTATIONS, Unusable
from sync.version import PROTOCOL_VERSION
from tests.kernel.making import NOTE, client, mutation, uuid
from tests.kernel.models import REGISTRY

SECRET = "Mario.Rossi"
HUGE = "9" * 5000


def made(number: int, **more: Any) -> dict[str, Any]:
    """A good mutation with that number."""
    return {**mutation("update", fields={"title": f"t{number}"}), "mutation_id": number, "uid": uuid(1, number)} | more


def body(*mutations: Any, **more: Any) -> bytes:
    """A request's bytes."""
    request = {"protocol": PROTOCOL_VERSION, "client_id": client(1), "mutations": mutations} | more
    return json.dumps(request).encode()


def with_bad(bad: str) -> bytes:
    """Two good mutations around one that has `bad`, a piece of JSON text, as its fields."""
    return body(made(1), made(2, fields="@"), made(3)).replace(b'"@"', bad.encode("utf-8", "surrogatepass"))


def the_bad_one(request: bytes) -> Unusable:
    """The middle one of three, the others being as good as they were."""
    first, bad, last = REGISTRY.parse_request(request)["mutations"]
    assert (first, last) == (made(1), made(3))
    assert isinstance(bad, Unusable)
    assert (bad.mutation_id, bad.uid) == (2, uuid(1, 2))
    json.dumps(bad.raw, allow_nan=False)
    return bad


@pytest.mark.parametrize(
    "bad",
    [
        "1",
        "[]",
        "null",
        '"x"',
        '{"title": 1}',
        '{"title": ""}',
        '{"title": null}',
        '{"title": "a\\u0000b"}',
        '{"title": "\\ud800"}',
        '{"title": "\\udc00\\ud800"}',
        '{"\\ud800": "x"}',
        '{"title": "\ud800"}',
        '{"title": NaN}',
        '{"title": -Infinity}',
        '{"title": 1e400}',
        '{"title": -1e400}',
        f'{{"title": {HUGE}}}',
        f'{{"title": {"[" * 50}{"]" * 50}}}',
        f'{{"title": {"[" * 500}{"]" * 500}}}',
        f'{{"title": {"[" * 50_000}{"]" * 50_000}}}',
        f'{{"title": {"[[]," * 50_000}1{"]" * 50_000}}}',
        '{"tags": ' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}",
        '{"price": 12.5}',
        '{"price": "12.505"}',
        '{"seen": "1"}',
        '{"unknown": 1}',
        '{"title": "x", "title": 1}',
    ],
    ids=lambda bad: f"{bad[:24]!a}{len(bad)}",
)
def test_a_bad_mutation_among_good_ones_is_unusable(bad: str) -> None:
    """Wrong types, half characters, numbers no language holds, nesting no parser holds: the queue goes on."""
    assert the_bad_one(with_bad(bad)).code == "invalid"


def test_bytes_that_are_no_text_are_one_mutations_trouble() -> None:
    """A text in another encoding."""
    request = with_bad('{"title": "caff@"}').replace(b"caff@", "caffè".encode("latin-1"))
    assert the_bad_one(request).code == "invalid"


@pytest.mark.parametrize(
    "more",
    [
        {"fields": {"title": 1, "colour": [SECRET]}},
        {"fields": {"colour": SECRET * 10}},
        {"fields": {SECRET: 1}},
        {"fields": {"mario_rossi": 1}},
        {"fields": {"price": SECRET}},
        {"fields": {"tags": [f"{SECRET} {SECRET}"]}},
        {"increments": {"seen": SECRET}},
        {"increments": {SECRET: "1"}},
        {"adds": {SECRET: ["x"]}},
        {"op": SECRET},
        {"record_id": SECRET},
        {"timestamp": SECRET},
        {"actor": f"{SECRET} {SECRET}"},
        {"epoch": SECRET * 10},
        {"collection": SECRET},
        {"collection": [SECRET]},
    ],
    ids=str,
)
def test_an_error_does_not_tell_what_was_sent(more: dict[str, Any]) -> None:
    """It may be somebody's personal data, names of members included; the whole is kept apart."""
    bad = the_bad_one(body(made(1), made(2, **more), made(3)))
    told = f"{bad.code} {bad.message}".lower().replace("_", ".")
    assert SECRET.lower() not in told
    assert len(bad.message) < 200
    assert bad.raw == made(2, **more)


def test_an_error_says_where_and_why() -> None:
    """By the names of the protocol."""
    bad = the_bad_one(body(made(1), made(2, fields={"title": 1, "x": 3}, adds={"tags": ["a", 2]}), made(3)))
    assert bad.message == "fields.title: string_type; fields: extra_forbidden; adds.tags.1: string_type"


def test_a_collection_nobody_has_is_one_mutations_trouble() -> None:
    """Unknown names and no names at all."""
    for name in ("elsewhere", "", "Notes", None, 1, {"a": 1}):
        assert the_bad_one(body(made(1), made(2, collection=name), made(3))).code == "unknown_collection"
    nameless = {name: value for name, value in made(2).items() if name != "collection"}
    assert the_bad_one(body(made(1), nameless, made(3))).code == "unknown_collection"


@pytest.mark.parametrize("number", [0, -1, 2**53, "2", 2.0, True, None, [], int(HUGE[:400])], ids=lambda n: str(n)[:9])
def test_a_number_nobody_could_answer_to_ends_the_request(number: Any) -> None:
    """Only `mutation_id` and `uid` belong to the envelope."""
    with pytest.raises(MalformedError, match="envelope is unreadable: mutation_id"):
        REGISTRY.parse_request(body(made(1), made(2, mutation_id=number)))


@pytest.mark.parametrize("uid", ["", SECRET, uuid(1, 2).replace("-", ""), uuid(0xA, 2).upper(), "\ud800", None, 1])
def test_a_uid_nobody_could_answer_to_ends_the_request(uid: Any) -> None:
    """And is not repeated in the answer."""
    with pytest.raises(MalformedError, match="envelope is unreadable: uid") as caught:
        REGISTRY.parse_request(body(made(1), made(2, uid=uid)))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("missing", ["mutation_id", "uid"])
def test_a_missing_envelope_ends_the_request(missing: str) -> None:
    """As does a mutation that is none."""
    nameless = {name: value for name, value in made(2).items() if name != missing}
    bads: list[Any] = [nameless, None, 1, "x", [], {}]
    for bad in bads:
        with pytest.raises(MalformedError, match="envelope is unreadable"):
            REGISTRY.parse_request(body(made(1), bad))


def test_a_noop_needs_nothing_but_its_envelope() -> None:
    """Whatever else it says is not read."""
    noop = {"mutation_id": 2, "uid": uuid(1, 2), "op": "noop", "fields": [SECRET], "collection": 7}
    parsed = REGISTRY.parse_request(body(made(1), noop))["mutations"]
    assert parsed[0] == made(1)
    assert parsed[1] == mutation("noop", mutation_id=2, uid=uuid(1, 2), collection="", record_id="", timestamp="")


@pytest.mark.parametrize(
    "request_body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"1",
        b"\xff\xfe",
        b"{}",
        b'{"protocol": 1}',
        body(client_id="x"),
        body(mutations={}),
        body(mutations=None),
        body(cursor=1),
        body(limit=0),
        body(limit=1001),
        body(collections="notes"),
        body(collections=["no such name"]),
        body(epoch="\ud800"),
        body(schema=1e400),
        body(protocol="1"),
        body(made(1)).decode().encode("utf-16"),
        body(made(1)).decode().encode("utf-8-sig"),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"]" * 100_000 + b"[" * 100_000,
        b'"' + b'\\"' * 100_000,
        body(made(1)) + b"x",
    ],
    ids=lambda b: f"{b[:20]!a}{len(b)}",
)
def test_what_is_no_request_is_malformed(request_body: bytes) -> None:
    """Not JSON, not UTF-8, or not the envelope."""
    with pytest.raises(MalformedError):
        REGISTRY.parse_request(request_body)


def test_too_many_mutations_are_named_with_the_limit() -> None:
    """A thousand and no more."""
    assert len(REGISTRY.parse_request(body(*map(made, range(1, MAX_MUTATIONS + 1))))["mutations"]) == MAX_MUTATIONS
    with pytest.raises(TooLargeError) as caught:
        REGISTRY.parse_request(body(*map(made, range(1, MAX_MUTATIONS + 2))))
    assert caught.value.members == {"limit_mutations": MAX_MUTATIONS}


@pytest.mark.parametrize("version", [0, 2, -1, 10**18])
def test_another_protocol_is_told_which_is_spoken(version: int) -> None:
    """Before anything else is looked at."""
    with pytest.raises(UnsupportedError) as caught:
        REGISTRY.parse_request(body("x", protocol=version))
    assert caught.value.members == {"supported": [PROTOCOL_VERSION]}


def test_a_request_may_leave_out_all_but_two_members() -> None:
    """A pull without a push has no mutations, and says so."""
    lean = json.dumps({"protocol": PROTOCOL_VERSION, "client_id": client(1)}).encode()
    assert REGISTRY.parse_request(lean)["mutations"] == []


def test_members_that_are_unknown_are_ignored() -> None:
    """Outside `fields`: a newer client may say more."""
    more = made(1, fields=NOTE, later=[1], increments={"paid": "1"})
    (parsed,) = REGISTRY.parse_request(body(more, later=1))["mutations"]
    assert parsed == made(1, fields=NOTE, increments={"paid": "1.00"})
