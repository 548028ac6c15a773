"""What is synced: a collection's description, read once off the annotations of a pydantic model.

A field is `name: Annotated[python type, WireType, Policy]`; what has no policy is not part of the wire. The model's
`sync` class variable says the rest: who may write, whom a record belongs to, and what it does to other records.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import NoneType
from typing import Any, Literal, get_args, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sync.policy import COUNTER, LAST_WRITER, MANUAL, SERVER_OWNED, TAG_SET, Policy
from sync.scope import narrowing
from sync.wire import WireType, canonical_decimal

Op = Literal["create", "update", "delete", "restore"]
Fields = dict[str, Any]
"""A record's values in wire form: decimals, instants and ids as canonical text, lists as parsed JSON."""

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Lifts a raw mutation over one change of its collection; gets one it may change, and gives it back.

What it is given was checked by nobody: KeyError, TypeError, ValueError and AttributeError mean that it is no mutation.
"""

EVERYTHING: frozenset[Op] = frozenset(("create", "update", "delete", "restore"))
WRITE_ONLY: frozenset[Op] = frozenset(("create", "update"))


@dataclass(frozen=True, slots=True)
class Increment:
    """What one record does to a counter of another: `delta` in the counter's smallest unit."""

    collection: str
    record_id: str
    field: str
    delta: int


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may see a record: the kind of circle, and which one a record's fields put it in.

    An audience is written `tenant`, `shop:<shop>` or `role:<role>`; a bucket is one audience of one collection.
    """

    kind: Literal["tenant", "shop", "role", "record"]
    of: Callable[[Fields], str]


FOR_TENANT = Audience("tenant", lambda _fields: "tenant")
"""Everybody in the tenant."""

AS_ITS_RECORD = Audience("record", lambda _fields: "")
"""That of the record it is about, narrowed to who may write it: for conflicts, which the kernel places itself."""

FOR_SHOP = Audience("shop", lambda fields: f"shop:{fields['shop']}")
"""The shop that the record's field `shop` names."""


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """A collection's rules beside its fields.

    `effects` gives what a live record contributes to other records' counters; the difference between before and after
    is applied in the same transaction, so that whatever undoes a record undoes its effects. `references` maps a field
    to the collection its id names: what is missing there is flagged, never refused. `rule` returns a reason where
    values contradict each other. A `fact` (a sale, a payment) happened: it can be voided, not deleted. `units` names
    fields that must agree: they win or lose together.

    `schema` is the app's schema in which this collection last changed; `upcasters` maps such a schema to what lifts a
    mutation of an older app over the change. Fields are only ever added, with defaults, and no upcaster is removed.

    `personal` names the fields that tell of a person and go when that person's record is erased, `kept` those that tell
    of one and stay, because the law wants them. A record is `erasable` where it is about one person: all of it goes.
    """

    name: str
    may: Mapping[str, frozenset[Op]]
    audience: Audience = FOR_TENANT
    fact: bool = False
    concurrent_delete: Literal["delete_wins", "update_wins"] = "delete_wins"
    effects: Callable[[Fields], Iterable[Increment]] | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    rule: Callable[[Fields | None, Fields], str | None] | None = None
    units: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    schema: int = 1
    upcasters: Mapping[int, Upcaster] = field(default_factory=dict)
    personal: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    erasable: bool = False


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field: its form, its policy, and whether a creation must bring it."""

    name: str
    wire: WireType
    policy: Policy
    nullable: bool
    required: bool
    default: Any


@dataclass(frozen=True)
class Collection:
    """A described collection; everything that hot paths ask of it is worked out here once.

    `manual` are the labels a conflict can have beside the whole record: fields and units a person decides about.
    `writers` are the roles that may update, as an audience narrows to them.
    """

    options: SyncOptions
    model: type[BaseModel]
    fields: Mapping[str, FieldSpec]
    name: str = field(init=False)
    names: tuple[str, ...] = field(init=False)
    policies: Mapping[str, Policy] = field(init=False)
    required: frozenset[str] = field(init=False)
    defaults: Mapping[str, Any] = field(init=False)
    counters: Mapping[str, int] = field(init=False)
    tag_sets: tuple[str, ...] = field(init=False)
    adding: tuple[str, ...] = field(init=False)
    unit_of: Mapping[str, str] = field(init=False)
    manual: tuple[str, ...] = field(init=False)
    writers: str = field(init=False)
    server_owned: frozenset[str] = field(init=False)
    json_names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Derive the look-ups."""
        specs = self.fields.values()
        self._set("name", self.options.name)
        self._set("names", tuple(self.fields))
        self._set("policies", {spec.name: spec.policy for spec in specs})
        self._set("required", frozenset(spec.name for spec in specs if spec.required))
        self._set("defaults", {spec.name: spec.default for spec in specs if not spec.required})
        self._set("counters", {spec.name: spec.wire.places for spec in specs if spec.policy is COUNTER})
        self._set("tag_sets", tuple(spec.name for spec in specs if spec.policy is TAG_SET))
        self._set("adding", (*self.counters, *self.tag_sets))
        self._set("unit_of", {name: unit for unit, names in self.options.units.items() for name in names})
        labels = [self.unit_of.get(spec.name, spec.name) for spec in specs if spec.policy is MANUAL]
        self._set("manual", tuple(dict.fromkeys(labels)))
        self._set("writers", narrowing(role for role, ops in self.options.may.items() if "update" in ops))
        self._set("server_owned", frozenset(spec.name for spec in specs if spec.policy is SERVER_OWNED))
        self._set("json_names", tuple(spec.name for spec in specs if spec.wire.kind == "json"))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def describe(model: type[BaseModel]) -> Collection:
    """Read a collection off its model. Raises TypeError where a declaration is incomplete."""
    options = getattr(model, "sync", None)
    if not isinstance(options, SyncOptions):
        raise TypeError(f"{model.__name__} has no `sync` options")
    hints = get_type_hints(model, include_extras=True)
    found = {name: _spec(model, name, hints[name]) for name in model.model_fields if name in hints}
    collection = Collection(options, model, {name: spec for name, spec in found.items() if spec is not None})
    _check_units(model, collection)
    _check_personal(model, collection)
    return collection


def _check_personal(model: type[BaseModel], collection: Collection) -> None:
    options = collection.options
    if not {*options.personal, *options.kept} <= collection.fields.keys() or set(options.personal) & set(options.kept):
        raise TypeError(f"{model.__name__}: what is personal or kept is a field, and not both")
    for name in options.personal:
        spec = collection.fields[name]
        if not spec.nullable and spec.wire.kind not in {"text", "code", "json"}:
            raise TypeError(f"{model.__name__}.{name} is personal and can hold nothing: let it be null")
    if options.erasable and options.audience.kind != "tenant":
        raise TypeError(f"{model.__name__}: only what the whole tenant may see can be erased")


def _check_units(model: type[BaseModel], collection: Collection) -> None:
    units = collection.options.units
    for unit, names in units.items():
        policies = {collection.policies.get(name) for name in names}
        if len(policies) != 1 or not policies <= {LAST_WRITER, MANUAL} or unit in collection.fields:
            raise TypeError(f"{model.__name__}: the unit {unit} needs a name of its own and fields of one policy")
    if len(collection.unit_of) != sum(map(len, units.values())):
        raise TypeError(f"{model.__name__}: a field is in one unit at most")


def _spec(model: type[BaseModel], name: str, hint: Any) -> FieldSpec | None:
    marks = getattr(hint, "__metadata__", ())
    policy = next((mark for mark in marks if isinstance(mark, Policy)), None)
    if policy is None:
        return None
    wire = next((mark for mark in marks if isinstance(mark, WireType)), None)
    if wire is None:
        raise TypeError(f"{model.__name__}.{name} has a policy but no wire type")
    if policy is COUNTER and wire.kind != "decimal":
        raise TypeError(f"{model.__name__}.{name}: a counter is a decimal")
    info: FieldInfo = model.model_fields[name]
    required = info.is_required() and policy is not COUNTER
    return FieldSpec(
        name, wire, policy, NoneType in get_args(get_args(hint)[0]), required, _default(info, wire, policy)
    )


def _default(info: FieldInfo, wire: WireType, policy: Policy) -> Any:
    if policy is COUNTER:
        return canonical_decimal("0", wire.places)
    if info.is_required():
        return None
    value = info.get_default(call_default_factory=True)
    return canonical_decimal(f"{value:f}", wire.places) if isinstance(value, Decimal) else value
