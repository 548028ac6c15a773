"""VAT out of gross amounts: summed by rate first, then net = gross / (1 + rate), half up, and VAT is the rest.

Net and VAT always make the gross again. Sums of rounded receipts do not make the rounded sum: gross is added up.
"""

from typing import NamedTuple

_WHOLE = 10_000
"""A hundred per cent, in the hundredths of a per cent that rates have."""


class Split(NamedTuple):
    """A gross amount's parts, in cents."""

    net: int
    vat: int


def split(gross: int, rate: int) -> Split:
    """The parts of `gross` cents at `rate` hundredths of a per cent: 6000 at 1000 is 5455 and 545."""
    divisor = _WHOLE + rate
    # Half up, away from zero for a return: what was sold and taken back makes nothing.
    net = (abs(gross) * _WHOLE * 2 + divisor) // (divisor * 2) * (-1 if gross < 0 else 1)
    return Split(net, gross - net)
