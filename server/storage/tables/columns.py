"""Columns of the tables that are not collections: one short word each."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from server.storage.types import InstantType, JsonType, UuidType

FAILING = "failing_since IS NOT NULL AND state IN ('pending', 'leased')"
"""What was tried in vain and is to be tried again: deliveries and events alike."""

SETTLED = "state IN ('delivered', 'superseded', 'cancelled', 'answered')"
"""Deliveries that need nobody any more."""


def uuid(*, key: bool = False, nullable: bool = False) -> Any:
    """An id."""
    return Field(sa_type=UuidType, primary_key=key, nullable=nullable)


def text(length: int, *, key: bool = False, nullable: bool = False) -> Any:
    """A short text."""
    return Field(sa_type=sa.String(length), primary_key=key, nullable=nullable)


def instant(*, nullable: bool = False) -> Any:
    """A moment, as the wire writes it."""
    return Field(sa_type=InstantType, nullable=nullable)


def integer(*, key: bool = False, nullable: bool = False) -> Any:
    """A whole number of 64 bits."""
    return Field(sa_type=sa.BigInteger, primary_key=key, nullable=nullable)


def counted() -> Any:
    """One that old rows have at zero."""
    return Field(sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0"})


def json_text(*, nullable: bool = False) -> Any:
    """JSON, kept as the text it came as."""
    return Field(sa_type=JsonType, nullable=nullable)


def partial_index(name: str, *columns: str, where: str) -> sa.Index:
    """An index over the rows that meet a condition."""
    return sa.Index(name, *columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
