"""Routes: which accepted changes go to which operation of a provider, and on which terms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sync.collection import Fields

Predicate = Callable[[Fields | None, Fields], bool]
"""Whether a change matters: the record's fields before (None: it is new) and after."""

Event = Callable[[Fields | None, Fields], str]
"""What a change is called towards the provider, after the collection's name and a dot."""

DeliveryState = Literal[
    "pending",  # waits: for its turn, or until `next_attempt_at`
    "leased",  # a relay is at it
    "delivered",  # the provider has it
    "answered",  # the provider refused it for business reasons (402): no failure, no retry
    "superseded",  # a newer one carries its content
    "cancelled",  # a person took it back before it was tried
    "dead",  # given up; a person can redrive it
    "in_doubt",  # tried at most once, and nobody can know whether it took effect: for a person
]
OnDead = Literal["block", "skip", "supersede"]
"""What a dead delivery does to later ones of its record: hold them, let them pass, or give way to a newer one."""


def created_or_updated(before: Fields | None, _after: Fields) -> str:
    """The plainest event name."""
    return "created" if before is None else "updated"


def nothing_written_back(_state: DeliveryState, _reference: str | None) -> Fields:
    """The record is not told what became of its delivery."""
    return {}


@dataclass(frozen=True, slots=True)
class Route:
    """Which changes of a collection go to which operation of a provider; a tenant's bindings pick the endpoint.

    `write_back` gives the server-owned fields that tell of a delivery's end (delivered, answered, dead, in_doubt) and
    of the provider's reference. `echo`: also changes this very provider caused. `supersedes`: a newer delivery makes
    waiting ones of the same record, route and endpoint needless while they are unattempted; never for money.
    `may_fall_back`: a delivery that is proven to have had no effect may go through the endpoint's fallback; only where
    each delivery says everything by itself, and never for money.
    """

    name: str
    collection: str
    provider: str
    operation: str
    when: Predicate
    event: Event = created_or_updated
    write_back: Callable[[DeliveryState, str | None], Fields] = nothing_written_back
    on_dead: OnDead = "block"
    echo: bool = False
    supersedes: bool = False
    may_fall_back: bool = False
