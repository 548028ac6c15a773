"""Describing a collection: what is declared is read off the model, and half a declaration is refused at once."""

from decimal import Decimal
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from server.collections import registry
from sync.collection import Collection, SyncOptions, describe
from sync.policy import COUNTER, IMMUTABLE, LAST_WRITER
from sync.protocol import Registry
from sync.wire import INTEGER, MONEY, QUANTITY, json_of, text
from tests.kernel.models import MAY, NOTES, REGISTRY, Note

EVERY = [*REGISTRY.collections.values(), *registry().collections.values()]


@pytest.mark.parametrize("collection", EVERY, ids=lambda one: f"{one.model.__name__}-{one.model.__module__}")
def test_a_default_is_what_the_wire_would_take(collection: Collection) -> None:
    """A record that was filled in looks like one that was sent: the same canonical form."""
    for name, value in collection.defaults.items():
        spec = collection.fields[name]
        check = spec.wire.check | None if spec.nullable else spec.wire.check
        assert TypeAdapter[Any](check).validate_python(value, strict=True) == value


def test_a_description_says_what_the_model_says() -> None:
    """Policies, needs, defaults and counters."""
    assert NOTES.names == tuple(Note.model_fields)
    assert {name: policy.name for name, policy in NOTES.policies.items()} == {
        "shop": "last_writer",
        "kind": "immutable",
        "title": "last_writer",
        "colour": "last_writer",
        "pinned": "last_writer",
        "price": "manual",
        "tags": "tag_set",
        "status": "server_owned",
        "seen": "counter",
        "paid": "counter",
    }
    assert NOTES.required == {"shop", "kind", "title"}
    assert NOTES.defaults == {
        "colour": None,
        "pinned": False,
        "price": "1.50",
        "tags": [],
        "status": None,
        "seen": "0.000",
        "paid": "0.00",
    }
    assert NOTES.counters == {"seen": 3, "paid": 2}
    assert NOTES.json_names == ("tags",)
    assert {name for name, spec in NOTES.fields.items() if spec.nullable} == {"colour", "status"}


class Plain(BaseModel):
    """No options."""


class Wireless(BaseModel):
    """A policy without a form on the wire."""

    sync: ClassVar[SyncOptions] = SyncOptions("wireless", may=MAY)
    name: Annotated[str, IMMUTABLE]


class Counting(BaseModel):
    """A counter that is no decimal: increments have no form for it."""

    sync: ClassVar[SyncOptions] = SyncOptions("counting", may=MAY)
    many: Annotated[int, INTEGER, COUNTER] = 0


@pytest.mark.parametrize(
    ("model", "why"),
    [(Plain, "no `sync` options"), (Wireless, "no wire type"), (Counting, "a counter is a decimal")],
)
def test_half_a_declaration_is_refused(model: type[BaseModel], why: str) -> None:
    """When the server starts, not when the first mutation comes."""
    with pytest.raises(TypeError, match=why):
        describe(model)


class Mixed(BaseModel):
    """Fields of the wire and others; defaults written in ways Python knows."""

    sync: ClassVar[SyncOptions] = SyncOptions("mixed", may=MAY)
    local: str = "not on the wire"
    hundred: Annotated[Decimal, MONEY, LAST_WRITER] = Decimal("1E+2")
    nothing: Annotated[Decimal | None, QUANTITY, LAST_WRITER] = None
    names: Annotated[list[str], json_of(text(9).check), LAST_WRITER] = Field(default_factory=list)
    stock: Annotated[Decimal, QUANTITY, COUNTER] = Field(gt=-1)


def test_what_has_no_policy_is_not_on_the_wire() -> None:
    """And a counter starts at zero, whether a default was written or not."""
    described = describe(Mixed)
    assert described.names == ("hundred", "nothing", "names", "stock")
    assert described.required == frozenset()
    assert described.defaults == {"hundred": "100.00", "nothing": None, "names": [], "stock": "0.000"}


def test_names_of_collections_differ() -> None:
    """Two of one name would share their rows."""
    with pytest.raises(TypeError, match="share a name"):
        Registry((Note, Note))
