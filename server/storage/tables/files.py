"""Files kept whole, by the hash of their content: invoices as they came, and what was attached to them."""

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.storage.tables.columns import instant, integer, text, uuid


class FileRow(SQLModel, table=True):
    """One content, once for each tenant, however many records name it."""

    __tablename__ = "files"
    tenant_id: str = uuid(key=True)
    sha256: str = text(64, key=True)
    size: int = integer()
    content: bytes = Field(sa_type=sa.LargeBinary)
    stored_at: str = instant()
