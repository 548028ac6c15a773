"""Events: which object of ours one is about. Of an event nothing else is believed: the object is read anew.

Stripe promises no order and tells twice, so an event is a reason to look and no more. It is the same whether it came by
webhook or was found in the events list.
"""

import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from server.mapping import reasons
from server.ports import UnusableEventError

Kind = Literal["payment_intent", "subscription"]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,100}$")]

PAID = frozenset(("invoice.paid", "invoice.payment_succeeded"))
"""What grants a period: the second is the first one's older twin, and some tell only that."""

_BY_PAYMENT = ("charge.", "refund.")


_ID = re.compile(r"[A-Za-z0-9_]{1,64}")


def _name(value: Any) -> str | None:
    """A name; some versions of the API expand the thing in its place."""
    name = value.get("id") if isinstance(value, dict) else value
    return name if isinstance(name, str) and _ID.fullmatch(name) else None


def _object(value: Any) -> Any:
    """An object, or None for what has another form: in some events a parent is only a name."""
    return value if isinstance(value, dict) else None


Name = Annotated[str | None, BeforeValidator(_name)]


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Details(_Told):
    subscription: Name = None


class _Parent(_Told):
    subscription_details: Annotated[_Details | None, BeforeValidator(_object)] = None


class Subject(_Told):
    """The object in an event, as far as it names what is to be read; a name of another form is that of nothing ours."""

    id: Name = None
    payment_intent: Name = None
    subscription: Name = None
    parent: Annotated[_Parent | None, BeforeValidator(_object)] = None


class _Data(_Told):
    object: Subject


class Event(_Told):
    """An event of Stripe's; names only, so that storing one found by a poll keeps nobody's data."""

    id: Id
    type: Annotated[str, Field(max_length=100)]
    created: Annotated[int, Field(ge=0, strict=True)]
    livemode: bool = False
    data: _Data

    @property
    def subject(self) -> "About | None":
        """What it is about, where that is of ours."""
        told = self.data.object
        if self.type.startswith("payment_intent."):
            return _about("payment_intent", told.id)
        if self.type.startswith(_BY_PAYMENT):
            return _about("payment_intent", told.payment_intent)
        if self.type.startswith("customer.subscription."):
            return _about("subscription", told.id)
        if self.type.startswith("invoice."):
            details = told.parent.subscription_details if told.parent is not None else None
            return _about("subscription", told.subscription or (None if details is None else details.subscription))
        return None


class About(NamedTuple):
    """An object at Stripe."""

    kind: Kind
    id: str

    @property
    def name(self) -> str:
        """As leases and polls know it."""
        return f"{self.kind}/{self.id}"


def parse_event(body: bytes | str) -> Event:
    """An event. Raises UnusableEventError (malformed)."""
    try:
        return Event.model_validate_json(body)
    except ValidationError as error:
        raise UnusableEventError("malformed", reasons(error)) from None


def _about(kind: Kind, name: str | None) -> About | None:
    return None if name is None else About(kind, name)
