"""What was erased for good, by its bare id: nothing of a person is in it."""

from typing import Any, ClassVar

from sqlmodel import SQLModel

from server.storage.tables.columns import instant, partial_index, text, uuid


class ErasureRow(SQLModel, table=True):
    """A record that was erased; kept for ever, so that nothing brings it back.

    `reason` is a stable word. `done_at` is when no copy was left either; until then somebody looks again.
    """

    __tablename__ = "erasures"
    __table_args__: ClassVar[Any] = (
        partial_index("ix_erasures_open", "tenant_id", "erased_at", where="done_at IS NULL"),
    )
    tenant_id: str = uuid(key=True)
    collection: str = text(64, key=True)
    record_id: str = uuid(key=True)
    reason: str = text(64)
    erased_at: str = instant()
    done_at: str | None = instant(nullable=True)
