"""What comes in: events, whose records they are of, what was refused, how far was polled."""

from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.storage.tables.columns import FAILING, instant, integer, json_text, partial_index, text, uuid

OBJECT_OPEN = "state IN ('pending', 'leased') AND object_id IS NOT NULL"
"""What is told of an object and not finished: a claim looks here for what else is told of it."""


class InboxRow(SQLModel, table=True):
    """One event somebody told us, raw, and what became of it: the row is the queue.

    `contradicts`: another body came before under the same event id. `attempts` counts deliveries to a processor,
    `unended` those among the last in a row that left no trace of their end, `failures` those that failed in a row.
    `next_attempt_at` is when a row is looked at next, a leased one at its lease's end; `fence` grows with every lease,
    and an end must name it. `fetched` and `facts` are what the event pointed at; `records` what came of it.
    """

    __tablename__ = "inbox"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        sa.Index("uq_inbox_body", "tenant_id", "endpoint_id", "event_id", "body_sha256", unique=True),
        sa.Index(
            "uq_inbox_event",
            *("tenant_id", "endpoint_id", "event_id"),
            unique=True,
            sqlite_where=sa.text("NOT contradicts"),
            postgresql_where=sa.text("NOT contradicts"),
        ),
        partial_index("ix_inbox_due", "endpoint_id", "next_attempt_at", where="state IN ('pending', 'leased')"),
        partial_index("ix_inbox_failing", "endpoint_id", "failing_since", where=FAILING),
        partial_index("ix_inbox_leased", "next_attempt_at", where="state = 'leased'"),
        partial_index("ix_inbox_object", "tenant_id", "endpoint_id", "object_id", where="object_id IS NOT NULL"),
        partial_index(
            "ix_inbox_object_open", *("tenant_id", "endpoint_id", "object_id", "next_attempt_at"), where=OBJECT_OPEN
        ),
        partial_index("ix_inbox_person", "endpoint_id", "state", where="state IN ('dead', 'quarantined')"),
        partial_index("ix_inbox_stuck", "tenant_id", "receipt_id", where="state IN ('dead', 'quarantined')"),
    )
    tenant_id: str = uuid(key=True)
    receipt_id: str = uuid(key=True)
    endpoint_id: str = uuid()
    provider: str = text(32)
    source: str = text(16)
    event_id: str = text(200)
    event_type: str = text(64)
    object_id: str | None = text(200, nullable=True)
    contradicts: bool = Field(sa_type=sa.Boolean)
    body: bytes = Field(sa_type=sa.LargeBinary)
    body_sha256: str = text(64)
    headers: str = json_text()
    verified_by: str = text(32)
    correlation_id: str = text(64)
    received_at: str = instant()
    state: str = text(16)
    attempts: int = Field(sa_type=sa.Integer)
    unended: int = Field(sa_type=sa.Integer)
    failures: int = Field(sa_type=sa.Integer)
    failing_since: str | None = instant(nullable=True)
    next_attempt_at: str = instant()
    lease_owner: str | None = text(64, nullable=True)
    leased_until: str | None = instant(nullable=True)
    fence: int = integer()
    error_class: str | None = text(16, nullable=True)
    error: str | None = text(64, nullable=True)
    reason: str | None = text(500, nullable=True)
    fetched: bytes | None = Field(sa_type=sa.LargeBinary, nullable=True)
    facts: str | None = json_text(nullable=True)
    records: str | None = json_text(nullable=True)
    ended_at: str | None = instant(nullable=True)


class IdentityRow(SQLModel, table=True):
    """Under which record of ours a thing of a provider's is known.

    `strong` is set on a weak key: the key that names the record for certain, so that another one does not share it.
    """

    __tablename__ = "identities"
    __table_args__ = (sa.Index("ix_identities_record", "tenant_id", "collection", "record_id"),)
    tenant_id: str = uuid(key=True)
    collection: str = text(64, key=True)
    key: str = text(200, key=True)
    record_id: str = uuid()
    strong: str | None = text(200, nullable=True)
    watermark: int | None = integer(nullable=True)
    final: bool = Field(sa_type=sa.Boolean, sa_column_kwargs={"server_default": sa.false()})


class RefusalRow(SQLModel, table=True):
    """How many webhooks an endpoint refused on a day, and why; nothing of what they said is kept."""

    __tablename__ = "refusals"
    tenant_id: str = uuid(key=True)
    endpoint_id: str = uuid(key=True)
    day: str = text(10, key=True)
    reason: str = text(32, key=True)
    times: int = integer()
    first_at: str = instant()
    last_at: str = instant()


class PollRow(SQLModel, table=True):
    """How far an endpoint was polled, and when it is polled next; `fence` as for deliveries.

    `epoch` is the tenant's when a turn was last taken: the cursor goes back where it is another one. `finished_at` is
    when a turn last came to its end in that epoch.
    """

    __tablename__ = "polls"
    tenant_id: str = uuid(key=True)
    endpoint_id: str = uuid(key=True)
    cursor: str | None = Field(sa_type=sa.Text, nullable=True)
    next_poll_at: str = instant()
    leased_until: str | None = instant(nullable=True)
    fence: int = integer()
    failures: int = Field(sa_type=sa.Integer)
    error: str | None = text(64, nullable=True)
    finished_at: str | None = instant(nullable=True)
    epoch: str | None = text(36, nullable=True)
