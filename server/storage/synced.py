"""The columns every collection has beside its own fields, and the index that pulls read by."""

from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import declared_attr
from sqlmodel import Field, SQLModel

from server.storage.types import InstantType, JsonType, UuidType
from sync.collection import SyncOptions

META = ("tenant_id", "id", "seq", "version", "audience", "deleted", "stamp", "author", "clocks")
"""Order of the common columns in every row that is stored."""


class Synced(SQLModel):
    """A record that travels.

    `seq` is its place in the tenant's sequence, `version` its own counter, `audience` who may see it; `stamp` and
    `author` are those of its creation, `clocks` those of fields written since (NULL until fields diverge).
    """

    sync: ClassVar[SyncOptions]
    indexes: ClassVar[Sequence[sa.Index]] = ()
    """What else the table is searched by, made with `search_index`."""

    tenant_id: str = Field(sa_type=UuidType, primary_key=True)
    id: str = Field(sa_type=UuidType, primary_key=True)
    seq: int = Field(sa_type=sa.BigInteger)
    version: int = Field(sa_type=sa.BigInteger)
    audience: str = Field(sa_type=sa.String(80))
    deleted: bool = Field(sa_type=sa.Boolean)
    stamp: str = Field(sa_type=InstantType)
    author: str = Field(sa_type=sa.String(100))
    clocks: str | None = Field(sa_type=JsonType, nullable=True)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:  # noqa: N805  # a class attribute worked out per table
        """Pulls read one audience in sequence; tombstones are found by theirs, what refers by what it refers to."""
        name, living = f"ix_{cls.__tablename__}_tombstones", sa.text("deleted AND seq > 0")
        return (
            sa.Index(None, "tenant_id", "audience", "seq"),
            sa.Index(name, "tenant_id", "seq", sqlite_where=living, postgresql_where=living),
            *(_referring(str(cls.__tablename__), field) for field in cls.sync.references),
            *cls.indexes,
        )


def search_index(name: str, *columns: str, where: str | None = None) -> sa.Index:
    """An index of a collection's own; the tenant comes first. `where`: over the rows that meet a condition."""
    said = None if where is None else sa.text(where)
    return sa.Index(name, "tenant_id", *columns, sqlite_where=said, postgresql_where=said)


def _referring(table: str, field: str) -> sa.Index:
    said = sa.text(f"{field} IS NOT NULL")
    name = f"ix_{table}_{field.removesuffix('_id')}"
    return sa.Index(name, "tenant_id", field, "id", sqlite_where=said, postgresql_where=said)


def table_of(model: type[SQLModel]) -> sa.Table:
    """The Core table of a model."""
    table = getattr(model, "__table__")  # noqa: B009  # SQLModel does not declare it
    assert isinstance(table, sa.Table)
    return table
