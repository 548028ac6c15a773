"""What vendors write as numbers, read exactly: no amount passes through a float.

JSON numbers become decimals as they are written. An amount that has more than two places, or is not in euro, cannot be
used as it is, and says so.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import BaseModel

from server.ports import UnusableEventError
from sync.wire import decimal_text

_MOST_CENTS = 10**10


def parse_exact(body: bytes) -> dict[str, Any]:
    """A JSON object with its fractions as decimals. Raises UnusableEventError."""
    try:
        document: Any = json.loads(body, parse_float=_decimal, parse_int=int, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise UnusableEventError("malformed", "The body is no JSON.") from None
    if not isinstance(document, dict):
        raise UnusableEventError("malformed", "The body is no JSON object.")
    return document


def exact_bytes(document: dict[str, Any]) -> bytes:
    """An object as JSON again, its decimals as strings: as exact as they came."""
    return json.dumps(document, default=str).encode()


def only(document: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """What a model reads of a document: what vendors add about persons is not kept."""
    return {name: document[name] for name in model.model_fields if name in document}


def cents(amount: Any) -> int:
    """An amount in euro (`"12.20"`, 12.2, 12) in cents. Raises UnusableEventError."""
    try:
        units = Decimal(str(amount)).scaleb(2)
        whole = int(units) if units.is_finite() else None
    except (InvalidOperation, ValueError):
        whole, units = None, Decimal(0)
    if whole is None or whole != units or abs(whole) >= _MOST_CENTS or isinstance(amount, bool | float):
        raise UnusableEventError("inexact", "An amount is not a number of euro with at most two places.")
    return whole


def rate_of(percent: Any) -> str:
    """A VAT rate in per cent (`"22"`, 22.0) in wire form. Raises UnusableEventError."""
    return decimal_text(cents(percent), 2)


def check_euro(*currencies: str | None) -> None:
    """Raise UnusableEventError where something is not in euro."""
    if any(one is not None and one.upper() != "EUR" for one in currencies):
        raise UnusableEventError("another_currency", "An amount is not in euro.")


def share(amount: int, weights: Sequence[int]) -> list[int]:
    """Cents in proportion to weights, summing to `amount` exactly: what rounding leaves goes to the largest rests."""
    total = sum(weights)
    if total == 0:
        return [amount, *([0] * (len(weights) - 1))]
    parts = [amount * weight // total for weight in weights]
    rests = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
    for i in rests[: amount - sum(parts)]:
        parts[i] += 1
    return parts


def _decimal(text: str) -> Decimal:
    if len(text) > 40:  # noqa: PLR2004  # no amount is as long, and some exponents are for burning time
        raise ValueError(text)
    return Decimal(text)


def _no_number(_text: str) -> Any:
    raise ValueError("no number")
