"""Web push: the keys we sign by, which devices want to be told, and what they are to be told next."""

from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.storage.tables.columns import instant, json_text, text, uuid


class WebpushKeyRow(SQLModel, table=True):
    """A merchant's VAPID key pair: the public part as browsers take it, the private part sealed.

    `superseded_at`: a newer one was made then; it goes on for those who subscribed with it.
    """

    __tablename__ = "webpush_keys"
    tenant_id: str = uuid(key=True)
    key_id: str = uuid(key=True)
    public_key: str = text(100)
    sealed: str = Field(sa_type=sa.Text)
    created_at: str = instant()
    superseded_at: str | None = instant(nullable=True)


class WebpushSubscriptionRow(SQLModel, table=True):
    """A device's one subscription: where to send and what to encrypt with, sealed; and what it wants.

    `person_id`: who was signed in when it was made; what they may see decides what it is told. `endpoint_id` is the
    account at its push service. `kinds`: a list, NULL for all; `quiet_from` to `quiet_to`: HH:MM in Rome.
    """

    __tablename__ = "webpush_subscriptions"
    tenant_id: str = uuid(key=True)
    device_id: str = uuid(key=True)
    subscription_id: str = uuid()
    person_id: str | None = uuid(nullable=True)
    endpoint_id: str = uuid()
    key_id: str = uuid()
    sealed: str = Field(sa_type=sa.Text)
    lang: str = text(2)
    kinds: str | None = json_text(nullable=True)
    quiet_from: str | None = text(5, nullable=True)
    quiet_to: str | None = text(5, nullable=True)
    created_at: str = instant()
    changed_at: str = instant()


class WebpushNoticeRow(SQLModel, table=True):
    """Something a device is to be told of, until it is composed: several of a kind become one message."""

    __tablename__ = "webpush_notices"
    __table_args__: ClassVar[Any] = (sa.Index("ix_webpush_notices_noted", "tenant_id", "noted_at"),)
    tenant_id: str = uuid(key=True)
    device_id: str = uuid(key=True)
    kind: str = text(16, key=True)
    subject: str = uuid(key=True)
    about: str = json_text()
    noted_at: str = instant()
