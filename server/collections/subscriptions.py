"""Subscriptions: what a customer may use, by what a payment provider says. The server writes them; people read.

`entitled` is the answer to the one question a till asks. It is granted when a period is paid and withdrawn when the
status says so; while the next period is being collected it stays as it was.
"""

from datetime import datetime
from typing import Annotated, ClassVar

from server.collections.roles import NOBODY
from server.storage.synced import Synced
from server.storage.types import column
from sync.collection import SyncOptions
from sync.policy import SERVER_OWNED
from sync.wire import CODE, FLAG, INSTANT, UUID


class Subscription(Synced, table=True):
    """One subscription of a customer's to a plan; `status` in the provider's words."""

    __tablename__ = "subscriptions"
    sync: ClassVar[SyncOptions] = SyncOptions(
        "subscriptions", may=NOBODY, references={"customer_id": "customers"}, schema=6, kept=("customer_id",)
    )

    provider_id: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    customer_id: Annotated[str | None, UUID, SERVER_OWNED] = column(UUID, default=None, nullable=True)
    plan: Annotated[str | None, CODE, SERVER_OWNED] = column(CODE, default=None, nullable=True)
    status: Annotated[str, CODE, SERVER_OWNED] = column(CODE)
    entitled: Annotated[bool, FLAG, SERVER_OWNED] = column(FLAG, default=False)
    period_ends_at: Annotated[datetime | None, INSTANT, SERVER_OWNED] = column(INSTANT, default=None, nullable=True)
    ends_after_period: Annotated[bool, FLAG, SERVER_OWNED] = column(FLAG, default=False)
