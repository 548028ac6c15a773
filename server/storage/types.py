"""Column types: one for each wire type, exact on both databases.

Decimals are integers of the smallest unit on SQLite (where SQLAlchemy's `Numeric` would store a float) and NUMERIC on
PostgreSQL. Instants are the wire's own text on SQLite and `timestamptz` on PostgreSQL. A type refuses what it would
have to round or cut. Ordinary SQLAlchemy code sees `Decimal`, aware `datetime`, `date` and `str`; hot paths bypass
these conversions and let SQL turn wire text into the column and back (`server.storage.wire_sql`).
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import Field, SQLModel

from sync.wire import Kind, WireType

SQLITE = "sqlite"

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING  # before the first table, and every table imports this module


class DecimalType(TypeDecorator[Decimal]):
    """A decimal of fixed digits and places. Raises ValueError for what would be rounded, NaN and infinities."""

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, digits: int, places: int) -> None:
        """DECIMAL(digits, places)."""
        super().__init__(digits, places)
        self.digits, self.places = digits, places

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """BIGINT of smallest units on SQLite."""
        column = sa.BigInteger() if dialect.name == SQLITE else sa.Numeric(self.digits, self.places)
        return dialect.type_descriptor(column)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """To the column's own form."""
        if value is None:
            return None
        units = value.scaleb(self.places) if value.is_finite() else value
        if not units.is_finite() or units != units.to_integral_value() or abs(units) >= 10**self.digits:
            raise ValueError(f"{value} does not fit DECIMAL({self.digits},{self.places})")
        return int(units) if dialect.name == SQLITE else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Back to a Decimal with all its places."""
        if value is None:
            return None
        return Decimal(value).scaleb(-self.places) if dialect.name == SQLITE else Decimal(value)


class InstantType(TypeDecorator[datetime]):
    """An aware instant with milliseconds. Raises ValueError for a naive one."""

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The wire's text on SQLite."""
        column = sa.String(24) if dialect.name == SQLITE else sa.DateTime(timezone=True)
        return dialect.type_descriptor(column)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """To UTC."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError("an instant needs timezone information")
        instant = value.astimezone(UTC)
        return instant.isoformat(timespec="milliseconds")[:23] + "Z" if dialect.name == SQLITE else instant

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """An aware UTC datetime."""
        if value is None:
            return None
        return datetime.fromisoformat(value) if dialect.name == SQLITE else value.astimezone(UTC)


class DayType(TypeDecorator[date]):
    """A calendar day: text on SQLite, DATE on PostgreSQL."""

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The wire's text on SQLite."""
        return dialect.type_descriptor(sa.String(10) if dialect.name == SQLITE else sa.Date())

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        """ISO text on SQLite."""
        return value.isoformat() if value is not None and dialect.name == SQLITE else value

    def process_result_value(self, value: Any, dialect: Dialect) -> date | None:
        """A date."""
        return date.fromisoformat(value) if value is not None and dialect.name == SQLITE else value


class UuidType(TypeDecorator[str]):
    """A uuid, to Python its lower case text with dashes: TEXT(36) on SQLite, uuid on PostgreSQL."""

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The wire's text on SQLite."""
        return dialect.type_descriptor(sa.String(36) if dialect.name == SQLITE else sa.Uuid(as_uuid=False))

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Text."""
        return None if value is None else str(value)


class JsonType(TypeDecorator[str]):
    """JSON kept as the very text it came as: TEXT on SQLite, json (not jsonb, which reorders) on PostgreSQL."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """TEXT both in Python and on SQLite."""
        return dialect.type_descriptor(sa.Text() if dialect.name == SQLITE else _PlainJson())

    def column_expression(self, column: Any) -> Any:
        """Read as text: SQLAlchemy's asyncpg would parse it."""
        return sa.cast(column, sa.Text)


class _PlainJson(sa.types.UserDefinedType[str]):
    """PostgreSQL's json, handed over as text."""

    cache_ok = True

    def get_col_spec(self, **_kw: Any) -> str:
        return "JSON"


_TYPES: dict[Kind, Callable[[WireType], Any]] = {
    "decimal": lambda wire: DecimalType(wire.digits, wire.places),
    "text": lambda wire: sa.String(wire.length),
    "code": lambda wire: sa.String(wire.length),
    "uuid": lambda _: UuidType(),
    "instant": lambda _: InstantType(),
    "day": lambda _: DayType(),
    "flag": lambda _: sa.Boolean(),
    "integer": lambda _: sa.BigInteger(),
    "json": lambda _: JsonType(),
}


def column_type(wire: WireType) -> Any:
    """The column type for a wire type."""
    return _TYPES[wire.kind](wire)


def column(wire: WireType, **options: Any) -> Any:
    """A SQLModel field whose column holds a wire type exactly; `options` as of SQLModel's `Field`."""
    return Field(sa_type=column_type(wire), **options)
