"""From the closing that a generic point of sale tells to one of ours, and back."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from server.mapping import PayloadMapping
from server.providers.pos.days import at_instant, instant
from server.providers.pos.mapping import Vat
from server.providers.pos.payload import VERSION, ClosureV1, PaymentV1, VatV1


class _Made(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Payment(_Made):
    """The sum of a payment method."""

    method: str
    total: str


class Closure(_Made):
    """The fields of a new closing."""

    shop: str
    terminal_id: str
    business_day: str
    closed_at: str
    number: int | None
    count: int
    first_receipt: int | None
    last_receipt: int | None
    voided: list[int]
    total: str
    vat: list[Vat]
    payments: list[Payment]


def to_ours(told: ClosureV1, settings: Mapping[str, Any]) -> Closure:
    """A closing, in the shop that the account's settings name."""
    return Closure(
        shop=settings["shop"],
        terminal_id=told.terminal,
        closed_at=instant(told.closed_at),
        vat=[Vat(**one.model_dump(exclude_none=True)) for one in told.vat],
        payments=[Payment(**one.model_dump()) for one in told.payments],
        **told.model_dump(include=_ALIKE),
    )


def to_theirs(ours: Closure, object_id: str) -> ClosureV1:
    """The same closing as a point of sale tells it."""
    return ClosureV1(
        version=VERSION,
        id=object_id,
        terminal=ours.terminal_id,
        closed_at=at_instant(ours.closed_at),
        vat=[VatV1(**one.model_dump()) for one in ours.vat],
        payments=[PaymentV1(**one.model_dump()) for one in ours.payments],
        **ours.model_dump(include=_ALIKE),
    )


_ALIKE = {"business_day", "number", "count", "first_receipt", "last_receipt", "voided", "total"}
"""What is called the same on both sides."""

CLOSURE = PayloadMapping("pos.closure", 1, "closures", ClosureV1, Closure, to_ours, to_theirs)
