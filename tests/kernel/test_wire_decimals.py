"""Decimals on the wire: one form for each value, exact bounds, nothing rounded and nothing guessed."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sync.wire import MONEY, QUANTITY, RATE, WireType, canonical_decimal, decimal, decimal_text, units_of
from tests.kernel.vectors import vectors

VECTORS = vectors("decimal")
TYPES = {(wire.digits, wire.places): TypeAdapter(wire.check) for wire in (MONEY, QUANTITY, RATE)}
SHAPE = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


def fits(text: str, wire: WireType) -> bool:
    """Whether a text is a decimal of that type, said without its pattern."""
    shape = SHAPE.fullmatch(text)
    if shape is None or not text.isascii():
        return False
    places = len((shape[2] or ".")[1:])
    return places <= wire.places and abs(Decimal(text)) < Decimal(10) ** (wire.digits - wire.places)


WIRES = [MONEY, QUANTITY, RATE, decimal(2, 1), decimal(6, 5)]
EACH_WIRE = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: f"{wire.digits},{wire.places}")


@EACH_WIRE
@given(data=st.data())
def test_what_is_a_decimal_is_taken_in_its_canonical_form(wire: WireType, data: st.DataObject) -> None:
    """Taken where it fits, with all its places, the same value; refused anywhere else."""
    digits = st.text("0123456789", max_size=wire.digits + 1)
    parts = st.tuples(st.sampled_from(("", "", "-", "+")), digits, st.sampled_from(("", ".", ".")), digits)
    text = "".join(data.draw(parts))
    adapter: TypeAdapter[str] = TypeAdapter(wire.check)
    if not fits(text, wire):
        with pytest.raises(ValidationError):
            adapter.validate_python(text)
        return
    taken = adapter.validate_python(text)
    assert Decimal(taken) == Decimal(text)
    assert taken == f"{Decimal(text) or Decimal(0):.{wire.places}f}"
    assert adapter.validate_python(taken) == taken == canonical_decimal(taken, wire.places)


@EACH_WIRE
@given(data=st.data())
def test_units_go_round_within_the_bounds(wire: WireType, data: st.DataObject) -> None:
    """Every number of smallest units has one text, which the wire takes as it is; the next beyond is refused."""
    adapter, most = TypeAdapter(wire.check), 10**wire.digits - 1
    units = data.draw(st.integers(-most, most) | st.sampled_from((-most, most, 0, -1, 1)))
    text = decimal_text(units, wire.places)
    assert units_of(text, wire.places) == units
    assert adapter.validate_python(text) == text
    assert Decimal(text).scaleb(wire.places) == units
    with pytest.raises(ValidationError):
        adapter.validate_python(decimal_text((most + 1) * (1 if units >= 0 else -1), wire.places))


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 6))
def test_units_go_round_at_any_scale(units: int, places: int) -> None:
    """Whole numbers, too."""
    text = decimal_text(units, places)
    assert units_of(text, places) == units
    assert Decimal(text) == Decimal(units).scaleb(-places)


@pytest.mark.parametrize("value", [1, 0, -1, 12.5, 1e2, True, None, [], {}, ["1"], Decimal("1.00")], ids=repr)
def test_only_text_is_a_decimal(value: Any) -> None:
    """A float was rounded before it came, so none is taken, nor an integer nor anything else."""
    with pytest.raises(ValidationError):
        TYPES[10, 2].validate_python(value)


@pytest.mark.parametrize(
    "text", ["\u0661", "\uff11", "\xb2", "1_0", "1\x00", "1\n", "\n1", "1\u200b", "\u22121"], ids=ascii
)
def test_no_other_digits_count(text: str) -> None:
    """ASCII only: what Python would read as a number, too."""
    with pytest.raises(ValidationError):
        TYPES[10, 2].validate_python(text)


@pytest.mark.parametrize(("digits", "places"), [(5, 0), (2, 2), (2, 3), (0, 0), (3, -1)])
def test_a_decimal_has_digits_on_both_sides(digits: int, places: int) -> None:
    """Another type would be declared, and its pattern would take nonsense."""
    with pytest.raises(ValueError, match="no digits on one side"):
        decimal(digits, places)


def each(list_name: str) -> pytest.MarkDecorator:
    """Every case of the vectors' lists, with its type."""
    cases = [
        pytest.param(entry["digits"], entry["places"], case, id=f"{entry['name']}:{json.dumps(case)}")
        for entry in VECTORS["types"]
        for case in entry[list_name]
    ]
    return pytest.mark.parametrize(("digits", "places", "case"), cases)


@each("accepted")
def test_accepted_decimals_of_the_vectors(digits: int, places: int, case: dict[str, Any]) -> None:
    """Text, its canonical form, and its smallest units."""
    taken = TYPES[digits, places].validate_json(json.dumps(case["text"]))
    assert taken == case["canonical"]
    assert units_of(taken, places) == int(case["units"])
    assert decimal_text(int(case["units"]), places) == case["canonical"]


@each("refused")
def test_refused_decimals_of_the_vectors(digits: int, places: int, case: Any) -> None:
    """Whatever JSON value it is."""
    with pytest.raises(ValidationError):
        TYPES[digits, places].validate_json(json.dumps(case))
