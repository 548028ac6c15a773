"""What lets somebody in: people, passkeys, sessions, keys, invitations, and the record of all of it."""

from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.storage.tables.columns import instant, integer, json_text, partial_index, text, uuid
from server.storage.types import InstantType


class PersonRow(SQLModel, table=True):
    """Somebody who signs in, on whatever device; with a password, passkeys, or by an OpenID provider.

    `login` is a name within the merchant. `password` is argon2's own text. `failures` and `locked_until`: sign-ins that
    failed since the last good one, and until when none is tried. `heard_at`: when the newest token was made by which an
    OpenID provider told who they are; `left_at`: when one was that put them elsewhere, or nowhere.
    """

    __tablename__ = "people"
    __table_args__: ClassVar[Any] = (
        sa.Index("ix_people_login", "tenant_id", "login", unique=True),
        sa.Index("ix_people_subject", "tenant_id", "issuer", "subject", unique=True),
    )
    tenant_id: str = uuid(key=True)
    person_id: str = uuid(key=True)
    name: str = text(200)
    role: str = text(16)
    shop: str = text(64)
    login: str | None = text(80, nullable=True)
    password: str | None = text(200, nullable=True)
    issuer: str | None = text(500, nullable=True)
    subject: str | None = text(255, nullable=True)
    failures: int = Field(sa_type=sa.Integer)
    locked_until: str | None = instant(nullable=True)
    created_at: str = instant()
    disabled_at: str | None = instant(nullable=True)
    heard_at: str | None = instant(nullable=True)
    left_at: str | None = instant(nullable=True)


class PasskeyRow(SQLModel, table=True):
    """A WebAuthn credential of a person's; ids and public keys in base64url. `transports`: a list, JSON text."""

    __tablename__ = "passkeys"
    __table_args__: ClassVar[Any] = (sa.Index("ix_passkeys_person", "tenant_id", "person_id"),)
    tenant_id: str = uuid(key=True)
    credential_id: str = text(1400, key=True)
    person_id: str = uuid()
    name: str = text(200)
    public_key: str = text(2000)
    sign_count: int = integer()
    transports: str = json_text()
    created_at: str = instant()
    used_at: str | None = instant(nullable=True)


class SessionRow(SQLModel, table=True):
    """Somebody signed in on a device: a family of refresh tokens, of which one at a time is good.

    `generation` counts them. `attempt_hash`: what the last one was asked for under, so that an answer that was lost can
    be given again. `ended_why` is a stable word.
    """

    __tablename__ = "sessions"
    __table_args__: ClassVar[Any] = (
        sa.Index("ix_sessions_device", "tenant_id", "device_id"),
        partial_index("ix_sessions_open", "tenant_id", "expires_at", where="ended_at IS NULL"),
    )
    tenant_id: str = uuid(key=True)
    session_id: str = uuid(key=True)
    device_id: str = uuid()
    person_id: str | None = uuid(nullable=True)
    generation: int = integer()
    attempt_hash: str | None = text(64, nullable=True)
    rotated_at: str = instant()
    created_at: str = instant()
    expires_at: str = instant()
    ended_at: str | None = instant(nullable=True)
    ended_why: str | None = text(32, nullable=True)


class KeyRow(SQLModel, table=True):
    """An API key of a device, stored hashed: of the text, only the hash and what names it.

    `permissions`: a list, JSON text; NULL is everything the role may. `signing`: the sealed secret its requests are
    signed by, where they are. `certificate`: the SHA-256 of the one it must be shown with, where there is one.
    `rotate_by` is our own schedule; `successor` took its place, until `expires_at` both are good. `made_by`: the person
    who made it, or the device whose key did.
    """

    __tablename__ = "keys"
    __table_args__: ClassVar[Any] = (sa.Index("ix_keys_device", "tenant_id", "device_id"),)
    tenant_id: str = uuid(key=True)
    key_id: str = uuid(key=True)
    device_id: str = uuid()
    name: str = text(200)
    secret_hash: str = text(64)
    permissions: str | None = json_text(nullable=True)
    signing: str | None = Field(sa_type=sa.Text, nullable=True)
    certificate: str | None = text(64, nullable=True)
    successor: str | None = uuid(nullable=True)
    made_by: str | None = uuid(nullable=True)
    created_at: str = instant()
    rotate_by: str | None = instant(nullable=True)
    expires_at: str | None = instant(nullable=True)
    last_used_at: str | None = instant(nullable=True)
    revoked_at: str | None = instant(nullable=True)


class InviteRow(SQLModel, table=True):
    """A way in that is good once and for a short time: the first owner's link, or a code that pairs a device.

    `code_hash` is an HMAC: a short code's plain hash could be guessed. `person_id`: who is signed in by it. `made_by`:
    the device that shows a code, or who made a link; `asked_by`: the person who asked for a code.
    `device_id`: the device that is paired again by it.
    """

    __tablename__ = "invites"
    __table_args__: ClassVar[Any] = (sa.Index("ix_invites_code", "code_hash"),)
    tenant_id: str = uuid(key=True)
    code_hash: str = text(64, key=True)
    kind: str = text(16)
    name: str | None = text(200, nullable=True)
    role: str = text(16)
    shop: str = text(64)
    person_id: str | None = uuid(nullable=True)
    made_by: str | None = uuid(nullable=True)
    asked_by: str | None = uuid(nullable=True)
    device_id: str | None = uuid(nullable=True)
    created_at: str = instant()
    expires_at: str = instant()
    used_at: str | None = instant(nullable=True)


class GuessRow(SQLModel, table=True):
    """How many pairing codes were tried in a stretch of time, from one address or from all.

    A code names no tenant: `tenant_id` is the id that is nobody's.
    """

    __tablename__ = "guesses"
    tenant_id: str = uuid(key=True)
    origin: str = text(64, key=True)
    stretch: str = Field(sa_type=InstantType, primary_key=True)
    times: int = integer()


class SpentRow(SQLModel, table=True):
    """What was used and is good once: challenges, states, signed requests; until they would be too old anyway."""

    __tablename__ = "spent"
    __table_args__: ClassVar[Any] = (sa.Index("ix_spent_expired", "tenant_id", "expires_at"),)
    tenant_id: str = uuid(key=True)
    what_hash: str = text(64, key=True)
    expires_at: str = instant()


class AuditRow(SQLModel, table=True):
    """Who did what, or was refused it; only ever added to. Ids and stable words: no token, no name, no address.

    `origin` is where it came from, coarsely: the first 24 bits of an address, or 48 of a long one. `times`: how often,
    or to how many.
    """

    __tablename__ = "audit"
    __table_args__: ClassVar[Any] = (
        sa.Index("ix_audit_action", "tenant_id", "action", "entry_id"),
        sa.Index("ix_audit_actor", "tenant_id", "actor_id", "entry_id"),
    )
    tenant_id: str = uuid(key=True)
    entry_id: str = uuid(key=True)
    at: str = instant()
    action: str = text(32)
    outcome: str = text(16)
    reason: str | None = text(64, nullable=True)
    actor_kind: str = text(16)
    actor_id: str | None = text(64, nullable=True)
    subject_kind: str | None = text(16, nullable=True)
    subject_id: str | None = text(64, nullable=True)
    origin: str | None = text(64, nullable=True)
    correlation_id: str | None = text(64, nullable=True)
    times: int = Field(sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "1"})
