"""Routes: which accepted changes go to which operation of a provider, and on which terms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from sync.collection import Fields

Predicate = Callable[[Fields | None, Fields], bool]
"""Whether a change matters: the record's fields before (None: it is new) and after."""

Event = Callable[[Fields | None, Fields], str]
"""What a change is called towards the provider, after the collection's name and a dot."""

After = Callable[[Fields], Sequence[tuple[str, str]]]
"""Records, as (collection, record id), whose deliveries to the same endpoint come first."""

DeliveryState = Literal[
    "pending",  # waits: for its turn, or until `next_attempt_at`
    "leased",  # a relay is at it
    "delivered",  # the provider has it
    "answered",  # the provider refused it for business reasons (402): no failure, no retry
    "superseded",  # a newer one carries its content
    "cancelled",  # taken back before it was tried: by a person, or by a later change
    "dead",  # given up; a person can redrive it
    "in_doubt",  # nobody can know whether it took effect, and it must not be tried again: for a person
]
OnDead = Literal["block", "skip", "supersede"]
"""What a dead delivery does to later ones of its record: hold them, let them pass, or give way to a newer one."""

Start = Literal["now", "backfill"]
"""What a new binding sends: changes from now on, or what is there already as well."""


def created_or_updated(before: Fields | None, _after: Fields) -> str:
    """The plainest event name."""
    return "created" if before is None else "updated"


def nothing_written_back(_state: DeliveryState, _reference: str | None) -> Fields:
    """The record is not told what became of its delivery."""
    return {}


def after_nothing(_fields: Fields) -> Sequence[tuple[str, str]]:
    """No other record comes first."""
    return ()


@dataclass(frozen=True, slots=True)
class Route:
    """Which changes of a collection go to which operation of a provider; a tenant's bindings pick the endpoint.

    `write_back` gives the server-owned fields that tell of a delivery's end (delivered, answered, dead, in_doubt) and
    of the provider's reference. `echo`: also changes this very provider caused. `supersedes`: a newer delivery makes
    waiting ones of the same record, route, operation and endpoint needless while they are unattempted.

    `after` names records whose earlier deliveries must have let go first. `not_after_s`: so long after the change it
    may still go out. `create`: the operation that makes what `operation` changes; an update goes there as well while no
    earlier delivery took effect. `cancels`: whether a change takes back what went before it; what was never tried is
    cancelled, and for the rest `compensation`, an operation, is sent. `money`: a delivery is an effect that no other
    one stands for, so nothing may supersede it. `start` is what a new binding begins with.
    `names`: its calls are given the provider's names for the record, and for those it comes `after`.
    `may_fall_back`: a delivery that is proven to have had no effect may go through the endpoint's fallback; only where
    each delivery says everything by itself and nothing comes `after` it, and never for money.
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
    after: After = after_nothing
    not_after_s: float | None = None
    create: str | None = None
    cancels: Predicate | None = None
    compensation: str | None = None
    money: bool = False
    start: Start = "now"
    may_fall_back: bool = False
    names: bool = False

    def __post_init__(self) -> None:
        """Refuse terms that contradict each other."""
        if self.money and (self.supersedes or self.on_dead == "supersede"):
            raise TypeError("a delivery of money stands for itself: nothing may supersede it")
        if self.money and self.may_fall_back:
            raise TypeError("a delivery of money goes where it was meant to go: it may not fall back")
        if self.may_fall_back and (self.reads_its_lane or self.after is not after_nothing):
            raise TypeError("what depends on other deliveries at its account may not go to another one")
        if (self.cancels is None) != (self.compensation is None):
            raise TypeError("what `cancels` cannot take back any more needs a `compensation`, and the other way round")

    @property
    def reads_its_lane(self) -> bool:
        """Whether what is sent depends on what became of the record's earlier deliveries."""
        return self.create is not None or self.compensation is not None
