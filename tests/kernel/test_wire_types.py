"""Instants, days, ids, codes and text on the wire: exactly what both databases take, nothing adjusted."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sync.clock import decode_instant
from sync.wire import CODE, DAY, FLAG, INSTANT, INTEGER, UUID, WireType, choice, item, json_of, text

FIRST, LAST = date(1900, 1, 1), date(2199, 12, 31)
ODD_TEXT = ["\x00", "a\x00", "a\x00b"]


def takes(wire: WireType, value: Any) -> bool:
    """Whether the wire type takes a value; what it takes it leaves as it is."""
    try:
        assert TypeAdapter(wire.check).validate_python(value, strict=True) == value
    except ValidationError:
        return False
    return True


def is_day(year: int, month: int, day: int) -> bool:
    """Whether the calendar has that day, and the wire's three centuries."""
    try:
        return FIRST <= date(year, month, day) <= LAST
    except ValueError:
        return False


def test_every_day_of_three_centuries_is_taken_and_no_other() -> None:
    """Leap years among them, by the standard library's calendar: all 109,573 days and every impossible one."""
    days = [str(FIRST + timedelta(days=n)) for n in range((LAST - FIRST).days + 1)]
    possible = set(days)
    validator = TypeAdapter(DAY.check).validator
    assert all(map(validator.isinstance_python, days))
    for year in (1900, 1904, 1999, 2000, 2023, 2024, 2096, 2100, 2104, 2199):
        for month in range(14):
            for day in range(33):
                written = f"{year}-{month:02}-{day:02}"
                assert validator.isinstance_python(written) == (written in possible)


@given(st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32))
def test_a_day_is_the_calendars(year: int, month: int, day: int) -> None:
    """Whatever the numbers."""
    assert takes(DAY, f"{year:04}-{month:02}-{day:02}") == is_day(year, month, day)


@given(st.dates(FIRST, LAST), st.integers(0, 25), st.integers(0, 61), st.integers(0, 61), st.integers(0, 999))
def test_an_instant_is_a_day_and_a_time(day: date, hour: int, minute: int, second: int, ms: int) -> None:
    """No hour 24 and no leap second; what is taken can be decoded."""
    written = f"{day}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"
    assert takes(INSTANT, written) == (hour < 24 and minute < 60 and second < 60)
    if takes(INSTANT, written):
        moment = datetime.fromisoformat(written)
        assert decode_instant(written) == round(moment.timestamp() * 1000)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-23T09:14:58Z",
        "2026-11-23T09:14:58.2011Z",
        "2026-11-23T09:14:58.201+00:00",
        "2026-11-23 09:14:58.201Z",
        "2026-11-23t09:14:58.201z",
        "2026-W48-1T09:14:58.201Z",
        "2026-02-30T09:14:58.201Z",
        "2026-11-23T24:00:00.000Z",
        "2026-11-23T23:60:00.000Z",
        "2026-11-23T23:59:60.000Z",
        "2026-11-23T09:14:58.201Z\n",
        "2026-11-23T09:14:58.201Z\x00",
        "\x002026-11-23T09:14:58.201Z",
        "\u0662\u0660\u0662\u0666-11-23T09:14:58.201Z",
        1795425298201,
        None,
        True,
    ],
    ids=ascii,
)
def test_an_instant_has_one_form(value: Any) -> None:
    """Every other is refused."""
    assert not takes(INSTANT, value)


@pytest.mark.parametrize(
    "value", ["2026-11-3", "20261123", "2026-11-23\n", "2026-11-23\x00", "2026-11-23T", 20261123], ids=ascii
)
def test_a_day_has_one_form(value: Any) -> None:
    """Every other is refused."""
    assert not takes(DAY, value)


@given(st.uuids())
def test_an_id_is_lower_case_with_dashes(uuid: Any) -> None:
    """Equal ids are equal text: no other spelling of the same id is taken."""
    written = str(uuid)
    parts = written.split("-")
    shouted = ["-".join([*parts[:n], parts[n].upper(), *parts[n + 1 :]]) for n in range(5)]
    others = (*shouted, written.replace("-", ""), f"{{{written}}}", f"urn:uuid:{written}", f"{written}\n")
    assert takes(UUID, written)
    assert not any(takes(UUID, other) for other in others if other != written)


@given(st.text(max_size=12) | st.text("abc\x00\n\t ", max_size=12))
def test_free_text_is_anything_but_nul(value: str) -> None:
    """Up to its length in characters, as the databases count them; line ends and signs are text."""
    assert takes(text(10), value) == (len(value) <= 10 and "\x00" not in value and not has_surrogate(value))
    assert takes(text(10, least=1), value) == (takes(text(10), value) and value != "")


def test_characters_are_counted_not_bytes() -> None:
    """Ten faces are ten."""
    assert takes(text(10), "😀" * 10)
    assert not takes(text(10), "😀" * 11)


def has_surrogate(value: str) -> bool:
    """Whether half a character is in it."""
    return any("\ud800" <= sign <= "\udfff" for sign in value)


@pytest.mark.parametrize("value", ["a", "A.b_c:d-1", "9", "a" * 64])
def test_a_code_is_a_short_name(value: str) -> None:
    """Letters, digits and four signs."""
    assert takes(CODE, value)


@pytest.mark.parametrize("value", ["", "a" * 65, "-a", ".a", "a b", "a\n", "à", "a/b", *ODD_TEXT, 1, None])
def test_other_codes_are_refused(value: Any) -> None:
    """None begins with a sign."""
    assert not takes(CODE, value)


@pytest.mark.parametrize("value", ["void", "openx", "xopen", "open\n", "ope", "", "OPEN", "open|shut"])
def test_a_choice_is_one_of_its_codes_whole(value: str) -> None:
    """No prefix, no suffix, no other case."""
    assert takes(choice("open", "shut"), "shut")
    assert not takes(choice("open", "shut"), value)


@given(st.integers())
def test_an_integer_is_exact_in_every_language(value: int) -> None:
    """Within what a double holds."""
    assert takes(INTEGER, value) == (abs(value) < 2**53)


@pytest.mark.parametrize("value", [True, False, 1.0, "1", None, 2**53, -(2**53)], ids=repr)
def test_what_is_no_integer_is_refused(value: Any) -> None:
    """A flag is none, nor is a float, however whole."""
    assert not takes(INTEGER, value)


@pytest.mark.parametrize("value", [0, 1, "true", None], ids=repr)
def test_a_flag_is_true_or_false(value: Any) -> None:
    """Nothing is taken for one."""
    assert all(takes(FLAG, flag) for flag in (True, False))
    assert not takes(FLAG, value)


ENTRY = item("Entry", name=text(5), optional={"day": DAY})


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ([], True),
        ([{"name": "a"}, {"name": "b", "day": "2026-11-23"}, {"name": "c", "day": None}], True),
        ([{"name": "a"}] * 4, False),
        ([{}], False),
        ([{"name": None}], False),
        ([{"name": "a", "more": 1}], False),
        ([{"name": "a", "day": "2026-02-29"}], False),
        ({"name": "a"}, False),
        ([["name", "a"]], False),
        (None, False),
    ],
    ids=repr,
)
def test_a_list_has_items_of_one_closed_shape(value: Any, *, taken: bool) -> None:
    """Unknown members are refused, optional ones may be absent or null, and the number is bounded."""
    assert takes(json_of(ENTRY, most=3), value) == taken
