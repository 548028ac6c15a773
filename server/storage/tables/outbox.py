"""What goes out: deliveries and their attempts."""

from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.storage.tables.columns import FAILING, SETTLED, instant, integer, partial_index, text, uuid


class OutboxRow(SQLModel, table=True):
    """One delivery: what goes to an endpoint because of one accepted change.

    A lane is (endpoint, collection, record), ordered by `sequence`, the record's version; a row that `holds` keeps the
    later ones of its lane waiting. `next_attempt_at` is when a row is looked at next, a leased one too: at its lease's
    end. `fence` grows with every lease, and a settle must name it. `failures` and `failing_since` count from the last
    time a person sent it on its way; `ambiguous`: an attempt may have taken effect without our knowing. `origin_id` is
    the endpoint it was made for, where it goes through another: its key follows from that one.

    `doubted_from`: it may have been sent in a history that is lost here, as early as then. `not_after`: past it, it is
    not sent any more. `after`: lanes that must be settled first, up to a place in each, as JSON; `waits_for` names the
    one it was found waiting for.
    """

    __tablename__ = "outbox"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        partial_index("ix_outbox_due", "endpoint_id", "next_attempt_at", where="state IN ('pending', 'leased')"),
        partial_index(
            "ix_outbox_lane", "tenant_id", "endpoint_id", "collection", "record_id", "sequence", where="holds"
        ),
        partial_index("ix_outbox_passed", "tenant_id", "endpoint_id", "collection", "record_id", where="NOT holds"),
        partial_index("ix_outbox_waits_for", "tenant_id", "endpoint_id", "waits_for", where="waits_for IS NOT NULL"),
        partial_index("ix_outbox_failing", "endpoint_id", "failing_since", where=FAILING),
        partial_index("ix_outbox_stuck", "endpoint_id", "state", where="state IN ('dead', 'in_doubt')"),
        partial_index("ix_outbox_settled", "tenant_id", "settled_at", where=SETTLED),
        partial_index("ix_outbox_dead", "tenant_id", "delivery_id", where="state IN ('dead', 'in_doubt')"),
    )
    tenant_id: str = uuid(key=True)
    delivery_id: str = uuid(key=True)
    endpoint_id: str = uuid()
    route: str = text(64)
    operation: str = text(64)
    collection: str = text(64)
    record_id: str = uuid()
    sequence: int = integer()
    uid: str = uuid()
    payload: str = Field(sa_type=sa.Text)
    idempotency_key: str = text(80)
    correlation_id: str = text(64)
    state: str = text(16)
    holds: bool = Field(sa_type=sa.Boolean)
    attempts: int = Field(sa_type=sa.Integer)
    failures: int = Field(sa_type=sa.Integer)
    failing_since: str | None = instant(nullable=True)
    ambiguous: bool = Field(sa_type=sa.Boolean)
    next_attempt_at: str = instant()
    lease_owner: str | None = text(64, nullable=True)
    leased_until: str | None = instant(nullable=True)
    fence: int = integer()
    error_class: str | None = text(16, nullable=True)
    error: str | None = text(64, nullable=True)
    reference: str | None = text(200, nullable=True)
    doubted_from: str | None = instant(nullable=True)
    not_after: str | None = instant(nullable=True)
    after: str | None = Field(sa_type=sa.Text, nullable=True)
    waits_for: str | None = text(101, nullable=True)
    created_at: str = instant()
    settled_at: str | None = instant(nullable=True)
    origin_id: str | None = uuid(nullable=True)


class BackfillRow(SQLModel, table=True):
    """How far a new binding's deliveries of what was there before have come: up to `done_through`, by record id."""

    __tablename__ = "backfills"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        partial_index("ix_backfills_open", "begun_at", where="ended_at IS NULL"),
    )
    tenant_id: str = uuid(key=True)
    route: str = text(64, key=True)
    endpoint_id: str = uuid(key=True)
    begun_at: str = instant()
    done_through: str | None = uuid(nullable=True)
    made: int = integer()
    ended_at: str | None = instant(nullable=True)


class AttemptRow(SQLModel, table=True):
    """One attempt at a delivery; without an end where the relay died under it. `code` is a word, never a message."""

    __tablename__ = "attempts"
    tenant_id: str = uuid(key=True)
    delivery_id: str = uuid(key=True)
    attempt: int = Field(sa_type=sa.Integer, primary_key=True)
    started_at: str = instant()
    ended_at: str | None = instant(nullable=True)
    outcome: str | None = text(16, nullable=True)
    code: str | None = text(64, nullable=True)
    status: int | None = Field(sa_type=sa.Integer, nullable=True)
    request_id: str | None = text(200, nullable=True)
