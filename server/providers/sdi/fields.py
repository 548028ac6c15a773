"""How fields of an invoice file are read: where each stands, what its text may be, and the one error.

Each field names its element (`At`), as in the FatturaPA specification 1.9.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict

# What was sent is no readable document; "archive": a zip where one invoice was expected.
EnvelopeCode = Literal["archive", "bad_p7m", "bad_zip", "empty", "too_large", "zip_bomb"]
# The document is no usable invoice; "no_root": XML of another kind; "several_documents": more than one header.
DocumentCode = Literal[
    "doctype_forbidden", "malformed", "no_body", "no_root", "several_documents", "too_deep", "truncated"
]
# What money or identity needs is missing or unusable; "total_out_of_range": not a DECIMAL(10,2) as it stands.
ContentCode = Literal[
    "bad_amount", "bad_attachment", "bad_date", "missing_element", "no_supplier", "total_out_of_range"
]
UnreadableCode = EnvelopeCode | DocumentCode | ContentCode

SignatureState = Literal["absent", "intact", "broken", "unverified"]
"""Whether the signature's mathematics hold. A flag, not a gate; trust, validity and revocation are not looked at."""


class UnreadableInvoiceError(Exception):
    """A file, or one of its bodies, cannot be used as an invoice. The message quotes nothing of its content."""

    def __init__(self, code: UnreadableCode, message: str) -> None:
        """`code` is stable and for machines, `message` for people."""
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        """As a log line wants it."""
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class At:
    """Where a field's text stands below its element, and how it is read (None: unreadable).

    A decisive field has a `fault`, raised when its text cannot be read; any other is left to the unknown elements then.
    """

    path: str
    read: Callable[[str], object]
    fault: UnreadableCode | None = None
    required: bool = False


_DECIMAL = re.compile(r"[+-]?(?=\.?[0-9])[0-9]{0,40}(?:\.[0-9]{0,40})?")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2}|T.{0,40})?")  # xs:date may carry a zone
_LABEL_MAX = 1000  # five times the longest in the specification; more would not fit an index


def label(text: str) -> str | None:
    """A code, number or name."""
    return text if len(text) <= _LABEL_MAX else None


def digits(text: str) -> str | None:
    """A decimal number in the file's own digits."""
    return text if _DECIMAL.fullmatch(text) else None


def decimal(text: str) -> Decimal | None:
    """A decimal number; exponents, NaN, commas and thousands separators are none."""
    return Decimal(text) if _DECIMAL.fullmatch(text) else None


def percentage(text: str) -> Decimal | None:
    """A rate that can be divided by."""
    rate = decimal(text)
    return rate if rate is not None and 0 <= rate <= 100 else None  # noqa: PLR2004 (per cent)


def whole(text: str) -> int | None:
    """A line number."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def iso_date(text: str) -> str | None:
    """A calendar day as YYYY-MM-DD, without the time or zone some software appends."""
    found = _DATE.fullmatch(text)
    try:
        return date.fromisoformat(found[1]).isoformat() if found else None
    except ValueError:
        return None


class Frozen(BaseModel):
    """The base of all results: immutable, no surplus fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def decode_attachment(encoded: str) -> bytes:
    """Base64 with any white space and missing padding, to bytes."""
    packed = "".join(encoded.split()).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except ValueError:
        raise UnreadableInvoiceError("bad_attachment", "An attachment is not valid base64.") from None
