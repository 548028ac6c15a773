"""Invoices the tenant issues: asked for by a client from a sale, written and numbered by the server.

A client says which sale, which customer and which day. Everything else is the server's: it composes the document from
the sale and the customer as they stand, gives it the next number of its series (`server.engine.issuing`), and tells of
every step. What cannot be issued yet is `incomplete`, says why in `problems`, and has used no number. Asking again is
raising `submission`: that composes an incomplete one anew, and one that the SDI discarded, under the number and date it
has. A collection of its own: who may write, what is kept by law and which way it travels is another matter than for
invoices received.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from server.collections.roles import ISSUING
from server.collections.sales import VAT_LINE
from server.ports import DeliveryState, Predicate, Route
from server.storage.synced import Synced
from server.storage.types import column
from sync.collection import FOR_SHOP, Fields, SyncOptions
from sync.policy import IMMUTABLE, LAST_WRITER, SERVER_OWNED
from sync.wire import CODE, DAY, INSTANT, INTEGER, MONEY, UUID, WireType, choice, item, json_of, text

STATUS = choice("requested", "incomplete", "issued", "cancelled")
DOCUMENT_TYPE = choice("TD01", "TD04")
SDI_STATUS = choice(
    "delivered",  # RC
    "undelivered",  # MC: it waits for the customer at the tax agency, and is issued
    "discarded",  # NS: it is not issued; corrected, it is sent again
    "attested",  # AT: the public body could not be reached, and this proves that it was sent
    "accepted",  # NE, EC01
    "refused",  # NE, EC02
    "expired",  # DT: the public body said nothing in time
)
EXACT = text(40)
"""A decimal as the document writes it, up to 8 places."""

ISSUED_LINE = item(
    "IssuedLine",
    description=text(1000),
    unit_price=EXACT,
    total=EXACT,
    vat_rate=EXACT,
    optional={"quantity": EXACT, "nature": CODE},
)
PARTY = item(
    "InvoiceParty",
    name=text(80),
    address=text(60),
    postcode=text(16),
    city=text(60),
    country=CODE,
    optional={
        "vat_number": CODE,
        "tax_code": CODE,
        "province": CODE,
        "sdi_code": CODE,
        "pec": text(254),
        "regime": CODE,
    },
)
"""Seller or buyer as the document names them; `vat_number` with its country."""

SDI_ERROR = item("SdiError", code=CODE, description=text(500))

LINES = json_of(ISSUED_LINE, most=500)
VAT = json_of(VAT_LINE, most=20)
WHO = WireType("json", PARTY)
CODES = json_of(CODE.check, most=20)
ERRORS = json_of(SDI_ERROR, most=50)


def check_issued(before: Fields | None, after: Fields) -> str | None:
    """Asking again counts upwards."""
    if after["submission"] < (1 if before is None else before["submission"]):
        return "submission is 1 at first, and grows"
    return None


class IssuedInvoice(Synced, table=True):
    """An invoice or a credit note of the tenant.

    `year`, `series` and `sequence` make the `number`. `submitted` is the `submission` it was composed for last, and
    `file_name` the file's name then, `via` the kind of provider it goes by; `delivery` is what became of handing it
    over, and `reference` its name at the intermediary. `sdi_status`, `sdi_errors` and `sdi_at` are what the SDI's
    newest receipt says. `credits` names the invoice that a credit note takes back.
    """

    __tablename__ = "issued_invoices"
    sync: ClassVar[SyncOptions] = SyncOptions(
        "issued_invoices",
        may=ISSUING,
        audience=FOR_SHOP,
        fact=True,
        references={"customer_id": "customers", "sale_id": "sales"},
        rule=check_issued,
        schema=6,
        kept=("customer_id", "buyer", "lines"),
    )

    shop: Annotated[str, CODE, IMMUTABLE] = column(CODE)
    sale_id: Annotated[str, UUID, IMMUTABLE] = column(UUID)
    issued_on: Annotated[date, DAY, IMMUTABLE] = column(DAY)
    customer_id: Annotated[str, UUID, LAST_WRITER] = column(UUID)
    submission: Annotated[int, INTEGER, LAST_WRITER] = column(INTEGER, default=1)
    document_type: Annotated[str, DOCUMENT_TYPE, SERVER_OWNED] = column(DOCUMENT_TYPE, default="TD01")
    credits: Annotated[str | None, UUID, SERVER_OWNED] = column(UUID, default=None, nullable=True)
    status: Annotated[str, STATUS, SERVER_OWNED] = column(STATUS, default="requested")
    problems: Annotated[list[str], CODES, SERVER_OWNED] = column(CODES, default_factory=list)
    flags: Annotated[list[str], CODES, SERVER_OWNED] = column(CODES, default_factory=list)
    submitted: Annotated[int, INTEGER, SERVER_OWNED] = column(INTEGER, default=0)
    series: Annotated[str | None, text(8), SERVER_OWNED] = column(text(8), default=None, nullable=True)
    year: Annotated[int | None, INTEGER, SERVER_OWNED] = column(INTEGER, default=None, nullable=True)
    sequence: Annotated[int | None, INTEGER, SERVER_OWNED] = column(INTEGER, default=None, nullable=True)
    number: Annotated[str | None, text(20), SERVER_OWNED] = column(text(20), default=None, nullable=True)
    file_name: Annotated[str | None, text(50), SERVER_OWNED] = column(text(50), default=None, nullable=True)
    via: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    seller: Annotated[dict[str, Any] | None, WHO, SERVER_OWNED] = column(WHO, default=None, nullable=True)
    buyer: Annotated[dict[str, Any] | None, WHO, SERVER_OWNED] = column(WHO, default=None, nullable=True)
    lines: Annotated[list[dict[str, Any]], LINES, SERVER_OWNED] = column(LINES, default_factory=list)
    vat: Annotated[list[dict[str, Any]], VAT, SERVER_OWNED] = column(VAT, default_factory=list)
    total: Annotated[Decimal | None, MONEY, SERVER_OWNED] = column(MONEY, default=None, nullable=True)
    stamp_duty: Annotated[Decimal | None, MONEY, SERVER_OWNED] = column(MONEY, default=None, nullable=True)
    payment_method: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    credits_number: Annotated[str | None, text(20), SERVER_OWNED] = column(text(20), default=None, nullable=True)
    credits_issued_on: Annotated[date | None, DAY, SERVER_OWNED] = column(DAY, default=None, nullable=True)
    delivery: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    reference: Annotated[str | None, text(200), SERVER_OWNED] = column(text(200), default=None, nullable=True)
    sdi_id: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    sdi_status: Annotated[str | None, SDI_STATUS, SERVER_OWNED] = column(SDI_STATUS, default=None, nullable=True)
    sdi_errors: Annotated[list[dict[str, Any]], ERRORS, SERVER_OWNED] = column(ERRORS, default_factory=list)
    sdi_at: Annotated[datetime | None, INSTANT, SERVER_OWNED] = column(INSTANT, default=None, nullable=True)


def is_new_file(via: str) -> Predicate:
    """A file to hand over that way: an invoice just issued, or one that was corrected under its number."""

    def is_so(before: Fields | None, after: Fields) -> bool:
        old = None if before is None else before["file_name"]
        return bool(after["via"] == via and after["status"] == "issued" and after["file_name"] not in {None, old})

    return is_so


def issued(_before: Fields | None, _after: Fields) -> str:
    """The event's name."""
    return "issued"


def after_what_it_credits(fields: Fields) -> Sequence[tuple[str, str]]:
    """A credit note goes out after its invoice."""
    return () if fields["credits"] is None else (("issued_invoices", fields["credits"]),)


def handed_over(state: DeliveryState, reference: str | None) -> Fields:
    """What an invoice is told of its delivery to an intermediary."""
    told = {"delivery": state}
    return told if reference is None else {**told, "reference": reference}


def handed_to_sdi(state: DeliveryState, reference: str | None) -> Fields:
    """The same where the SDI itself took it: its name for the file is the IdentificativoSdI."""
    told = handed_over(state, reference)
    return told if reference is None else {**told, "sdi_id": reference}


SENDING = ("issued_invoices.sdi", "issued_invoices.sdicoop")
"""The routes; the endpoint that one of them is bound to says who the seller is."""

ROUTES = (
    Route(
        SENDING[0],
        collection="issued_invoices",
        provider="sdi",
        operation="send",
        when=is_new_file("sdi"),
        event=issued,
        write_back=handed_over,
        after=after_what_it_credits,
        on_dead="skip",  # a corrected file is another one: it must not wait for the first
    ),
    Route(
        SENDING[1],
        collection="issued_invoices",
        provider="sdicoop",
        operation="send",
        when=is_new_file("sdicoop"),
        event=issued,
        write_back=handed_to_sdi,
        after=after_what_it_credits,
        on_dead="skip",
    ),
)
