"""Sales: facts. They are voided, never deleted, and never refused for what other records say."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from server.collections.roles import STAFF
from server.ports import DeliveryState, Route
from server.storage.synced import Synced, search_index
from server.storage.types import column
from sync.collection import FOR_SHOP, Fields, Increment, SyncOptions
from sync.policy import IMMUTABLE, LAST_WRITER, SERVER_OWNED
from sync.wire import CODE, DAY, INSTANT, INTEGER, MONEY, QUANTITY, RATE, UUID, choice, item, json_of, text, units_of

STATUS = choice("completed", "voided")
NATURE = choice("N[1-7](?:[.][0-9])?")

SALE_LINE = item(
    "SaleLine",
    description=text(200),
    quantity=QUANTITY,
    unit_price=MONEY,
    total=MONEY,
    vat_rate=RATE,
    optional={"product_id": UUID},
)
"""One line of the receipt, gross prices; `product_id` moves that product's stock."""

VAT_LINE = item("VatLine", rate=RATE, gross=MONEY, net=MONEY, vat=MONEY, optional={"nature": NATURE})
"""The sale's sums by VAT rate: gross = net + vat; `nature` says why a rate is zero."""

LINES = json_of(SALE_LINE, most=500)
VAT = json_of(VAT_LINE, most=20)
FLAGS = json_of(CODE.check, most=20)


def stock_effects(sale: Fields) -> Iterable[Increment]:
    """What a sale takes from stock; a voided one takes nothing, so voiding gives it back."""
    if sale["status"] == "voided":
        return
    for line in sale["lines"]:
        product_id = line.get("product_id")
        if product_id is not None:
            yield Increment("products", product_id, "stock", -units_of(line["quantity"], QUANTITY.places))


def check_sale(before: Fields | None, after: Fields) -> str | None:
    """A void is final, and the sums by rate make the total."""
    if before is not None:
        voided = before["status"] == "voided" and after["status"] != "voided"
        return "a voided sale stays voided: ring it up again" if voided else None
    vat, total = after["vat"], after["total"]
    if len(vat) == 1 and vat[0]["gross"] == total:  # the usual receipt; equal amounts are equal text
        return None
    if sum(units_of(line["gross"], 2) for line in vat) != units_of(total, 2):
        return "the sums by VAT rate do not make the total"
    return None


class Sale(Synced, table=True):
    """A receipt, with the number of its till's own series; the server never renumbers.

    `receipt_no` is 0 where there is no series, as with vendors that number nothing: such sales belong to their day.
    """

    __tablename__ = "sales"
    sync: ClassVar[SyncOptions] = SyncOptions(
        "sales",
        may=STAFF,
        audience=FOR_SHOP,
        fact=True,
        effects=stock_effects,
        references={"customer_id": "customers"},
        rule=check_sale,
        personal=("note",),
        kept=("customer_id", "lines"),
    )
    indexes = (search_index("ix_sales_receipt", "terminal_id", "receipt_no", "business_day"),)

    shop: Annotated[str, CODE, IMMUTABLE] = column(CODE)
    terminal_id: Annotated[str, CODE, IMMUTABLE] = column(CODE)
    receipt_no: Annotated[int, INTEGER, IMMUTABLE] = column(INTEGER)
    business_day: Annotated[date, DAY, IMMUTABLE] = column(DAY)
    sold_at: Annotated[datetime, INSTANT, IMMUTABLE] = column(INSTANT)
    lines: Annotated[list[dict[str, Any]], LINES, IMMUTABLE] = column(LINES)
    vat: Annotated[list[dict[str, Any]], VAT, IMMUTABLE] = column(VAT)
    total: Annotated[Decimal, MONEY, IMMUTABLE] = column(MONEY)
    payment_method: Annotated[str, CODE, IMMUTABLE] = column(CODE)
    customer_id: Annotated[str | None, UUID, LAST_WRITER] = column(UUID, default=None, nullable=True)
    status: Annotated[str, STATUS, LAST_WRITER] = column(STATUS, default="completed")
    note: Annotated[str | None, text(500), LAST_WRITER] = column(text(500), default=None, nullable=True)
    flags: Annotated[list[str], FLAGS, SERVER_OWNED] = column(FLAGS, default_factory=list)
    forward_status: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    forward_reference: Annotated[str | None, text(200), SERVER_OWNED] = column(text(200), default=None, nullable=True)


def rung_up_or_voided(before: Fields | None, after: Fields) -> bool:
    """What the outside must know of a sale: that it happened, and that it no longer counts."""
    return before is None or (after["status"] == "voided" and before["status"] != "voided")


def created_or_voided(before: Fields | None, _after: Fields) -> str:
    """The event's name."""
    return "created" if before is None else "voided"


def forwarded(state: DeliveryState, reference: str | None) -> Fields:
    """What a sale is told of its delivery."""
    told = {"forward_status": state}
    return told if reference is None else {**told, "forward_reference": reference}


BY_STRIPE = ("stored_card", "link")
"""Payment methods that Stripe is to collect; a card at the counter is the terminal's business."""

CHARGED_WITHIN_S = 3 * 86_400
"""Nobody is charged for a sale that came home later than this."""


def collected_by_stripe(before: Fields | None, after: Fields) -> bool:
    """A new sale that is to be paid through Stripe."""
    return before is None and after["payment_method"] in BY_STRIPE and units_of(after["total"], MONEY.places) > 0


def given_back_by_stripe(before: Fields | None, after: Fields) -> bool:
    """A void of one that was to be."""
    voided = before is not None and before["status"] != "voided" and after["status"] == "voided"
    return voided and collected_by_stripe(None, after)


def its_customer(sale: Fields) -> Sequence[tuple[str, str]]:
    """Who pays."""
    customer_id = sale.get("customer_id")
    return () if customer_id is None else (("customers", customer_id),)


ROUTES = (
    Route(
        "sales.forward",
        collection="sales",
        provider="http",
        operation="post",
        when=rung_up_or_voided,
        event=created_or_voided,
        write_back=forwarded,
        on_dead="skip",  # a void carries the whole sale: holding it back would leave a wrong sale standing outside
        may_fall_back=True,  # it tells of a sale and moves no money, and each delivery carries the whole sale
    ),
    Route(
        "sales.stripe",
        collection="sales",
        provider="stripe",
        operation="charge",
        when=collected_by_stripe,
        event=created_or_voided,
        write_back=forwarded,
        after=its_customer,
        not_after_s=CHARGED_WITHIN_S,
        cancels=given_back_by_stripe,
        compensation="take_back",
        money=True,
        names=True,
    ),
)
