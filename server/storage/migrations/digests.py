"""Fills `digests` from the records that are there; migration 0002 calls it once."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from server.storage.types import UuidType
from sync.digest import digests

_COLLECTIONS = ("customers", "invoices", "products", "sales")
"""Those that had records before there were digests."""
_AT_A_TIME = 10_000
_DIGESTS = sa.table(
    "digests", sa.column("tenant_id", UuidType()), sa.column("collection"), sa.column("audience"), sa.column("sum")
)


def fill_digests(connection: sa.Connection) -> None:
    """One row a bucket of every tenant."""
    for name in _COLLECTIONS:
        for tenant_id in _tenants(connection):
            rows = [
                {"tenant_id": tenant_id, "collection": collection, "audience": audience, "sum": total}
                for (collection, audience), total in _sums(connection, name, tenant_id).items()
            ]
            if rows:
                connection.execute(sa.insert(_DIGESTS), rows)


def _tenants(connection: sa.Connection) -> list[str]:
    return list(connection.scalars(sa.select(sa.column("tenant_id", UuidType())).select_from(sa.table("tenants"))))


def _sums(connection: sa.Connection, name: str, tenant_id: str) -> dict[tuple[str, str], int]:
    rows = _live(connection, name, tenant_id)
    return digests((name, audience, row_id, version) for row_id, audience, version in rows)


def _live(connection: sa.Connection, name: str, tenant_id: str) -> Iterator[Sequence[Any]]:
    """Page by page: PostgreSQL keeps a cursor to the end of the transaction, and later migrations from the table."""
    tenant, record_id = sa.column("tenant_id", UuidType()), sa.column("id", UuidType())
    live: Any = (
        sa.select(record_id, sa.column("audience"), sa.column("version"))
        .select_from(sa.table(name))
        .where(tenant == tenant_id, sa.not_(sa.column("deleted", sa.Boolean())))
        .order_by(record_id)
        .limit(_AT_A_TIME)
    )
    rows = connection.execute(live).all()
    while rows:
        yield from rows
        rows = connection.execute(live.where(record_id > rows[-1][0])).all()
