"""Column types are exact on both databases, and refuse what they would have to round, cut or guess."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from server import collections
from server.storage import tables
from server.storage.migrate import run
from server.storage.types import DayType, DecimalType, InstantType, JsonType, UuidType

_OURS = (DayType, DecimalType, InstantType, JsonType, UuidType)
_EXACT = (*_OURS, sa.BigInteger, sa.Boolean, sa.Integer, sa.LargeBinary, sa.String)

_TRY = sa.Table(
    "tried",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("money", DecimalType(10, 2)),
    sa.Column("quantity", DecimalType(13, 3)),
    sa.Column("at", InstantType()),
    sa.Column("day", DayType()),
    sa.Column("uid", UuidType()),
    sa.Column("json", JsonType()),
)


def test_every_column_has_an_exact_type() -> None:
    """No float, no naive time: SQLModel guesses neither where a declaration went wrong."""
    assert collections.MODELS
    assert tables.tenants.TenantRow.__tablename__ in SQLModel.metadata.tables
    wrong = [
        f"{column} is {column.type!r}"
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if not isinstance(column.type, _EXACT) or isinstance(column.type, sa.Numeric | sa.Float | sa.DateTime)
    ]
    assert wrong == []


def test_every_key_begins_with_the_tenant() -> None:
    """So that a distributed PostgreSQL can shard by it, and no look-up is without one."""
    wrong = [
        f"{table.name}: {key}"
        for table in SQLModel.metadata.tables.values()
        for key, columns in [
            ("primary key", list(table.primary_key.columns)),
            *((index.name, list(index.columns)) for index in table.indexes if index.unique),
        ]
        if columns[0].name != "tenant_id"
    ]
    assert wrong == []


async def test_migrations_make_what_the_models_say(database_url: str) -> None:
    """Alembic finds nothing to add, on either database."""
    await run(database_url, "check")


async def _there_and_back(url: str, **values: Any) -> dict[str, Any]:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_TRY.metadata.create_all)
            await connection.execute(_TRY.insert().values(id=1, **values))
            row = (await connection.execute(sa.select(_TRY))).mappings().one()
            return {name: row[name] for name in values}
    finally:
        await engine.dispose()


async def test_values_come_back_equal(database_url: str) -> None:
    """To the cent, the millisecond and the letter."""
    values = {
        "money": Decimal("-99999999.99"),
        "quantity": Decimal("9999999999.999"),
        "at": datetime(2025, 3, 30, 2, 30, 0, 123_000, tzinfo=UTC),
        "day": date(2024, 2, 29),
        "uid": "0192f0c1-0000-7000-8000-00000000abcd",
        "json": '{"b": 1,  "a": "è"}',
    }
    assert await _there_and_back(database_url, **values) == values


async def test_an_instant_comes_back_in_utc(database_url: str) -> None:
    """Whatever zone it was written in."""
    rome = datetime(2025, 7, 1, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    (back,) = (await _there_and_back(database_url, at=rome)).values()
    assert (back, back.utcoffset()) == (rome, timedelta(0))


@pytest.mark.parametrize("money", ["1.001", "100000000.00", "-100000000.00", "NaN", "Infinity", "1E+9"])
async def test_money_that_does_not_fit_is_refused(database_url: str, money: str) -> None:
    """Never rounded in silence, on neither database."""
    with pytest.raises(StatementError, match="does not fit"):
        await _there_and_back(database_url, money=Decimal(money))


async def test_a_naive_instant_is_refused(database_url: str) -> None:
    """Nobody can say when it was."""
    with pytest.raises(StatementError, match="timezone"):
        await _there_and_back(database_url, at=datetime(2025, 1, 1))  # noqa: DTZ001  # the point
