"""From a payment intent to a payment of ours, and back. Of what Stripe says nothing else is read, nor kept."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from server.mapping import PayloadMapping
from server.providers.stripe.money import EURO, check_euro, from_minor, to_minor
from server.providers.stripe.told import RECORD, SHOP
from sync.clock import decode_instant, encode_instant
from sync.wire import CODE, UUID

Cents = Annotated[int, Field(ge=0, strict=True)]
Word = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
Metadata = Annotated[Mapping[str, str], Field(default_factory=dict)]
FINAL = frozenset(("succeeded", "canceled"))

_UUID, _CODE = TypeAdapter[str](UUID.check), TypeAdapter[str](CODE.check)


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Named(_Told):
    """A thing at Stripe, as far as it says whose it is."""

    metadata: Metadata


class Refusal(_Told):
    """Why a payment did not go through."""

    code: Word | None = None
    decline_code: Word | None = None


class Charge(_Told):
    """What became of the money."""

    amount_refunded: Cents = 0
    disputed: bool = False


class Intent(_Told):
    """A payment intent, its charge and customer expanded; `dispute` is its dispute's status, put in by us."""

    object: Literal["payment_intent"] = "payment_intent"
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]
    amount: Cents
    amount_received: Cents | None = None
    currency: Annotated[str, Field(max_length=10)]
    status: Word
    created: Annotated[int, Field(ge=0, le=2**40, strict=True)]
    metadata: Metadata
    customer: Named | None = None
    latest_charge: Charge | None = None
    last_payment_error: Refusal | None = None
    dispute: Word | None = None

    @field_validator("customer", "latest_charge", mode="before")
    @classmethod
    def _expanded(cls, value: Any) -> Any:
        """What was not expanded says nothing."""
        return None if isinstance(value, str) else value


class Payment(BaseModel):
    """The fields of a payment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shop: str
    provider_id: str
    sale_id: str | None
    customer_id: str | None
    status: str
    amount: str
    received: str
    refunded: str
    failure: str | None
    dispute: str | None
    created_at: str


def to_ours(told: Intent, settings: Mapping[str, Any]) -> Payment:
    """A payment, in its sale's shop or the account's. Raises UnusableEventError for another currency."""
    check_euro(told.currency)
    charge, refusal = told.latest_charge or Charge(), told.last_payment_error
    paid = told.amount if told.status == "succeeded" else 0
    return Payment(
        shop=_valid(_CODE, told.metadata.get(SHOP)) or settings["shop"],
        provider_id=told.id,
        sale_id=_valid(_UUID, told.metadata.get(RECORD)),
        customer_id=record_of(told.customer),
        status=told.status,
        amount=from_minor(told.amount),
        received=from_minor(paid if told.amount_received is None else told.amount_received),
        refunded=from_minor(charge.amount_refunded),
        failure=None if refusal is None or told.status == "succeeded" else refusal.decline_code or refusal.code,
        dispute=told.dispute,
        created_at=encode_instant(told.created * 1000),
    )


def to_theirs(ours: Payment, _object_id: str) -> Intent:
    """The intent that would be told so."""
    marks = {SHOP: ours.shop} if ours.sale_id is None else {SHOP: ours.shop, RECORD: ours.sale_id}
    return Intent(
        id=ours.provider_id,
        amount=to_minor(ours.amount),
        amount_received=to_minor(ours.received),
        currency=EURO,
        status=ours.status,
        created=decode_instant(ours.created_at) // 1000,
        metadata=marks,
        customer=None if ours.customer_id is None else Named(metadata={RECORD: ours.customer_id}),
        latest_charge=Charge(amount_refunded=to_minor(ours.refunded), disputed=ours.dispute is not None),
        last_payment_error=None if ours.failure is None else Refusal(code=ours.failure),
        dispute=ours.dispute,
    )


PAYMENT = PayloadMapping("stripe.payment_intent", 1, "payments", Intent, Payment, to_ours, to_theirs)


def record_of(told: Named | None) -> str | None:
    """The record of ours that a thing at Stripe says it is."""
    return None if told is None else _valid(_UUID, told.metadata.get(RECORD))


def _valid(kind: TypeAdapter[str], text: str | None) -> str | None:
    """A text of somebody's metadata, where it is one of that form."""
    try:
        return None if text is None else kind.validate_python(text)
    except ValidationError:
        return None
