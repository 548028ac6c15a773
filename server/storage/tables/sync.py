"""What is remembered beside the records: clients, their mutations, what lost, what waits, who left."""

from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.storage.tables.columns import counted, instant, integer, json_text, partial_index, text, uuid


class ClientRow(SQLModel, table=True):
    """A local database on a device and how far its queue has come. `purged_through`: verdicts up to there are gone."""

    __tablename__ = "clients"
    tenant_id: str = uuid(key=True)
    client_id: str = uuid(key=True)
    device_id: str = uuid()
    last_mutation_id: int = integer()
    purged_through: int = integer()
    safe_mutation_id: int = counted()
    checkpoint_id: int = counted()
    checkpoint_at: str | None = instant(nullable=True)
    created_at: str = instant()


class MutationRow(SQLModel, table=True):
    """What is remembered of a mutation; `verdict` is NULL where it was plainly applied."""

    __tablename__ = "mutations"
    __table_args__: ClassVar[dict[str, Any]] = {"sqlite_with_rowid": False}
    tenant_id: str = uuid(key=True)
    uid: str = uuid(key=True)
    client_id: str = uuid()
    mutation_id: int = integer()
    version: int | None = integer(nullable=True)
    verdict: str | None = json_text(nullable=True)


class RejectedRow(SQLModel, table=True):
    """A mutation that broke a rule, kept whole: `body` is text, for it may hold what no JSON column accepts.

    `resolved_by` is the device a person dealt with it on (NULL: the command line), `resolved_as` the uid of the
    corrected mutation that was accepted in its place (NULL: it was put aside).
    """

    __tablename__ = "rejected"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        sa.Index(None, "tenant_id", "received_at", "uid"),
        sa.Index(None, "tenant_id", "device_id", "received_at", "uid"),
    )
    tenant_id: str = uuid(key=True)
    uid: str = uuid(key=True)
    client_id: str = uuid()
    device_id: str = uuid()
    mutation_id: int = integer()
    code: str = text(64)
    message: str = text(500)
    body: str = Field(sa_type=sa.Text)
    correlation_id: str = text(64)
    received_at: str = instant()
    resolved_at: str | None = instant(nullable=True)
    resolved_by: str | None = uuid(nullable=True)
    resolved_as: str | None = uuid(nullable=True)


class SupersededRow(SQLModel, table=True):
    """A value that lost against a concurrent one; listed, and can be restored."""

    __tablename__ = "superseded"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        sa.Index("ix_superseded_record", "tenant_id", "collection", "record_id", "noted_at", "uid", "field"),
        sa.Index(None, "tenant_id", "noted_at", "uid", "field"),
    )
    tenant_id: str = uuid(key=True)
    uid: str = uuid(key=True)
    field: str = text(64, key=True)
    collection: str = text(64)
    record_id: str = uuid()
    value: str = json_text()
    stamp: str = instant()
    author: str = text(100)
    noted_at: str = instant()


class HeldIncrementRow(SQLModel, table=True):
    """Increments for a counter whose record is not here yet, in its smallest unit."""

    __tablename__ = "held_increments"
    tenant_id: str = uuid(key=True)
    collection: str = text(64, key=True)
    record_id: str = uuid(key=True)
    field: str = text(64, key=True)
    units: int = integer()


class DepartureRow(SQLModel, table=True):
    """A record left an audience: a tombstone for those who were in it."""

    __tablename__ = "departures"
    __table_args__: ClassVar[tuple[Any, ...]] = (sa.Index(None, "tenant_id", "collection", "audience", "seq"),)
    tenant_id: str = uuid(key=True)
    seq: int = integer(key=True)
    collection: str = text(64)
    record_id: str = uuid()
    version: int = counted()
    audience: str = text(80)


class DigestRow(SQLModel, table=True):
    """The sum of a bucket's hashes (`sync.digest`), kept by whoever writes a record of it."""

    __tablename__ = "digests"
    tenant_id: str = uuid(key=True)
    collection: str = text(64, key=True)
    audience: str = text(80, key=True)
    sum: int = integer()


class WaitingRow(SQLModel, table=True):
    """A mutation that waits for its record's creation, with the rights its sender had on arrival.

    `author_id` sent it first; `client_id` sent it last, a copy of the same local database perhaps, as `mutation_id` of
    its own. `verdict` and `resolved_seq` are set at its end; both are told until their cursor has passed that.
    """

    __tablename__ = "waiting"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        partial_index("ix_waiting_record", "tenant_id", "collection", "record_id", where="resolved_seq IS NULL"),
        partial_index("ix_waiting_told", "tenant_id", "client_id", "resolved_seq", where="resolved_seq IS NOT NULL"),
        partial_index("ix_waiting_author", "tenant_id", "author_id", "resolved_seq", where="resolved_seq IS NOT NULL"),
    )
    tenant_id: str = uuid(key=True)
    uid: str = uuid(key=True)
    author_id: str = uuid()
    client_id: str = uuid()
    device_id: str = uuid()
    mutation_id: int = integer()
    collection: str = text(64)
    record_id: str = uuid()
    role: str = text(32)
    audiences: str = json_text()
    body: str = json_text()
    correlation_id: str = text(64)
    place: int = integer()
    received_at: str = instant()
    resolved_seq: int | None = integer(nullable=True)
    verdict: str | None = json_text(nullable=True)


class HoleRow(SQLModel, table=True):
    """Mutations a client had no more of when the server, gone back in time, asked for them again."""

    __tablename__ = "holes"
    tenant_id: str = uuid(key=True)
    client_id: str = uuid(key=True)
    first_id: int = integer(key=True)
    last_id: int = integer()
    noted_at: str = instant()
