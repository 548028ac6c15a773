"""Customers: the people and firms a shop sells to, and the plan each of them subscribed to."""

from typing import Annotated, ClassVar

from server.collections.roles import MANAGED
from server.ports import Predicate, Route
from server.storage.synced import Synced
from server.storage.types import column
from sync.collection import Fields, SyncOptions
from sync.policy import LAST_WRITER, MANUAL
from sync.wire import CODE, text

INVOICING = ("vat_number", "tax_code", "sdi_code")
"""Who an invoice is made out to, and where it is sent: half of one customer and half of another is nobody."""

PLACE = ("address", "postcode", "city", "province", "country")
"""Where a customer is at home; an invoice names all of it. No country: Italy."""


class Customer(Synced, table=True):
    """A customer of the tenant."""

    __tablename__ = "customers"
    sync: ClassVar[SyncOptions] = SyncOptions(
        "customers",
        may=MANAGED,
        concurrent_delete="update_wins",
        units={"invoicing": INVOICING},
        schema=6,
        personal=("name", "email", "phone", *INVOICING, *PLACE, "pec", "note", "plan"),
        erasable=True,
    )

    name: Annotated[str, text(200, least=1), LAST_WRITER] = column(text(200))
    email: Annotated[str | None, text(254), LAST_WRITER] = column(text(254), default=None, nullable=True)
    phone: Annotated[str | None, text(40), LAST_WRITER] = column(text(40), default=None, nullable=True)
    vat_number: Annotated[str | None, CODE, MANUAL] = column(CODE, default=None, nullable=True)
    tax_code: Annotated[str | None, CODE, MANUAL] = column(CODE, default=None, nullable=True)
    sdi_code: Annotated[str | None, CODE, MANUAL] = column(CODE, default=None, nullable=True)
    address: Annotated[str | None, text(300), LAST_WRITER] = column(text(300), default=None, nullable=True)
    postcode: Annotated[str | None, text(16), LAST_WRITER] = column(text(16), default=None, nullable=True)
    city: Annotated[str | None, text(60), LAST_WRITER] = column(text(60), default=None, nullable=True)
    province: Annotated[str | None, CODE, LAST_WRITER] = column(CODE, default=None, nullable=True)
    country: Annotated[str | None, CODE, LAST_WRITER] = column(CODE, default=None, nullable=True)
    pec: Annotated[str | None, text(254), LAST_WRITER] = column(text(254), default=None, nullable=True)
    note: Annotated[str | None, text(1000), LAST_WRITER] = column(text(1000), default=None, nullable=True)
    plan: Annotated[str | None, CODE, MANUAL] = column(CODE, default=None, nullable=True)


def _changes(*names: str) -> Predicate:
    """Whether one of these fields says something else than before, or something at all of a new customer."""
    return lambda before, after: any((before or {}).get(name) != after.get(name) for name in names)


def unsubscribed(before: Fields | None, after: Fields) -> bool:
    """Whether the plan was given up."""
    return before is not None and before.get("plan") is not None and after.get("plan") is None


ROUTES = (
    Route(
        "customers.stripe",
        collection="customers",
        provider="stripe",
        operation="update_customer",
        create="create_customer",
        when=_changes("name", "email", "phone"),
        on_dead="supersede",
        supersedes=True,
        start="backfill",
        names=True,
    ),
    Route(
        "customers.plan",
        collection="customers",
        provider="stripe",
        operation="subscribe",
        when=_changes("plan"),
        cancels=unsubscribed,
        compensation="unsubscribe",
        money=True,
        names=True,
    ),
)
