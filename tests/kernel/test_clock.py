"""Instants as text: order, correction and growth, checked against the standard library's calendar."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.clock import MAX_AHEAD_MS, clamp, decode_instant, encode_instant, later
from tests.kernel.vectors import vectors

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LEAST_MS = -2_208_988_800_000  # 1900-01-01
MOST_MS = 7_258_118_399_999  # 2199-12-31T23:59:59.999Z
CLOCK = vectors("clock")
INSTANTS = st.integers(LEAST_MS, MOST_MS)


@given(INSTANTS)
def test_an_instant_goes_round(ms: int) -> None:
    """Text and back, and the text is the calendar's own."""
    text = encode_instant(ms)
    assert decode_instant(text) == ms
    moment = EPOCH + timedelta(milliseconds=ms)
    assert text == f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


@given(INSTANTS, INSTANTS)
def test_text_order_is_time_order(one: int, other: int) -> None:
    """No object need be made to compare."""
    assert (encode_instant(one) < encode_instant(other)) == (one < other)


@given(st.text(st.sampled_from("0123456789-:.TZW+ ,")) | st.text())
def test_what_is_no_instant_is_refused(text: str) -> None:
    """One form only: what is decoded would be encoded to the same text."""
    try:
        ms = decode_instant(text)
    except ValueError:
        return
    assert encode_instant(ms) == text


@given(own=INSTANTS, now=INSTANTS)
def test_nobody_is_far_ahead_of_the_server(own: int, now: int) -> None:
    """At most five minutes; who is within is left alone and not told anything."""
    used, clamped = clamp(encode_instant(own), encode_instant(now))
    assert decode_instant(used) == min(own, now + MAX_AHEAD_MS)
    assert clamped == (own > now + MAX_AHEAD_MS)


@given(own=INSTANTS, previous=INSTANTS)
def test_what_is_stored_follows_what_was_stored(own: int, previous: int) -> None:
    """The later of its own and the previous plus one millisecond."""
    assert decode_instant(later(encode_instant(own), encode_instant(previous))) == max(own, previous + 1)


@pytest.mark.parametrize("case", CLOCK["instants"], ids=lambda case: case["text"])
def test_instants_of_the_vectors(case: dict[str, Any]) -> None:
    """Text and milliseconds since 1970."""
    assert (decode_instant(case["text"]), encode_instant(case["ms"])) == (case["ms"], case["text"])


@pytest.mark.parametrize("text", CLOCK["refused"])
def test_refused_instants_of_the_vectors(text: str) -> None:
    """Other spellings of an instant, and what is none."""
    with pytest.raises(ValueError):  # noqa: PT011  # its message may be the standard library's
        decode_instant(text)


@pytest.mark.parametrize("case", CLOCK["clamp"], ids=lambda case: case["name"])
def test_clamping_of_the_vectors(case: dict[str, Any]) -> None:
    """What a client's timestamp becomes at the server's `now`."""
    assert clamp(case["timestamp"], case["now"]) == (case["used"], case["clamped"])


@pytest.mark.parametrize("case", CLOCK["later"], ids=lambda case: case["name"])
def test_growth_of_the_vectors(case: dict[str, str]) -> None:
    """What is stored after `previous`."""
    assert later(case["own"], case["previous"]) == case["stored"]
