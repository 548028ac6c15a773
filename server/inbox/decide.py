"""What one attempt's result means for its event. Pure: the clock and the dice are brought along.

Rules:

1. What was read ends it: done, or ignored where the vendor told us something that is no business of ours.
2. What cannot be used is quarantined with its reason, kept raw, for a person; what else the event brought still counts.
3. A permanent failure ends it as dead, at once; so does a refusal: nothing is to be expected of asking again.
4. What may pass is tried again later, never before the other side wants it (`Retry-After`); when its schedule is over,
   it is dead.
5. What a hint names and is not there may be in a moment; after a minute it is ignored, for anybody can send hints.
6. What waits for something of ours is no failure: it is looked at again after a quarter of its age, a quarter of an
   hour at most, or when told.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from server.inbox.claim import Claimed
from server.inbox.handle import Result
from server.ports import UnusableEventError
from server.resilience.backoff import Schedules
from server.resilience.classify import Classified
from sync.clock import decode_instant, encode_instant

EventState = Literal[
    "pending",  # waits to be processed, or until `next_attempt_at`
    "leased",  # a processor is at it
    "done",  # its records are here
    "ignored",  # authentic, and nothing for us to do
    "stale",  # older than what is here: kept, and not applied
    "quarantined",  # it cannot be used as it is: for a person
    "dead",  # given up: for a person, who can replay it
]
FINISHED: tuple[EventState, ...] = ("done", "ignored", "stale")
STUCK: tuple[EventState, ...] = ("quarantined", "dead")
"""What waits for a person."""

MAX_REASON = 500
MISSING_MS = 60 * 1000
"""How long an object that a hint names may be missing."""

PATIENCE_MS = 24 * 60 * 60 * 1000
"""How long an object that says it is ours may be unknown here, before a person hears of it."""

Wait = Literal[
    "in_flight",  # the call of ours that may have made it has not come to its end yet
    "not_here_yet",  # it says that it is ours, and we do not know it: perhaps we were restored from a backup
]
LONGEST_WAIT_MS: Mapping[Wait, int] = {"in_flight": 60_000, "not_here_yet": 15 * 60_000}
"""After how long it is looked at again at the latest, should nobody tell. Each look may cost a fetch."""


class Ending(NamedTuple):
    """What to write into the row."""

    state: EventState
    next_attempt_ms: int
    failures: int = 0
    failing_since: str | None = None
    error_class: str | None = None
    error: str | None = None
    reason: str | None = None


class Chance(NamedTuple):
    """When it is tried again: the schedules, and dice that give [0, 1)."""

    schedules: Schedules
    random: Callable[[], float]


def decide(claimed: Claimed, result: Result, now_ms: int, chance: Chance) -> Ending:
    """The end of one attempt."""
    if result.missing:
        return _missing(claimed, result.not_before_ms, now_ms)
    if result.classified.error_class is not None:
        return _failed(claimed, result.classified, result.not_before_ms, now_ms, chance)
    unusable = [*result.reading.unusable] if result.unusable is None else [result.unusable]
    if unusable:
        return quarantine(unusable, now_ms)
    if result.reading.ignored is not None:
        return Ending("ignored", now_ms, reason=result.reading.ignored[:MAX_REASON])
    return Ending("done", now_ms)


def quarantine(unusable: Sequence[UnusableEventError], now_ms: int) -> Ending:
    """The end of what cannot be used, or cannot be used whole; the first code stands for all."""
    reason = "; ".join(dict.fromkeys(error.message for error in unusable))[:MAX_REASON]
    return Ending("quarantined", now_ms, error_class="permanent", error=unusable[0].code[:64], reason=reason)


def wait(claimed: Claimed, why: Wait, now_ms: int) -> Ending:
    """The end of an attempt that came too early; what nobody knows for a day is for a person."""
    age_ms = now_ms - decode_instant(claimed.received_at)
    if why == "not_here_yet" and age_ms > PATIENCE_MS:
        message = "It says that a call of ours made it, and no record of ours is known to be it."
        return quarantine([UnusableEventError("unknown_own", message)], now_ms)
    due_ms = now_ms + min(max(age_ms // 4, 1000), LONGEST_WAIT_MS[why])
    return Ending("pending", due_ms, claimed.failures, claimed.failing_since, None, why)


def _missing(claimed: Claimed, not_before_ms: int | None, now_ms: int) -> Ending:
    age_ms = max(0, now_ms - decode_instant(claimed.received_at))
    if age_ms >= MISSING_MS:
        return Ending("ignored", now_ms, reason="There is no object under this name.")
    due_ms = max(now_ms + max(3 * age_ms, 1000), not_before_ms or 0)
    return Ending("pending", due_ms, claimed.failures, claimed.failing_since, None, "not_there_yet")


def failed_unforeseen(claimed: Claimed, now_ms: int, chance: Chance) -> Ending:
    """What was read could not be stored, and nobody foresaw why."""
    return _failed(claimed, Classified("unknown", "not_applied"), None, now_ms, chance)


def _failed(claimed: Claimed, classified: Classified, not_before_ms: int | None, now_ms: int, chance: Chance) -> Ending:
    error_class, code = classified.error_class, classified.code
    if error_class in {"permanent", "answered"}:
        return Ending("dead", now_ms, claimed.failures + 1, claimed.failing_since, error_class, code)
    since = claimed.failing_since or encode_instant(now_ms)
    schedule = chance.schedules.of(error_class or "unknown")
    failures = claimed.failures + 1
    if schedule.is_over(decode_instant(since), now_ms):
        return Ending("dead", now_ms, failures, since, error_class, code)
    due_ms = max(now_ms + schedule.delay_ms(failures, chance.random), not_before_ms or 0)
    return Ending("pending", due_ms, failures, since, error_class, code)
