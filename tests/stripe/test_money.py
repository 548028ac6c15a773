"""Amounts are exact both ways, and in euros."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.ports import UnusableEventError
from server.providers.stripe.money import check_euro, from_minor, to_minor


@given(st.integers(0, 10**12))
def test_cents_go_there_and_back(cents: int) -> None:
    """Not one is lost."""
    assert to_minor(from_minor(cents)) == cents


@pytest.mark.parametrize(
    ("text", "cents"), [("0.01", 1), ("12.30", 1230), ("1.10", 110), ("99999999.99", 9_999_999_999)]
)
def test_an_amount_is_its_cents(text: str, cents: int) -> None:
    """What floats get wrong among them."""
    assert (to_minor(text), from_minor(cents)) == (cents, text)


def test_a_part_of_a_cent_is_refused() -> None:
    """Nothing is rounded."""
    with pytest.raises(ValueError, match="two places"):
        to_minor("1.005")


@pytest.mark.parametrize("currency", ["usd", "gbp", "", "eurx"])
def test_another_currency_is_refused(currency: str) -> None:
    """With words for a person."""
    with pytest.raises(UnusableEventError, match="other_currency"):
        check_euro(currency)
