"""Reconciliations: what the server found when it compared a closing with its sales, or a number used twice.

One record for each closing, under an id made of the closing's, and one for each receipt number that a till gave twice.
The server opens it, says what does not agree, and closes it when that is over; people may put one aside (`accepted`).
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from server.collections.closures import NUMBERS, PAYMENTS
from server.collections.roles import READ_MARK
from server.collections.sales import VAT
from server.storage.synced import Synced, search_index
from server.storage.types import column
from sync.collection import FOR_SHOP, SyncOptions
from sync.policy import LAST_WRITER, SERVER_OWNED
from sync.wire import CODE, DAY, FLAG, INSTANT, INTEGER, MONEY, UUID, choice, item, json_of

KIND = choice("closing", "receipt")
STATUS = choice("open", "closed")
RANGES = json_of(item("Range", first=INTEGER, last=INTEGER), most=1000)
DIFFERENCES = json_of(
    item("Difference", what=choice("total", "rate", "method"), expected=MONEY, arrived=MONEY, optional={"key": CODE}),
    most=200,
)


class Reconciliation(Synced, table=True):
    """A closing compared with its sales, or a receipt number that was used twice.

    `missing` are receipt numbers of the day that did not arrive; `unclosed` those between this closing and the one
    before, in neither; `doubles` came more than once; `elsewhere` say another business day; `unvoided` are voided by
    the closing and not here. `vat` and `payments` are what arrived, VAT worked out by rate from the gross sums.
    """

    __tablename__ = "reconciliations"
    sync: ClassVar[SyncOptions] = SyncOptions("reconciliations", may=READ_MARK, audience=FOR_SHOP, schema=6)
    indexes = (search_index("ix_reconciliations_open", "opened_at", "id", where="status = 'open' AND NOT accepted"),)

    shop: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    kind: Annotated[str, KIND, SERVER_OWNED] = column(KIND)
    terminal_id: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    business_day: Annotated[date, DAY, SERVER_OWNED] = column(DAY)
    closure_id: Annotated[str | None, UUID, SERVER_OWNED] = column(UUID, default=None, nullable=True)
    receipt_no: Annotated[int | None, INTEGER, SERVER_OWNED] = column(INTEGER, default=None, nullable=True)
    status: Annotated[str, STATUS, SERVER_OWNED] = column(STATUS)
    opened_at: Annotated[datetime, INSTANT, SERVER_OWNED] = column(INSTANT)
    closed_at: Annotated[datetime | None, INSTANT, SERVER_OWNED] = column(INSTANT, default=None, nullable=True)
    expected_count: Annotated[int, INTEGER, SERVER_OWNED] = column(INTEGER, default=0)
    arrived_count: Annotated[int, INTEGER, SERVER_OWNED] = column(INTEGER, default=0)
    arrived_total: Annotated[Decimal, MONEY, SERVER_OWNED] = column(MONEY, default=Decimal(0))
    missing: Annotated[list[dict[str, int]], RANGES, SERVER_OWNED] = column(RANGES, default_factory=list)
    unclosed: Annotated[list[dict[str, int]], RANGES, SERVER_OWNED] = column(RANGES, default_factory=list)
    doubles: Annotated[list[int], NUMBERS, SERVER_OWNED] = column(NUMBERS, default_factory=list)
    elsewhere: Annotated[list[int], NUMBERS, SERVER_OWNED] = column(NUMBERS, default_factory=list)
    unvoided: Annotated[list[int], NUMBERS, SERVER_OWNED] = column(NUMBERS, default_factory=list)
    differences: Annotated[list[dict[str, Any]], DIFFERENCES, SERVER_OWNED] = column(DIFFERENCES, default_factory=list)
    vat: Annotated[list[dict[str, Any]], VAT, SERVER_OWNED] = column(VAT, default_factory=list)
    payments: Annotated[list[dict[str, Any]], PAYMENTS, SERVER_OWNED] = column(PAYMENTS, default_factory=list)
    accepted: Annotated[bool, FLAG, LAST_WRITER] = column(FLAG, default=False)
