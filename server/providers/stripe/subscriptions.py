"""From a subscription at Stripe to one of ours, and back, and what it entitles to.

    trialing                                    entitled
    active, its latest invoice paid             entitled
    active, the next period being collected     as before
    past_due                                    as the account's settings say
    anything else                               not entitled

So a period is granted when it is paid (`invoice.paid`), and a status that ends it takes it away, in whatever order and
however often events come: what is read is the subscription as it is then.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from server.mapping import PayloadMapping
from server.providers.stripe.payments import Named, Word, record_of
from server.providers.stripe.told import RECORD
from sync.clock import decode_instant, encode_instant

FINAL = frozenset(("canceled", "incomplete_expired"))
Second = Annotated[int, Field(ge=0, le=2**40, strict=True)]
_PLAN = r"^[!-~]{1,64}$"


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Price(_Told):
    """A price, or a plan, which is its older name."""

    id: Annotated[str, Field(pattern=_PLAN)]


class Item(_Told):
    """A line of a subscription."""

    price: Price | None = None
    plan: Price | None = None
    current_period_end: Second | None = None


class Items(_Told):
    """The lines; of ours there is one."""

    data: Annotated[list[Item], Field(default_factory=list)]


class Invoice(_Told):
    """The latest invoice: whether it is paid."""

    status: Word | None = None


class Told(_Told):
    """A subscription, its customer and latest invoice expanded.

    `paid` is put in by us: an event said that its period was paid.
    """

    object: Literal["subscription"] = "subscription"
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]
    status: Word
    items: Items = Items(data=[])
    current_period_end: Second | None = None
    cancel_at_period_end: bool = False
    customer: Named | None = None
    latest_invoice: Invoice | None = None
    paid: bool = False

    @field_validator("customer", "latest_invoice", mode="before")
    @classmethod
    def _expanded(cls, value: Any) -> Any:
        return None if isinstance(value, str) else value

    @property
    def line(self) -> Item:
        """Its line; an empty one where there is none."""
        return self.items.data[0] if self.items.data else Item()


class Subscription(BaseModel):
    """The fields of a subscription; without `entitled` that stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider_id: str
    customer_id: str | None
    plan: str | None
    status: str
    entitled: bool | None = None
    period_ends_at: str | None
    ends_after_period: bool


def is_entitled(told: Told, settings: Mapping[str, Any]) -> bool | None:
    """Whether it entitles; None where that stays as it was."""
    match told.status:
        case "trialing":
            return True
        case "active":
            return True if told.paid or (told.latest_invoice and told.latest_invoice.status == "paid") else None
        case "past_due":
            return None if settings.get("past_due_entitles") else False
        case _:
            return False


def to_ours(told: Told, settings: Mapping[str, Any]) -> Subscription:
    """A subscription."""
    line = told.line
    plan, ends = line.price or line.plan, line.current_period_end or told.current_period_end
    entitled = is_entitled(told, settings)
    return Subscription(
        provider_id=told.id,
        customer_id=record_of(told.customer),
        plan=None if plan is None else plan.id,
        status=told.status,
        period_ends_at=None if ends is None else encode_instant(ends * 1000),
        ends_after_period=told.cancel_at_period_end,
        **({} if entitled is None else {"entitled": entitled}),
    )


def to_theirs(ours: Subscription, _object_id: str) -> Told:
    """The subscription that would be told so."""
    ends = None if ours.period_ends_at is None else decode_instant(ours.period_ends_at) // 1000
    line = Item(price=None if ours.plan is None else Price(id=ours.plan), current_period_end=ends)
    return Told(
        id=ours.provider_id,
        status=ours.status,
        items=Items(data=[line]),
        cancel_at_period_end=ours.ends_after_period,
        customer=None if ours.customer_id is None else Named(metadata={RECORD: ours.customer_id}),
        latest_invoice=Invoice(status="paid" if ours.entitled else "open"),
    )


SUBSCRIPTION = PayloadMapping("stripe.subscription", 1, "subscriptions", Told, Subscription, to_ours, to_theirs)
