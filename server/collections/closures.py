"""Closings of a till's day (*chiusura*, Z): facts that a terminal states, to be compared with the sales that arrived.

A till with a series says which numbers its day had (`first_receipt`, `last_receipt`); one without says neither. `count`
counts receipts, voided ones too; sums are those of receipts that were not voided, and `voided` names those that were.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from server.collections.roles import STAFF
from server.collections.sales import STATUS, VAT
from server.storage.synced import Synced, search_index
from server.storage.types import column
from sync.collection import FOR_SHOP, Fields, SyncOptions
from sync.policy import IMMUTABLE, LAST_WRITER
from sync.wire import CODE, DAY, INSTANT, INTEGER, MONEY, item, json_of, units_of

PAYMENTS = json_of(item("PaymentSum", method=CODE, total=MONEY), most=50)
NUMBERS = json_of(INTEGER.check, most=1000)

MOST_RECEIPTS = 20_000
"""A day has no more: what is compared in one go is bounded by it."""


def check_closure(before: Fields | None, after: Fields) -> str | None:
    """What a closing says must agree with itself; whether it agrees with the sales is for the reconciliation."""
    if before is not None:
        reopened = before["status"] == "voided" and after["status"] != "voided"
        return "a voided closing stays voided: send it anew" if reopened else None
    first, last = after["first_receipt"], after["last_receipt"]
    if (first is None) != (last is None):
        return "a closing names its first and last receipt, or neither"
    if after["count"] < 0 or (first is not None and not 0 < first <= last < first + MOST_RECEIPTS):
        return f"a closing counts at most {MOST_RECEIPTS} receipts, in order and from 1"
    total = units_of(after["total"], 2)
    if sum(units_of(one["gross"], 2) for one in after["vat"]) != total:
        return "the sums by VAT rate do not make the total"
    if sum(units_of(one["total"], 2) for one in after["payments"]) != total:
        return "the sums by payment method do not make the total"
    return None


class Closure(Synced, table=True):
    """One day's closing of a terminal. `number` is the terminal's own (the Z number), where it has one."""

    __tablename__ = "closures"
    sync: ClassVar[SyncOptions] = SyncOptions(
        "closures", may=STAFF, audience=FOR_SHOP, fact=True, rule=check_closure, schema=6
    )
    indexes = (search_index("ix_closures_series", "terminal_id", "first_receipt", "business_day"),)

    shop: Annotated[str, CODE, IMMUTABLE] = column(CODE)
    terminal_id: Annotated[str, CODE, IMMUTABLE] = column(CODE)
    business_day: Annotated[date, DAY, IMMUTABLE] = column(DAY)
    closed_at: Annotated[datetime, INSTANT, IMMUTABLE] = column(INSTANT)
    number: Annotated[int | None, INTEGER, IMMUTABLE] = column(INTEGER, default=None, nullable=True)
    count: Annotated[int, INTEGER, IMMUTABLE] = column(INTEGER)
    first_receipt: Annotated[int | None, INTEGER, IMMUTABLE] = column(INTEGER, default=None, nullable=True)
    last_receipt: Annotated[int | None, INTEGER, IMMUTABLE] = column(INTEGER, default=None, nullable=True)
    voided: Annotated[list[int], NUMBERS, IMMUTABLE] = column(NUMBERS, default_factory=list)
    total: Annotated[Decimal, MONEY, IMMUTABLE] = column(MONEY)
    vat: Annotated[list[dict[str, Any]], VAT, IMMUTABLE] = column(VAT)
    payments: Annotated[list[dict[str, Any]], PAYMENTS, IMMUTABLE] = column(PAYMENTS)
    status: Annotated[str, STATUS, LAST_WRITER] = column(STATUS, default="completed")
