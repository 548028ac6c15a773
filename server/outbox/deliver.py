"""One delivery from its claim to its end: call, decide, tell the log, settle.

It survives what goes wrong on our own side: a database out of reach is tried again until the lease is over, and an
answer that cannot be written back does not make the provider be called again.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

import anyio
import structlog

from server import meters
from server.outbox.before import SEND, Ask, Later, Step, before_call, wants_times
from server.outbox.call import Caller
from server.outbox.claim import Claimed
from server.outbox.decide import Chance, Result, Settlement, Terms, decide
from server.outbox.history import Times
from server.outbox.renew import Renewer
from server.outbox.settle import LeaseLostError, Settler
from server.ports import Route
from server.storage.database import DatabaseError

log: structlog.stdlib.BoundLogger = structlog.get_logger()

RELEASE_S = 2.0
PAUSE_S = 0.5
ESCALATE_AFTER = 3
"""So many failures nobody foresaw, one after the other, are somebody's business."""


@dataclass(frozen=True)
class Deliverer:
    """Delivers what was claimed; shared by all calls of a relay."""

    caller: Caller
    settler: Settler
    routes: Mapping[str, Route]
    chance: Chance
    times: Times
    renewer: Renewer
    clock: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]

    async def deliver(self, claimed: Claimed) -> None:
        """Bring one delivery to its end, or to its next attempt. Cancelled, it gives the lease back."""
        with structlog.contextvars.bound_contextvars(
            correlation_id=claimed.correlation_id,
            delivery_id=claimed.delivery_id,
            provider=claimed.endpoint.provider,
            attempt=claimed.attempt,
        ):
            await self._deliver(claimed)

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            await self._attempt(claimed)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(RELEASE_S, shield=True):
                await self._release(claimed, self.clock(), sent=True)
            raise
        except Exception:
            log.exception("delivery_left_to_its_lease", delivery_id=claimed.delivery_id, alarm=True)

    async def _attempt(self, claimed: Claimed) -> None:
        began_ms = self.clock()
        claimed, result = await self._result(claimed, began_ms)
        if isinstance(result, Later):
            await self._release(claimed, result.due_ms, sent=False)
            return
        ended_ms = self.clock()
        self.caller.left_alone.heard(claimed.endpoint_id, result.not_before_ms)
        settlement = decide(claimed, self._terms(claimed), result, ended_ms, self.chance)
        _tell(claimed, result, settlement, ended_ms - began_ms)
        await self._settle(claimed, settlement, result)

    async def _result(self, claimed: Claimed, now_ms: int) -> tuple[Claimed, Result | Later]:
        """The delivery as it is then, and what came of asking, or when to come back where nothing was sent."""
        step = await self._step(claimed, now_ms)
        if isinstance(step, Later):
            return claimed, step
        if not isinstance(step, Ask):
            return claimed, Result(step.classified, ending=step.state, called=False)
        call = partial(self.caller.call, claimed, step)
        if self.caller.is_long(claimed):
            claimed, result = await self.renewer.during(claimed, call)
        else:
            result = await call()
        return claimed, result or Later(self.caller.left_alone.until_ms(claimed.endpoint_id))

    async def _step(self, claimed: Claimed, now_ms: int) -> Step:
        operation, route = self.caller.operation(claimed), self.routes.get(claimed.route)
        if operation is None:
            return SEND
        try:
            sent = await self.times.of(claimed, operation) if wants_times(operation, claimed) else None
        except DatabaseError as error:
            log.warning("attempts_out_of_reach", delivery_id=claimed.delivery_id, error=str(error))
            return Later(now_ms + int(PAUSE_S * 1000))
        return before_call(claimed, operation, route, sent, now_ms)

    def _terms(self, claimed: Claimed) -> Terms:
        operation, route = self.caller.operation(claimed), self.routes.get(claimed.route)
        return Terms(operation.promise if operation else "keyed", route.on_dead if route else "block")

    async def _settle(self, claimed: Claimed, settlement: Settlement, result: Result) -> None:
        write_back = True
        while self.clock() < claimed.leased_until_ms:
            try:
                await self.settler.settle(claimed, settlement, result, write_back=write_back)
            except LeaseLostError:
                break
            except Exception as error:  # whatever it was, the provider must not be called again for it
                write_back = write_back and isinstance(error, DatabaseError) and error.transient
                log.warning("settle_failed", delivery_id=claimed.delivery_id, again_with_write_back=write_back,
                            alarm=not write_back, exc_info=error)  # fmt: skip
                await self.sleep(PAUSE_S)
            else:
                return
        log.warning("lease_lost", delivery_id=claimed.delivery_id, attempt=claimed.attempt)

    async def _release(self, claimed: Claimed, due_ms: int, *, sent: bool) -> None:
        try:
            await self.settler.release(claimed, due_ms, sent=sent)
        except DatabaseError as error:
            log.warning("release_failed", delivery_id=claimed.delivery_id, error=str(error))


def _tell(claimed: Claimed, result: Result, settlement: Settlement, duration_ms: int) -> None:
    """One line an attempt; it alarms somebody when only a person can help."""
    meters.ATTEMPTS.labels(claimed.endpoint.provider, result.outcome).inc()
    meters.ATTEMPT_SECONDS.labels(claimed.endpoint.provider).observe(duration_ms / 1000)
    unforeseen = result.classified.error_class == "unknown" and settlement.failures >= ESCALATE_AFTER
    alarm = settlement.state in {"dead", "in_doubt"} or unforeseen
    foreseen = log.warning if result.classified.error_class == "unknown" else log.info
    tell = log.error if alarm else foreseen
    tell(
        "delivery_attempt",
        correlation_id=claimed.correlation_id,
        tenant_id=claimed.tenant_id,
        delivery_id=claimed.delivery_id,
        provider=claimed.endpoint.provider,
        endpoint_id=claimed.endpoint_id,
        attempt=claimed.attempt,
        outcome=result.outcome,
        code=result.classified.code,
        status=result.status,
        state=settlement.state,
        duration_ms=duration_ms,
        alarm=alarm,
    )
