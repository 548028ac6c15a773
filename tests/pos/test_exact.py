"""Amounts as vendors write them: exact, or not at all."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.ports import UnusableEventError
from server.providers.pos.exact import cents, parse_exact, share


@given(st.integers(-(10**10) + 1, 10**10 - 1))
def test_every_amount_of_two_places_is_read_exactly(amount: int) -> None:
    """As a number and as a string, through JSON."""
    text = f"{Decimal(amount).scaleb(-2):f}"
    read = parse_exact(f'{{"n": {text}, "s": "{text}"}}'.encode())
    assert (cents(read["n"]), cents(read["s"])) == (amount, amount)


@pytest.mark.parametrize("amount", ["1.005", "NaN", "Infinity", "1e30", "100000000.00", "x", "", None, True, 1.1, []])
def test_what_is_no_amount_is_refused(amount: Any) -> None:
    """A float among them: what it was before nobody knows."""
    with pytest.raises(UnusableEventError):
        cents(amount)


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"a": NaN}', b'{"a": 1' + b"0" * 60 + b".5}", b"[" * 100_000])
def test_what_is_no_object_is_refused_and_never_an_error(body: bytes) -> None:
    """Whatever an authentic sender sends by mistake."""
    with pytest.raises(UnusableEventError):
        parse_exact(body)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**9), min_size=1, max_size=6))
def test_shares_make_the_amount_and_are_in_proportion(amount: int, weights: list[int]) -> None:
    """No cent is lost, and none is off by more than one."""
    parts = share(amount, weights)
    assert sum(parts) == amount
    if sum(weights):
        assert all(abs(part - amount * w / sum(weights)) <= 1 for part, w in zip(parts, weights, strict=True))
