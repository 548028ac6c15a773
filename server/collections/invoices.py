"""Invoices received from suppliers through SDI. The server writes them; people only mark them read."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from server.collections.roles import READ_MARK
from server.storage.synced import Synced
from server.storage.types import column
from sync.collection import SyncOptions
from sync.policy import LAST_WRITER, SERVER_OWNED
from sync.wire import CODE, DAY, FLAG, INSTANT, INTEGER, MONEY, item, json_of, text

EXACT = text(40)
"""A decimal as the file writes it: 2 to 8 places are allowed on lines."""

INVOICE_LINE = item(
    "InvoiceLine",
    number=INTEGER,
    description=text(1000),
    unit_price=EXACT,
    total=EXACT,
    vat_rate=EXACT,
    optional={"quantity": EXACT, "nature": EXACT},
)
SUMMARY = item("InvoiceSummary", rate=EXACT, taxable=MONEY, tax=MONEY, optional={"nature": EXACT})

LINES = json_of(INVOICE_LINE, most=10_000)
SUMMARIES = json_of(SUMMARY, most=1_000)


class Invoice(Synced, table=True):
    """One invoice body; a file with several bodies is several invoices. Totals carry the document's sign."""

    __tablename__ = "invoices"
    sync: ClassVar[SyncOptions] = SyncOptions(
        "invoices", may=READ_MARK, kept=("supplier_name", "supplier_vat", "lines")
    )

    sdi_id: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    position: Annotated[int, INTEGER, SERVER_OWNED] = column(INTEGER)
    document_type: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    number: Annotated[str, text(40), SERVER_OWNED] = column(text(40))
    issued_on: Annotated[date, DAY, SERVER_OWNED] = column(DAY)
    received_at: Annotated[datetime, INSTANT, SERVER_OWNED] = column(INSTANT)
    supplier_name: Annotated[str, text(200), SERVER_OWNED] = column(text(200))
    supplier_vat: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    currency: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    total: Annotated[Decimal, MONEY, SERVER_OWNED] = column(MONEY)
    total_derived: Annotated[bool, FLAG, SERVER_OWNED] = column(FLAG, default=False)
    payable: Annotated[Decimal, MONEY, SERVER_OWNED] = column(MONEY)
    lines: Annotated[list[dict[str, Any]], LINES, SERVER_OWNED] = column(LINES)
    summaries: Annotated[list[dict[str, Any]], SUMMARIES, SERVER_OWNED] = column(SUMMARIES)
    file_sha256: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    read: Annotated[bool, FLAG, LAST_WRITER] = column(FLAG, default=False)
