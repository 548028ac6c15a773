"""Who there is: merchants, their shops and devices, and the marks of their history."""

from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import SQLModel

from server.storage.tables.columns import counted, instant, integer, text, uuid


class TenantRow(SQLModel, table=True):
    """A merchant. Its row is the lock all its writers take.

    `horizon`: tombstones up to this place of the sequence may have been collected; who pulled less must start anew.
    `backed_up_at`: when a backup that was read back last covered it. `epoch_at`: when its present epoch began, where it
    is not the first. `handle` is the short name people sign in under.
    """

    __tablename__ = "tenants"
    __table_args__: ClassVar[Any] = (sa.Index("ix_tenants_handle", "handle"),)
    tenant_id: str = uuid(key=True)
    name: str = text(200)
    seq: int = integer()
    epoch: str = text(36)
    revision: int = integer()
    horizon: int = counted()
    backed_up_at: str | None = instant(nullable=True)
    epoch_at: str | None = instant(nullable=True)
    created_at: str = instant()
    handle: str | None = text(48, nullable=True)


class MarkRow(SQLModel, table=True):
    """A point of the tenant's history: a cursor is valid only where its mark exists."""

    __tablename__ = "marks"
    tenant_id: str = uuid(key=True)
    seq: int = integer(key=True)
    nonce: str = text(32, key=True)
    at: str = instant()


class ShopRow(SQLModel, table=True):
    """A shop of a tenant; its name is the audience of what belongs to it."""

    __tablename__ = "shops"
    tenant_id: str = uuid(key=True)
    shop: str = text(64, key=True)


class DeviceRow(SQLModel, table=True):
    """A till or a phone: whose queue it is. What it is let in by is a key or a session.

    `made_by`: the person who paired it, or the device that did, where nobody is signed in on it.
    """

    __tablename__ = "devices"
    tenant_id: str = uuid(key=True)
    device_id: str = uuid(key=True)
    name: str = text(200)
    role: str = text(16)
    shop: str = text(64)
    created_at: str = instant()
    revoked_at: str | None = instant(nullable=True)
    made_by: str | None = uuid(nullable=True)
