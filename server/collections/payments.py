"""Payments: what a payment provider says of money that customers owe or paid. The server writes them; people read.

A payment's state is apart from its sale's: a sale that was made stands, and a card that is declined later is news of
the payment, not an edit of the sale. Amounts are gross and in euros.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar

from server.collections.roles import NOBODY
from server.storage.synced import Synced
from server.storage.types import column
from sync.collection import FOR_SHOP, SyncOptions
from sync.policy import SERVER_OWNED
from sync.wire import CODE, INSTANT, MONEY, UUID


class Payment(Synced, table=True):
    """One payment: `status` in the provider's words, what came in, what went back, and a dispute if there is one."""

    __tablename__ = "payments"
    sync: ClassVar[SyncOptions] = SyncOptions(
        "payments",
        may=NOBODY,
        audience=FOR_SHOP,
        references={"customer_id": "customers"},
        schema=6,
        kept=("customer_id",),
    )

    shop: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    provider_id: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    sale_id: Annotated[str | None, UUID, SERVER_OWNED] = column(UUID, default=None, nullable=True)
    customer_id: Annotated[str | None, UUID, SERVER_OWNED] = column(UUID, default=None, nullable=True)
    status: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    amount: Annotated[Decimal, MONEY, SERVER_OWNED] = column(MONEY)
    received: Annotated[Decimal, MONEY, SERVER_OWNED] = column(MONEY)
    refunded: Annotated[Decimal, MONEY, SERVER_OWNED] = column(MONEY)
    failure: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    dispute: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    created_at: Annotated[datetime, INSTANT, SERVER_OWNED] = column(INSTANT)
