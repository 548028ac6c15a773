"""Collections for the kernel's tests: every policy, both rules of existence, effects, a rule and a moving audience."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from sync.collection import EVERYTHING, FOR_SHOP, WRITE_ONLY, Fields, Increment, SyncOptions
from sync.policy import COUNTER, IMMUTABLE, LAST_WRITER, MANUAL, SERVER_OWNED, TAG_SET
from sync.protocol import Registry
from sync.wire import CODE, FLAG, INSTANT, INTEGER, JSON, MONEY, QUANTITY, UUID, choice, json_of, text, units_of

MAY = {"owner": EVERYTHING, "clerk": WRITE_ONLY}
COLOUR = text(20)
TITLE = text(200, least=1)
TAGS = json_of(CODE.check, most=20)
STATE = choice("open", "void")


class Note(BaseModel):
    """Every policy; a deletion wins over what it did not see; the shop may change."""

    sync: ClassVar[SyncOptions] = SyncOptions("notes", may=MAY, audience=FOR_SHOP)

    shop: Annotated[str, CODE, LAST_WRITER]
    kind: Annotated[str, CODE, IMMUTABLE]
    title: Annotated[str, TITLE, LAST_WRITER]
    colour: Annotated[str | None, COLOUR, LAST_WRITER] = None
    pinned: Annotated[bool, FLAG, LAST_WRITER] = False
    price: Annotated[Decimal, MONEY, MANUAL] = Decimal("1.5")
    tags: Annotated[list[str], TAGS, TAG_SET] = Field(default_factory=list)
    status: Annotated[str | None, CODE, SERVER_OWNED] = None
    seen: Annotated[Decimal, QUANTITY, COUNTER] = Decimal(0)
    paid: Annotated[Decimal, MONEY, COUNTER] = Decimal(0)


def check_shelf(_before: Fields | None, after: Fields) -> str | None:
    """What may not be said of a shelf."""
    return "a shelf is not called so" if after["name"] == "forbidden" else None


class Shelf(BaseModel):
    """A counter that others move; an update wins over a deletion that did not see it."""

    sync: ClassVar[SyncOptions] = SyncOptions("shelves", may=MAY, concurrent_delete="update_wins", rule=check_shelf)

    name: Annotated[str, TITLE, LAST_WRITER]
    colour: Annotated[str | None, COLOUR, LAST_WRITER] = None
    stock: Annotated[Decimal, QUANTITY, COUNTER] = Decimal(0)


def take(ticket: Fields) -> Iterable[Increment]:
    """What a ticket takes from its shelf; a void one takes nothing."""
    if ticket["state"] != "void":
        yield Increment("shelves", ticket["shelf_id"], "stock", -units_of(ticket["quantity"], QUANTITY.places))


def check_ticket(before: Fields | None, after: Fields) -> str | None:
    """A void is final."""
    reopened = before is not None and before["state"] == "void" and after["state"] != "void"
    return "a void ticket stays void" if reopened else None


def check_offer(_before: Fields | None, after: Fields) -> str | None:
    """Who closes has opened before."""
    return "it closes before it opens" if after["closes"] < after["opens"] else None


class Ticket(BaseModel):
    """A fact with an effect on a shelf."""

    sync: ClassVar[SyncOptions] = SyncOptions(
        "tickets",
        may=MAY,
        audience=FOR_SHOP,
        fact=True,
        effects=take,
        references={"shelf_id": "shelves"},
        rule=check_ticket,
    )

    shop: Annotated[str, CODE, IMMUTABLE]
    shelf_id: Annotated[str, UUID, IMMUTABLE]
    quantity: Annotated[Decimal, QUANTITY, IMMUTABLE]
    state: Annotated[str, STATE, LAST_WRITER] = "open"
    note: Annotated[str | None, COLOUR, LAST_WRITER] = None
    flags: Annotated[list[str], TAGS, SERVER_OWNED] = Field(default_factory=list)


def reserve(reservation: Fields) -> Iterable[Increment]:
    """What a reservation keeps from its shelf."""
    yield Increment("shelves", reservation["shelf_id"], "stock", -units_of(reservation["quantity"], QUANTITY.places))


class Reservation(BaseModel):
    """No fact, so it can be deleted; its shelf and its quantity may change, and the effect with them."""

    sync: ClassVar[SyncOptions] = SyncOptions("reservations", may=MAY, effects=reserve)

    shelf_id: Annotated[str, UUID, LAST_WRITER]
    quantity: Annotated[Decimal, QUANTITY, LAST_WRITER]


class Offer(BaseModel):
    """Fields that must agree: one unit a person decides about, one where the later writer wins."""

    sync: ClassVar[SyncOptions] = SyncOptions(
        "offers", may=MAY, units={"pricing": ("price", "rate"), "place": ("street", "town")}, rule=check_offer
    )

    price: Annotated[Decimal, MONEY, MANUAL] = Decimal("1.5")
    rate: Annotated[Decimal, MONEY, MANUAL] = Decimal(10)
    street: Annotated[str, COLOUR, LAST_WRITER] = ""
    town: Annotated[str, COLOUR, LAST_WRITER] = ""
    opens: Annotated[int, INTEGER, LAST_WRITER] = 0
    closes: Annotated[int, INTEGER, LAST_WRITER] = 24


class Conflict(BaseModel):
    """What people must weigh."""

    sync: ClassVar[SyncOptions] = SyncOptions("conflicts", may={"owner": WRITE_ONLY, "clerk": WRITE_ONLY})

    collection: Annotated[str, CODE, SERVER_OWNED]
    record_id: Annotated[str, UUID, SERVER_OWNED]
    field: Annotated[str, CODE, SERVER_OWNED]
    status: Annotated[str, CODE, SERVER_OWNED]
    current: Annotated[Any, JSON, SERVER_OWNED]
    candidates: Annotated[Any, JSON, SERVER_OWNED]
    opened_at: Annotated[str, INSTANT, SERVER_OWNED]
    decision: Annotated[str | None, choice("mine", "theirs", "value"), LAST_WRITER] = None
    candidate: Annotated[str | None, UUID, LAST_WRITER] = None
    value: Annotated[Any, JSON, LAST_WRITER] = None
    decided_by: Annotated[str | None, CODE, SERVER_OWNED] = None
    decided_at: Annotated[str | None, INSTANT, SERVER_OWNED] = None


REGISTRY = Registry((Note, Shelf, Ticket, Reservation, Offer, Conflict))
NOTES, SHELVES, TICKETS, OFFERS = (REGISTRY.collections[n] for n in ("notes", "shelves", "tickets", "offers"))
