"""How far the reconciler has read a tenant's sales and closings."""

from sqlmodel import SQLModel

from server.storage.tables.columns import instant, integer, uuid


class ReconciledRow(SQLModel, table=True):
    """`seq` is the place in the tenant's sequence up to which all was compared."""

    __tablename__ = "reconciled"
    tenant_id: str = uuid(key=True)
    seq: int = integer()
    at: str = instant()
