"""One event from its claim to its end: handle, decide, end, tell the log.

It survives what goes wrong on our own side: a database out of reach is tried again until the lease is over, and what
cannot be stored for a reason nobody foresaw is tried again later, never lost.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import anyio
import structlog

from server import meters
from server.inbox.claim import Claimed
from server.inbox.decide import STUCK, Chance, Ending, decide, failed_unforeseen, quarantine, wait
from server.inbox.end import DraftsRefusedError, Ender, LeaseLostError
from server.inbox.handle import Handler, Result
from server.inbox.observe import WaitsError
from server.ports import Draft, Reading, UnusableEventError
from server.resilience.retry_after import LeftAlone
from server.storage.database import DatabaseError
from server.storage.writer import UnknownTenantError

log: structlog.stdlib.BoundLogger = structlog.get_logger()

RELEASE_S = 2.0
PAUSE_S = 0.5
ESCALATE_AFTER = 3
"""So many failures nobody foresaw, one after the other, are somebody's business."""


class _Attempt(NamedTuple):
    """What is about to be written; it gives way where parts of it are refused."""

    ending: Ending
    result: Result
    drafts: Sequence[Draft]


@dataclass(frozen=True)
class Worker:
    """Processes what was claimed; shared by all that a processor has in hand."""

    handler: Handler
    ender: Ender
    chance: Chance
    clock: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]
    left_alone: LeftAlone

    async def process(self, claimed: Claimed) -> None:
        """Bring one event to its end, or to its next attempt. Cancelled, it gives the lease back."""
        with structlog.contextvars.bound_contextvars(
            correlation_id=claimed.correlation_id,
            receipt_id=claimed.receipt_id,
            provider=claimed.endpoint.provider,
            attempt=claimed.attempt,
        ):
            await self._process(claimed)

    async def _process(self, claimed: Claimed) -> None:
        try:
            await self._attempt(claimed)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(RELEASE_S, shield=True):
                await self._release(claimed, self.clock())
            raise
        except Exception:
            log.exception("event_left_to_its_lease", receipt_id=claimed.receipt_id, alarm=True)

    async def _attempt(self, claimed: Claimed) -> None:
        began_ms = self.clock()
        until_ms = 0 if claimed.passed is None else self.left_alone.until_ms(claimed.endpoint_id)
        if until_ms > began_ms:
            await self._release(claimed, until_ms)
            return
        result = await self.handler.handle(claimed)
        self.left_alone.heard(claimed.endpoint_id, result.not_before_ms)
        ending = decide(claimed, result, self.clock(), self.chance)
        ended = await self._end(claimed, _Attempt(ending, result, result.reading.drafts))
        if ended is not None:
            _tell(claimed, ended, self.clock() - began_ms)

    async def _end(self, claimed: Claimed, attempt: _Attempt) -> _Attempt | None:
        """What was written in the end; None where the lease was lost."""
        while self.clock() < claimed.leased_until_ms:
            try:
                written = await self.ender.end(claimed, *attempt)
            except (LeaseLostError, UnknownTenantError):
                break
            except DraftsRefusedError as error:
                attempt = _without(attempt, error, self.clock())
            except WaitsError as error:
                attempt = _Attempt(wait(claimed, error.why, self.clock()), _unread(attempt.result), ())
            except Exception as error:  # noqa: BLE001  # told to the log by what follows
                attempt = self._after(claimed, attempt, error)
                await self.sleep(PAUSE_S)
            else:
                return attempt._replace(ending=written)
        log.warning("lease_lost", receipt_id=claimed.receipt_id, attempt=claimed.attempt)
        return None

    def _after(self, claimed: Claimed, attempt: _Attempt, error: Exception) -> _Attempt:
        """What to write after a failure to write: the same, or, where that cannot help, that it failed."""
        passing = isinstance(error, DatabaseError) and error.transient
        log.warning("end_failed", receipt_id=claimed.receipt_id, alarm=not passing, exc_info=error)
        if passing:
            return attempt
        failed = failed_unforeseen(claimed, self.clock(), self.chance)
        return _Attempt(failed, _unread(attempt.result), ())

    async def _release(self, claimed: Claimed, due_ms: int) -> None:
        try:
            await self.ender.release(claimed, due_ms)
        except DatabaseError as error:
            log.warning("release_failed", receipt_id=claimed.receipt_id, error=str(error))


def _unread(result: Result) -> Result:
    """The same without what was read: it is read again the next time."""
    return result._replace(reading=Reading(), unusable=None)


def _without(attempt: _Attempt, error: DraftsRefusedError, now_ms: int) -> _Attempt:
    """The same attempt without the drafts that were refused: what is left counts, and the event is quarantined."""
    gone = [draft for draft, _ in error.refused]
    left = [draft for draft in attempt.drafts if draft not in gone]
    before = attempt.result.reading
    unusable: list[UnusableEventError] = [*before.unusable, *(reason for _, reason in error.refused)]
    result = attempt.result._replace(reading=before._replace(unusable=unusable))
    return _Attempt(quarantine(unusable, now_ms), result, left)


def _tell(claimed: Claimed, ended: _Attempt, duration_ms: int) -> None:
    """One line an attempt; it alarms somebody when only a person can help."""
    ending = ended.ending
    meters.EVENTS.labels(claimed.endpoint.provider, ending.state).inc()
    unforeseen = ending.error_class == "unknown" and ending.failures >= ESCALATE_AFTER
    alarm = ending.state in STUCK or unforeseen
    tell = log.error if alarm else log.info
    tell(
        "event_processed",
        correlation_id=claimed.correlation_id,
        tenant_id=claimed.tenant_id,
        endpoint_id=claimed.endpoint_id,
        provider=claimed.endpoint.provider,
        receipt_id=claimed.receipt_id,
        event_type=claimed.event_type,
        attempt=claimed.attempt,
        state=ending.state,
        error_class=ending.error_class,
        code=ending.error,
        records=len(ended.drafts),
        duration_ms=duration_ms,
        alarm=alarm,
    )
