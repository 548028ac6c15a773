"""What one call's result means for its delivery. Pure: the clock and the dice are brought along.

Rules:

1. Success and a business refusal end it. A permanent failure ends it as `dead`, at once.
2. What may pass is tried again later, never before the provider's `Retry-After`; when its schedule is over it is dead.
3. An operation that promises at most one effect is never repeated when an attempt may have had one: it is in doubt.
4. A dead or doubtful one keeps its lane only where its route says `block`.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from server.outbox.claim import Claimed
from server.ports import DeliveryState, OnDead, Promise
from server.resilience.backoff import Schedules
from server.resilience.classify import Classified
from server.resilience.errors import ErrorClass
from sync.clock import decode_instant, encode_instant

AttemptOutcome = ErrorClass | Literal["delivered", "released"]


class Result(NamedTuple):
    """What one call brought. `not_before_ms`: until when the provider asked to be left alone.

    `ending`: it ends so, whatever its class. Without `called` the provider was not asked: it says nothing of it.
    """

    classified: Classified
    status: int | None = None
    reference: str | None = None
    request_id: str | None = None
    not_before_ms: int | None = None
    ending: DeliveryState | None = None
    called: bool = True

    @property
    def outcome(self) -> AttemptOutcome:
        """The attempt's end in one word."""
        return self.classified.error_class or "delivered"


class Settlement(NamedTuple):
    """What to write into the row."""

    state: DeliveryState
    holds: bool
    next_attempt_ms: int
    failures: int
    failing_since: str | None
    ambiguous: bool


class Terms(NamedTuple):
    """What was declared for a delivery: its operation's promise, and what its route does about a dead one."""

    promise: Promise
    on_dead: OnDead


class Chance(NamedTuple):
    """When it is tried again: the schedules, and dice that give [0, 1)."""

    schedules: Schedules
    random: Callable[[], float]


def decide(claimed: Claimed, terms: Terms, result: Result, now_ms: int, chance: Chance) -> Settlement:
    """The settlement of one attempt."""
    if result.ending is not None:
        return _ended(result.ending, claimed, now_ms, holds=result.ending != "cancelled" and terms.on_dead == "block")
    match result.classified.error_class:
        case None:
            return _ended("delivered", claimed, now_ms, holds=False)
        case "answered":
            return _ended("answered", claimed, now_ms, holds=False)
        case "permanent":
            return _ended("dead", claimed, now_ms, holds=terms.on_dead == "block")
        case "transient" | "unknown":
            return _failed(claimed, terms, result, now_ms, chance)


def _failed(claimed: Claimed, terms: Terms, result: Result, now_ms: int, chance: Chance) -> Settlement:
    ambiguous = claimed.ambiguous or result.classified.maybe_done
    holds = terms.on_dead == "block"
    if terms.promise == "once" and ambiguous:
        return _ended("in_doubt", claimed, now_ms, holds=holds)._replace(ambiguous=True)
    since = claimed.failing_since or encode_instant(now_ms)
    schedule = chance.schedules.of(result.classified.error_class or "unknown")
    failures = claimed.failures + 1
    if schedule.is_over(decode_instant(since), now_ms):
        return Settlement("dead", holds, now_ms, failures, since, ambiguous)
    due_ms = max(now_ms + schedule.delay_ms(failures, chance.random), result.not_before_ms or 0)
    if claimed.not_after is not None:  # it is looked at as soon as its time is over, to end it
        due_ms = min(due_ms, max(now_ms, decode_instant(claimed.not_after)) + 1)
    return Settlement("pending", holds=True, next_attempt_ms=due_ms, failures=failures, failing_since=since,
                      ambiguous=ambiguous)  # fmt: skip


def _ended(state: DeliveryState, claimed: Claimed, now_ms: int, *, holds: bool) -> Settlement:
    return Settlement(state, holds, now_ms, claimed.failures, claimed.failing_since, claimed.ambiguous)
