"""Amounts at Stripe are whole minor units; ours are decimals with two places, and euros only. Exact both ways."""

from decimal import Decimal

from server.ports import UnusableEventError

EURO = "eur"
_PLACES = 2


def to_minor(amount: str) -> int:
    """`12.30` as 1230. Raises ValueError where there are parts of a cent."""
    cents = Decimal(amount).scaleb(_PLACES)
    if cents != cents.to_integral_value():
        raise ValueError("an amount has two places")
    return int(cents)


def from_minor(cents: int) -> str:
    """1230 as `12.30`."""
    return f"{Decimal(cents).scaleb(-_PLACES):.{_PLACES}f}"


def check_euro(currency: str) -> None:
    """Refuse other currencies. Raises UnusableEventError."""
    if currency.lower() != EURO:
        raise UnusableEventError("other_currency", "It is in another currency: only amounts in euros are kept.")
