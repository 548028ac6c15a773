"""The wire: requests and mutations as typed dictionaries, validated by adapters derived from the collections.

A request is parsed whole when every mutation in it is well formed, which is the usual case and the fast one. Where
one is not, only the envelope is parsed whole and each mutation alone: what is wrong with one is its own affair
(`Unusable`), and the queue goes on. Only `mutation_id` and `uid` belong to the envelope.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from sync.collection import Collection, describe
from sync.decode import decode_json
from sync.errors import MalformedError, TooLargeError, UnsupportedError
from sync.policy import COUNTER, TAG_SET
from sync.version import PROTOCOL_VERSION
from sync.wire import CODE, INSTANT, UUID, shape_of

MAX_MUTATIONS = 1000
MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_MUTATION_BYTES = 256 * 1024
MAX_PAGE = 1000

_NO_MUTATION = (KeyError, TypeError, ValueError, AttributeError)
"""What an upcaster raises for something that is none: it gets what nobody checked."""

_ABOUT_NAMES = frozenset(("extra_forbidden", "invalid_key"))
"""Errors whose place ends in a name that the client made up."""

Status = Literal["applied", "merged", "conflict", "rejected", "waiting"]
MutationOp = Literal["create", "update", "delete", "restore", "noop"]
MutationId = Annotated[int, Field(strict=True, ge=1, le=2**53 - 1)]


class Mutation(TypedDict):
    """A client's intent, numbered per client, with a uid of its own."""

    mutation_id: int
    uid: str
    op: MutationOp
    collection: str
    record_id: str
    timestamp: str
    base_version: NotRequired[int]
    epoch: NotRequired[str | None]
    schema: NotRequired[int]
    actor: NotRequired[str | None]
    fields: NotRequired[dict[str, Any]]
    increments: NotRequired[dict[str, str]]
    adds: NotRequired[dict[str, list[str]]]
    removes: NotRequired[dict[str, list[str]]]


@dataclass(frozen=True, slots=True)
class Unusable:
    """A mutation that could not be read; it is consumed, rejected and kept whole (`raw`)."""

    mutation_id: int
    uid: str
    code: str
    message: str
    raw: Any


class Verdict(TypedDict):
    """What became of a mutation."""

    mutation_id: int
    uid: str
    status: Status
    duplicate: bool
    version: int | None
    code: str | None
    message: str | None
    conflict_id: str | None
    superseded: list[str]
    clamped: bool


class SyncRequest(TypedDict):
    """A push and a pull in one."""

    protocol: int
    client_id: str
    schema: NotRequired[int]
    epoch: NotRequired[str | None]
    cursor: NotRequired[str | None]
    collections: NotRequired[list[str]]
    limit: NotRequired[int]
    resume_from: NotRequired[int | None]
    mutations: Sequence[Mutation | Unusable]


def verdict(mutation_id: int, uid: str, status: Status, **known: Any) -> Verdict:
    """A verdict with everything that is not said left neutral."""
    base: dict[str, Any] = {
        "mutation_id": mutation_id,
        "uid": uid,
        "status": status,
        "duplicate": False,
        "version": None,
        "code": None,
        "message": None,
        "conflict_id": None,
        "superseded": [],
        "clamped": False,
    }
    base.update(known)
    return base  # type: ignore[return-value]


class Registry:
    """The collections of a server and the validators derived from them."""

    def __init__(self, models: Iterable[type[BaseModel]]) -> None:
        """Describe each model; names must differ."""
        described = [describe(model) for model in models]
        self.collections: Mapping[str, Collection] = {collection.name: collection for collection in described}
        if len(self.collections) != len(described):
            raise TypeError("two collections share a name")
        self.schema = max((collection.options.schema for collection in described), default=1)
        self.narrowings = frozenset(c.writers for c in described if c.manual or c.options.rule is not None)
        self._lifts = {c.name: sorted(c.options.upcasters.items()) for c in described if c.options.upcasters}
        shapes = {collection.name: _mutation_shape(collection) for collection in described}
        self._one = {name: TypeAdapter[Mutation](shape) for name, shape in shapes.items()}
        union: Any = Annotated[_union(tuple(shapes.values())), Field(discriminator="collection")]
        self._whole = TypeAdapter[SyncRequest](_request_shape(union))
        self._loose = TypeAdapter[SyncRequest](_request_shape(Any))
        members = {"mutation_id": MutationId, "uid": UUID.check}  # without them nobody could answer about the mutation
        self._envelope = TypeAdapter[dict[str, Any]](shape_of("Envelope", members, closed=False))

    def parse_request(self, body: bytes) -> SyncRequest:
        """The request; mutations that cannot be read come as `Unusable`.

        Raises MalformedError, TooLargeError (too many mutations), UnsupportedError.
        """
        try:
            request = self._whole.validate_json(body)
        except ValidationError:
            return self._parse_loosely(body)
        mutations = request.setdefault("mutations", [])
        if self._lifts and any(self._is_old(mutation, request) for mutation in mutations):
            return self._parse_loosely(body)
        return request

    def request_schema(self) -> dict[str, Any]:
        """JSON Schema of a request, every collection's mutations included."""
        return self._whole.json_schema(ref_template="#/$defs/{model}")

    def parse_mutation(self, raw: Any, schema: int | None = None) -> Mutation | Unusable:
        """One mutation judged alone, lifted to today's schema from the one it names, or else from `schema`.

        Raises MalformedError when not even its envelope can be read.
        """
        try:
            envelope = self._envelope.validate_python(raw)
        except ValidationError as error:
            raise MalformedError(f"a mutation's envelope is unreadable: {_reasons(error)}") from None
        mutation_id, uid = envelope["mutation_id"], envelope["uid"]
        if raw.get("op") == "noop":
            return Mutation(mutation_id=mutation_id, uid=uid, op="noop", collection="", record_id="", timestamp="")
        name = raw.get("collection")
        adapter = self._one.get(name) if isinstance(name, str) else None
        if adapter is None:
            return Unusable(mutation_id, uid, "unknown_collection", "no such collection", raw)
        try:
            return adapter.validate_python(self._lifted(name, raw, schema))
        except ValidationError as error:
            return Unusable(mutation_id, uid, "invalid", _reasons(error), raw)
        except _NO_MUTATION:
            return Unusable(mutation_id, uid, "invalid", "it is no mutation of the schema it names", raw)

    def _parse_loosely(self, body: bytes) -> SyncRequest:
        document = decode_json(body)
        if isinstance(document, dict):
            _check_limits(document)
        try:
            request = self._loose.validate_python(document)
        except ValidationError as error:
            raise MalformedError(f"the request is not the protocol's: {_reasons(error)}") from None
        schema = request.get("schema")
        request["mutations"] = [self.parse_mutation(raw, schema) for raw in request.get("mutations", ())]
        return request

    def _is_old(self, mutation: Any, request: SyncRequest) -> bool:
        lifts = self._lifts.get(mutation["collection"])
        made = mutation.get("schema", request.get("schema", self.schema))
        return lifts is not None and bool(made < lifts[-1][0])

    def _lifted(self, name: str, raw: dict[str, Any], schema: int | None) -> dict[str, Any]:
        """A raw mutation of an older app as today's app would send it."""
        lifts = self._lifts.get(name)
        made = raw.get("schema", schema)
        if lifts is None or not isinstance(made, int) or made >= lifts[-1][0]:
            return raw
        lifted = deepcopy(raw)
        for since, lift in lifts:
            if made < since:
                lifted = lift(lifted)
        return {**lifted, "schema": lifts[-1][0]}  # what is kept and read again is not lifted twice


def _check_limits(document: Mapping[str, Any]) -> None:
    protocol = document.get("protocol")
    if isinstance(protocol, int) and not isinstance(protocol, bool) and protocol != PROTOCOL_VERSION:
        raise UnsupportedError(f"this server speaks protocol {PROTOCOL_VERSION}", supported=[PROTOCOL_VERSION])
    mutations = document.get("mutations")
    if isinstance(mutations, list) and len(mutations) > MAX_MUTATIONS:
        raise TooLargeError(f"at most {MAX_MUTATIONS} mutations a request", limit_mutations=MAX_MUTATIONS)


def _reasons(error: ValidationError) -> str:
    """Where and why, without the offending value or unknown name: it may be somebody's personal data."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    reasons = (f"{_place(e['loc'][: -1 if e['type'] in _ABOUT_NAMES else None])}: {e['type']}" for e in found)
    return "; ".join(list(dict.fromkeys(reasons))[:5])


def _place(location: tuple[int | str, ...]) -> str:
    """`fields.lines.0.total`, without the names pydantic gives to a union's members."""
    return ".".join(str(part) for part in location if str(part).replace("_", "").isalnum()) or "body"


def _union(shapes: tuple[Any, ...]) -> Any:
    union = shapes[0]
    for shape in shapes[1:]:
        union = union | shape
    return union


def _mutation_shape(collection: Collection) -> Any:
    name = collection.model.__name__
    fields: dict[str, Any] = {}
    for spec in collection.fields.values():
        if spec.policy not in (COUNTER, TAG_SET):
            fields[spec.name] = NotRequired[spec.wire.check | None if spec.nullable else spec.wire.check]
    increments: dict[str, Any] = {name: NotRequired[collection.fields[name].wire.check] for name in collection.counters}
    tags: dict[str, Any] = {name: NotRequired[collection.fields[name].wire.check] for name in collection.tag_sets}
    parts = {"Fields": fields, "Increments": increments, "Adds": tags, "Removes": tags}
    members = {
        "mutation_id": MutationId,
        "uid": UUID.check,
        "collection": _literal(collection.name),
        "record_id": UUID.check,
        "op": Literal["create", "update", "delete", "restore"],
        "timestamp": INSTANT.check,
        "base_version": NotRequired[Annotated[int, Field(ge=0, le=2**53 - 1)]],
        "epoch": NotRequired[Annotated[str, Field(max_length=64)] | None],
        "schema": NotRequired[Annotated[int, Field(ge=1, le=10**6)]],
        "actor": NotRequired[CODE.check | None],
    }
    for part, shape in parts.items():
        members[part.lower()] = NotRequired[shape_of(f"{name}{part}", shape, closed=True)]
    return shape_of(f"{name}Mutation", members, closed=False)


def _literal(value: str) -> Any:
    return Literal[value]


def _request_shape(mutation: Any) -> Any:
    name: Any = CODE.check
    members: dict[str, Any] = {
        "protocol": Literal[1],
        "client_id": UUID.check,
        "schema": NotRequired[Annotated[int, Field(ge=1, le=10**9)]],
        "epoch": NotRequired[Annotated[str, Field(max_length=64)] | None],
        "cursor": NotRequired[str | None],  # of any length: what is no cursor is answered with a reset
        "collections": NotRequired[Annotated[list[name], Field(max_length=200)]],
        "limit": NotRequired[Annotated[int, Field(ge=1, le=MAX_PAGE)]],
        "resume_from": NotRequired[MutationId | None],
        "mutations": NotRequired[Annotated[list[mutation], Field(max_length=MAX_MUTATIONS)]],
    }
    return shape_of("Request", members, closed=False)
