"""Invoices received from suppliers through SDI. The server writes them; people only mark them read.

Amounts that decide (total, payable, sums by rate) are money and carry the document's sign; what is only shown keeps the
file's own digits. `attachments` and the file itself are fetched on demand by their hashes.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from server.collections.roles import READ_MARK
from server.storage.synced import Synced
from server.storage.types import column
from sync.collection import SyncOptions
from sync.policy import LAST_WRITER, SERVER_OWNED
from sync.wire import CODE, DAY, FLAG, INSTANT, INTEGER, MONEY, choice, item, json_of, text

EXACT = text(40)
"""A decimal as the file writes it: 2 to 8 places are allowed on lines."""
SHORT, NAME = text(60), text(200)

INVOICE_LINE = item(
    "InvoiceLine",
    number=INTEGER,
    description=text(1000),
    unit_price=EXACT,
    total=EXACT,
    vat_rate=EXACT,
    optional={"quantity": EXACT, "nature": EXACT, "unit": SHORT},
)
SUMMARY = item(
    "InvoiceSummary", rate=EXACT, taxable=MONEY, tax=MONEY, optional={"nature": EXACT, "due": choice("I", "D", "S")}
)
PAYMENT = item(
    "InvoicePayment", optional={"conditions": SHORT, "method": SHORT, "due_on": DAY, "amount": EXACT, "iban": SHORT}
)
WITHHOLDING = item("InvoiceWithholding", optional={"kind": SHORT, "amount": EXACT, "rate": EXACT, "reason": SHORT})
FUND = item(
    "InvoiceFund",
    optional={
        "kind": SHORT,
        "rate": EXACT,
        "amount": EXACT,
        "taxable": EXACT,
        "vat_rate": EXACT,
        "nature": SHORT,
        "withheld": FLAG,
    },
)
DISCOUNT = item("InvoiceDiscount", optional={"kind": SHORT, "percent": EXACT, "amount": EXACT})
RELATED = item("InvoiceRelated", kind=CODE, optional={"number": NAME, "day": DAY})
ATTACHMENT = item("InvoiceAttachment", name=NAME, optional={"format": SHORT, "sha256": CODE, "size": INTEGER})
"""One without a hash is damaged in the file itself: there is nothing to fetch."""

LINES = json_of(INVOICE_LINE, most=10_000)
SUMMARIES = json_of(SUMMARY, most=1_000)
PAYMENTS, WITHHOLDINGS, FUNDS, DISCOUNTS, MANY_RELATED, ATTACHMENTS = (
    json_of(one) for one in (PAYMENT, WITHHOLDING, FUND, DISCOUNT, RELATED, ATTACHMENT)
)
CAUSES = json_of(text(200).check)
SIGNATURE = choice("absent", "intact", "broken", "unverified")
Items = list[dict[str, Any]]


class Invoice(Synced, table=True):
    """One invoice body; a file with several bodies is several invoices. Totals carry the document's sign.

    `withheld` is what the customer keeps back for the tax office, `signature` whether the file's seals hold: a flag.
    `file_sha256` is the invoice's XML, `source_sha256` the file as it came, where that is another (signed, wrapped).
    """

    __tablename__ = "invoices"
    sync: ClassVar[SyncOptions] = SyncOptions(
        "invoices",
        may=READ_MARK,
        schema=6,
        kept=(
            *("supplier_name", "supplier_vat", "supplier_tax_code", "supplier_address"),
            *("customer_name", "customer_vat", "lines", "causes", "payments", "attachments"),
        ),
    )

    sdi_id: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    position: Annotated[int, INTEGER, SERVER_OWNED] = column(INTEGER)
    document_type: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    number: Annotated[str, text(40), SERVER_OWNED] = column(text(40))
    issued_on: Annotated[date, DAY, SERVER_OWNED] = column(DAY)
    received_at: Annotated[datetime, INSTANT, SERVER_OWNED] = column(INSTANT)
    supplier_name: Annotated[str, NAME, SERVER_OWNED] = column(NAME)
    supplier_vat: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    currency: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    total: Annotated[Decimal, MONEY, SERVER_OWNED] = column(MONEY)
    total_derived: Annotated[bool, FLAG, SERVER_OWNED] = column(FLAG, default=False)
    payable: Annotated[Decimal, MONEY, SERVER_OWNED] = column(MONEY)
    lines: Annotated[Items, LINES, SERVER_OWNED] = column(LINES)
    summaries: Annotated[Items, SUMMARIES, SERVER_OWNED] = column(SUMMARIES)
    file_sha256: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    read: Annotated[bool, FLAG, LAST_WRITER] = column(FLAG, default=False)
    source_sha256: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    signature: Annotated[str | None, SIGNATURE, SERVER_OWNED] = column(SIGNATURE, default=None, nullable=True)
    supplier_tax_code: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    supplier_address: Annotated[str | None, text(300), SERVER_OWNED] = column(text(300), default=None, nullable=True)
    customer_name: Annotated[str | None, NAME, SERVER_OWNED] = column(NAME, default=None, nullable=True)
    customer_vat: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    rounding: Annotated[str | None, EXACT, SERVER_OWNED] = column(EXACT, default=None, nullable=True)
    stamp_duty: Annotated[str | None, EXACT, SERVER_OWNED] = column(EXACT, default=None, nullable=True)
    withheld: Annotated[Decimal | None, MONEY, SERVER_OWNED] = column(MONEY, default=None, nullable=True)
    causes: Annotated[list[str] | None, CAUSES, SERVER_OWNED] = column(CAUSES, default=None, nullable=True)
    withholdings: Annotated[Items | None, WITHHOLDINGS, SERVER_OWNED] = column(
        WITHHOLDINGS, default=None, nullable=True
    )
    funds: Annotated[Items | None, FUNDS, SERVER_OWNED] = column(FUNDS, default=None, nullable=True)
    discounts: Annotated[Items | None, DISCOUNTS, SERVER_OWNED] = column(DISCOUNTS, default=None, nullable=True)
    related: Annotated[Items | None, MANY_RELATED, SERVER_OWNED] = column(MANY_RELATED, default=None, nullable=True)
    payments: Annotated[Items | None, PAYMENTS, SERVER_OWNED] = column(PAYMENTS, default=None, nullable=True)
    attachments: Annotated[Items | None, ATTACHMENTS, SERVER_OWNED] = column(ATTACHMENTS, default=None, nullable=True)
