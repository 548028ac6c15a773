"""How far the numbers of issued invoices have come."""

from sqlmodel import SQLModel

from server.storage.tables.columns import integer, text, uuid


class IssuedNumberRow(SQLModel, table=True):
    """The last number of a series in a year; `counted` says what is numbered: an `invoice`, or a `file` (year 0)."""

    __tablename__ = "issued_numbers"
    tenant_id: str = uuid(key=True)
    counted: str = text(8, key=True)
    series: str = text(8, key=True)
    year: int = integer(key=True)
    last: int = integer()
