"""Wire types: what a field's value may look like, checked by pydantic's core and kept as text.

Decimals, uuids, instants and days stay the text the client sent, in one canonical form each, so that equal values are
equal text and nothing on the way can round. A value that does not fit is refused, never adjusted; the one liberty taken
is to write `12` and `12.5` as `12.00` and `12.50`.

Patterns refuse what a database would refuse (impossible days, NUL), for there it would fail everybody in the group.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, StrictBool, StrictInt, StringConstraints
from typing_extensions import TypedDict

Kind = Literal["uuid", "instant", "day", "decimal", "text", "code", "flag", "integer", "json"]

_LEAP = r"(?:(?:19|20|21)(?:0[48]|[2468][048]|[13579][26])|2000)"
DAY_PATTERN = (
    r"(?:(?:19|20|21)[0-9]{2}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    rf"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29)"
)
INSTANT_PATTERN = DAY_PATTERN + r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
UUID_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
CODE_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}"


@dataclass(frozen=True, slots=True)
class WireType:
    """A field's form on the wire. `check` is a pydantic annotation; digits and places are those of a decimal.

    `length` is the most characters of a text, the most items of a list.
    """

    kind: Kind
    check: Any
    digits: int = 0
    places: int = 0
    length: int = 0


def _pattern(pattern: str) -> Any:
    return Annotated[str, StringConstraints(pattern=f"^{pattern}$")]


def canonical_decimal(text: str, places: int) -> str:
    """`12`, `12.5` and `-0` as `12.00`, `12.50` and `0.00`; the text must already be a decimal that fits."""
    whole, _, fraction = text.partition(".")
    padded = f"{whole}.{fraction.ljust(places, '0')}"
    return padded[1:] if padded[0] == "-" and not padded.strip("-0.") else padded


def decimal(digits: int, places: int) -> WireType:
    """A decimal of at most `digits` digits, `places` of them after the point: DECIMAL(digits, places).

    Raises ValueError without digits on both sides of the point; whole numbers are `INTEGER`.
    """
    if not 0 < places < digits:
        raise ValueError(f"DECIMAL({digits},{places}) has no digits on one side of the point")
    more = digits - places - 1
    whole, zeros = rf"[1-9][0-9]{{0,{more}}}", "0" * places
    nonzero = "|".join(rf"0{{{i}}}[1-9][0-9]{{{places - i - 1}}}" for i in range(places))
    exact: Any = _pattern(rf"(?:-?{whole}\.[0-9]{{{places}}}|-?0\.(?:{nonzero})|0\.{zeros})")
    loose: Any = Annotated[
        str,
        StringConstraints(pattern=rf"^-?(?:0|{whole})(?:\.[0-9]{{1,{places}}})?$"),
        AfterValidator(lambda text: canonical_decimal(text, places)),
    ]
    check: Any = Annotated[exact | loose, Field(union_mode="left_to_right")]
    return WireType("decimal", check, digits=digits, places=places)


def text(length: int, *, least: int = 0) -> WireType:
    """Free text of at most `length` characters, without NUL."""
    check = Annotated[str, StringConstraints(min_length=least, max_length=length, pattern=r"^[^\x00]*$")]
    return WireType("text", check, length=length)


def choice(*values: str) -> WireType:
    """One of a few codes."""
    return WireType("code", _pattern("(?:" + "|".join(values) + ")"), length=64)


_TYPED_DICT: Any = TypedDict  # the functional form, with names and members known only at run time


def shape_of(name: str, members: Mapping[str, Any], *, closed: bool) -> Any:
    """A typed dictionary made at run time; a closed one refuses members it does not know, an open one ignores them."""
    shape = _TYPED_DICT(name, dict(members))
    shape.__pydantic_config__ = ConfigDict(extra="forbid" if closed else "ignore", strict=True)
    return shape


def item(name: str, /, *, optional: Mapping[str, WireType] | None = None, **required: WireType) -> Any:
    """The shape of one item of a list field; what is `optional` may be absent or null."""
    members: dict[str, Any] = {member: wire.check for member, wire in required.items()}
    for member, wire in (optional or {}).items():
        members[member] = NotRequired[wire.check | None]
    return shape_of(name, members, closed=True)


def json_of(shape: Any, *, most: int = 1000) -> WireType:
    """A list of at most `most` items (a shape made by `item`, or a wire type's check), stored as one JSON text."""
    return WireType("json", Annotated[list[shape], Field(max_length=most)], length=most)


def _plain_json(value: Any, depth: int = 0) -> Any:
    """Refuse what others could not read back: numbers that JSON does not have, halves of characters, deep nesting."""
    if depth > _DEEPEST or (isinstance(value, float) and not isfinite(value)):
        raise ValueError("no JSON that everybody can read")
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict):
        for name, part in value.items():
            name.encode()
            _plain_json(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _plain_json(part, depth + 1)
    return value


_DEEPEST = 16
JSON = WireType("json", Annotated[JsonValue, AfterValidator(_plain_json)])
"""Any JSON value; what it must be beside that is asked where it is used."""

UUID = WireType("uuid", _pattern(UUID_PATTERN), length=36)
INSTANT = WireType("instant", _pattern(INSTANT_PATTERN), length=24)
DAY = WireType("day", _pattern(DAY_PATTERN), length=10)
CODE = WireType("code", _pattern(CODE_PATTERN), length=64)
FLAG = WireType("flag", StrictBool)
INTEGER = WireType("integer", Annotated[StrictInt, Field(ge=-(2**53) + 1, le=2**53 - 1)])
MONEY = decimal(10, 2)
QUANTITY = decimal(13, 3)
RATE = decimal(5, 2)


def units_of(text_: str, places: int) -> int:
    """A canonical decimal as an exact integer of its smallest unit: `-12.50` with 2 places is -1250."""
    return int(text_.replace(".", "", 1)) if places else int(text_)


def decimal_text(units: int, places: int) -> str:
    """The canonical decimal of that many smallest units."""
    digits = str(abs(units)).rjust(places + 1, "0")
    sign = "-" if units < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"
