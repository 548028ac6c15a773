"""The tables that are not collections. Every key begins with the tenant: a distributed PostgreSQL can shard by it.

What later issues need has its column from the start (`purged_through`, `departures`, `marks`): a migration can add, but
cannot make up a history that was not kept.
"""

from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.storage.types import InstantType, JsonType, UuidType

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING


def _uuid(*, key: bool = False, nullable: bool = False) -> Any:
    return Field(sa_type=UuidType, primary_key=key, nullable=nullable)


def _text(length: int, *, key: bool = False, nullable: bool = False) -> Any:
    return Field(sa_type=sa.String(length), primary_key=key, nullable=nullable)


def _instant(*, nullable: bool = False) -> Any:
    return Field(sa_type=InstantType, nullable=nullable)


def _big(*, key: bool = False, nullable: bool = False) -> Any:
    return Field(sa_type=sa.BigInteger, primary_key=key, nullable=nullable)


def _json(*, nullable: bool = False) -> Any:
    return Field(sa_type=JsonType, nullable=nullable)


class TenantRow(SQLModel, table=True):
    """A merchant. Its row is the lock all its writers take."""

    __tablename__ = "tenants"
    tenant_id: str = _uuid(key=True)
    name: str = _text(200)
    seq: int = _big()
    epoch: str = _text(36)
    revision: int = _big()
    created_at: str = _instant()


class MarkRow(SQLModel, table=True):
    """A point of the tenant's history: a cursor is valid only where its mark exists."""

    __tablename__ = "marks"
    tenant_id: str = _uuid(key=True)
    seq: int = _big(key=True)
    nonce: str = _text(32, key=True)
    at: str = _instant()


class ShopRow(SQLModel, table=True):
    """A shop of a tenant; its name is the audience of what belongs to it."""

    __tablename__ = "shops"
    tenant_id: str = _uuid(key=True)
    shop: str = _text(64, key=True)


class DeviceRow(SQLModel, table=True):
    """A till or a phone; its secret is stored hashed."""

    __tablename__ = "devices"
    tenant_id: str = _uuid(key=True)
    device_id: str = _uuid(key=True)
    name: str = _text(200)
    role: str = _text(16)
    shop: str = _text(64)
    secret_hash: str = _text(64)
    created_at: str = _instant()
    revoked_at: str | None = _instant(nullable=True)


class ClientRow(SQLModel, table=True):
    """A local database on a device and how far its queue has come. `purged_through`: verdicts up to there are gone."""

    __tablename__ = "clients"
    tenant_id: str = _uuid(key=True)
    client_id: str = _uuid(key=True)
    device_id: str = _uuid()
    last_mutation_id: int = _big()
    purged_through: int = _big()
    created_at: str = _instant()


class MutationRow(SQLModel, table=True):
    """What is remembered of a mutation; `verdict` is NULL where it was plainly applied."""

    __tablename__ = "mutations"
    __table_args__: ClassVar[dict[str, Any]] = {"sqlite_with_rowid": False}
    tenant_id: str = _uuid(key=True)
    uid: str = _uuid(key=True)
    client_id: str = _uuid()
    mutation_id: int = _big()
    version: int | None = _big(nullable=True)
    verdict: str | None = _json(nullable=True)


class RejectedRow(SQLModel, table=True):
    """A mutation that broke a rule, kept whole: `body` is text, for it may hold what no JSON column accepts."""

    __tablename__ = "rejected"
    tenant_id: str = _uuid(key=True)
    uid: str = _uuid(key=True)
    client_id: str = _uuid()
    device_id: str = _uuid()
    mutation_id: int = _big()
    code: str = _text(64)
    message: str = _text(500)
    body: str = Field(sa_type=sa.Text)
    correlation_id: str = _text(64)
    received_at: str = _instant()


class SupersededRow(SQLModel, table=True):
    """A value that lost against a concurrent one; listed, and can be restored."""

    __tablename__ = "superseded"
    __table_args__: ClassVar[tuple[Any, ...]] = (sa.Index(None, "tenant_id", "collection", "record_id"),)
    tenant_id: str = _uuid(key=True)
    uid: str = _uuid(key=True)
    field: str = _text(64, key=True)
    collection: str = _text(64)
    record_id: str = _uuid()
    value: str = _json()
    stamp: str = _instant()
    author: str = _text(100)
    noted_at: str = _instant()


class HeldIncrementRow(SQLModel, table=True):
    """Increments for a counter whose record is not here yet, in its smallest unit."""

    __tablename__ = "held_increments"
    tenant_id: str = _uuid(key=True)
    collection: str = _text(64, key=True)
    record_id: str = _uuid(key=True)
    field: str = _text(64, key=True)
    units: int = _big()


class DepartureRow(SQLModel, table=True):
    """A record left an audience: a tombstone for those who were in it."""

    __tablename__ = "departures"
    __table_args__: ClassVar[tuple[Any, ...]] = (sa.Index(None, "tenant_id", "collection", "audience", "seq"),)
    tenant_id: str = _uuid(key=True)
    seq: int = _big(key=True)
    collection: str = _text(64)
    record_id: str = _uuid()
    audience: str = _text(80)


class EndpointRow(SQLModel, table=True):
    """A tenant's account at a provider: plain settings beside sealed secrets."""

    __tablename__ = "endpoints"
    tenant_id: str = _uuid(key=True)
    endpoint_id: str = _uuid(key=True)
    provider: str = _text(32)
    name: str = _text(200)
    settings: str = _json()
    sealed: str = Field(sa_type=sa.Text)
    paused: bool = Field(sa_type=sa.Boolean)
    created_at: str = _instant()


class BindingRow(SQLModel, table=True):
    """Which endpoint a route's changes go to."""

    __tablename__ = "bindings"
    tenant_id: str = _uuid(key=True)
    route: str = _text(64, key=True)
    endpoint_id: str = _uuid(key=True)


class OutboxRow(SQLModel, table=True):
    """One delivery: what goes to an endpoint because of one accepted change.

    `sequence` orders the deliveries of one record; `fence` grows with every lease, and a settle must name it.
    """

    __tablename__ = "outbox"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        sa.Index("ix_outbox_due", "next_attempt_at", sqlite_where=sa.text("state IN ('pending', 'leased')"),
                 postgresql_where=sa.text("state IN ('pending', 'leased')")),
        sa.Index("ix_outbox_lane", "tenant_id", "endpoint_id", "collection", "record_id", "sequence"),
    )  # fmt: skip
    tenant_id: str = _uuid(key=True)
    delivery_id: str = _uuid(key=True)
    endpoint_id: str = _uuid()
    route: str = _text(64)
    operation: str = _text(64)
    collection: str = _text(64)
    record_id: str = _uuid()
    sequence: int = _big()
    uid: str = _uuid()
    payload: str = Field(sa_type=sa.Text)
    idempotency_key: str = _text(80)
    correlation_id: str = _text(64)
    state: str = _text(16)
    attempts: int = Field(sa_type=sa.Integer)
    next_attempt_at: str = _instant()
    lease_owner: str | None = _text(64, nullable=True)
    leased_until: str | None = _instant(nullable=True)
    fence: int = _big()
    error_class: str | None = _text(16, nullable=True)
    error: str | None = _text(500, nullable=True)
    reference: str | None = _text(200, nullable=True)
    created_at: str = _instant()
    settled_at: str | None = _instant(nullable=True)
