"""Settling: the end of an attempt and the provider's answer, written together or not at all.

Rules:

1. Every settling UPDATE names the fence. Whose lease was taken over settles nothing: the job raises, and whatever else
   it would have written is rolled back.
2. The answer is written back to the record as a mutation of the server's in the same transaction. Its uid follows from
   delivery, attempt and state: the same news is told once, and news that comes again after a redrive again.
3. A settled row that no longer holds brings the next of its lane back at once. The tenant's lock, which accepting
   transactions take too, keeps the two from missing each other.
4. The endpoint's breaker hears of the attempt in that transaction too: what is not settled was not told. What ended
   without a call was neither a probe nor a contact: it gives its place back.
5. What the answer is good for beside that never stands in the way of settling it: where writing it back or noting it
   fails for good, the attempt's end is written alone, for the provider must not be called again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from server.ids import derived
from server.outbox.claim import Claimed
from server.outbox.decide import Result, Settlement
from server.outbox.lanes import bring_next
from server.ports import Answered, Applying, Cause, DeliveryState, Observing, Route, Unobserved
from server.resilience.breaker import sign_of
from server.resilience.contacts import Contacts
from server.resilience.entry import Passed, leave_alone, nobody, told
from server.resilience.gate_sql import GateKey, give_up
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.clock import encode_instant
from sync.protocol import Mutation

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_FENCED = "WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id AND fence = :fence AND state = 'leased'"
_SETTLE = Statement(
    f"""UPDATE outbox SET state = :state, holds = :holds, next_attempt_at = :next_attempt_at, failures = :failures,
       failing_since = :failing_since, ambiguous = :ambiguous, error_class = :error_class, error = :error,
       reference = coalesce(:reference, reference), settled_at = :settled_at, lease_owner = NULL, leased_until = NULL
       {_FENCED}"""  # noqa: S608  # our own text
)
_RELEASE = Statement(
    f"""UPDATE outbox SET state = 'pending', next_attempt_at = :next_attempt_at, attempts = attempts - :untried,
       ambiguous = (ambiguous OR :sent), lease_owner = NULL, leased_until = NULL {_FENCED}"""  # noqa: S608
)
_END_ATTEMPT = Statement(
    """UPDATE attempts SET ended_at = :ended_at, outcome = :outcome, code = :code, status = :status,
       request_id = :request_id WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id AND attempt = :attempt"""
)
_UNTRY = Statement(
    "DELETE FROM attempts WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id AND attempt = :attempt"
)
_LANE = "tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND collection = :collection AND record_id = :record_id"
_NEWER = Statement(
    f"SELECT 1 FROM outbox WHERE {_LANE} AND holds AND sequence > :sequence AND route = :route LIMIT 1"  # noqa: S608
)
_GIVE_WAY = Statement(
    f"""UPDATE outbox SET state = 'superseded', settled_at = :now WHERE {_LANE} AND state IN ('dead', 'in_doubt')
       AND state = 'dead' AND sequence < :sequence AND route = :route"""  # noqa: S608
)

_TOLD: frozenset[DeliveryState] = frozenset(("delivered", "answered", "dead", "in_doubt"))
"""Ends that are written back."""


class LeaseLostError(Exception):
    """The lease ran out and another relay has taken the delivery over."""


def lane_of(claimed: Claimed) -> dict[str, Any]:
    """A delivery's lane and its place in it, as statements name them."""
    return {
        "tenant_id": claimed.tenant_id,
        "endpoint_id": claimed.endpoint_id,
        "collection": claimed.collection,
        "record_id": claimed.record_id,
        "sequence": claimed.sequence,
    }


@dataclass(frozen=True)
class Settler:
    """Ends attempts. `random` gives [0, 1); `opened` is called when an endpoint's breaker closed."""

    writer: Writer
    routes: Mapping[str, Route]
    applying: Applying
    random: Callable[[], float]
    contacts: Contacts = field(default_factory=Contacts)
    observing: Observing = field(default_factory=Unobserved)
    opened: Callable[[], None] = nobody

    async def settle(
        self, claimed: Claimed, settlement: Settlement, result: Result, *, write_back: bool = True
    ) -> None:
        """Write an attempt's end; without `write_back` nothing but that.

        Raises LeaseLostError, DatabaseError, and what writing back or noting the answer raised.
        """
        run = partial(self._settle, claimed, settlement, result, write_back=write_back)
        if await self.writer.submit(Job([claimed.tenant_id], run)):
            self.opened()
        self.observing.settled()

    async def release(self, claimed: Claimed, due_ms: int, *, sent: bool) -> None:
        """Give a lease back without a result; what was not `sent` counts as no attempt. Raises DatabaseError."""
        await self.writer.submit(Job([claimed.tenant_id], partial(_release, claimed, due_ms, sent=sent)))

    async def _settle(
        self, claimed: Claimed, settlement: Settlement, result: Result, writing: Writing, *, write_back: bool
    ) -> bool:
        """Whether the endpoint's breaker closed."""
        route = self.routes.get(claimed.route)
        if settlement.state == "dead" and route is not None and route.on_dead == "supersede":
            newer = await writing.tx.fetch(_NEWER, {**lane_of(claimed), "route": claimed.route})
            settlement = settlement._replace(state="superseded") if newer else settlement
        if not await writing.tx.execute(_SETTLE, _settled(claimed, settlement, result, writing.now)):
            raise LeaseLostError
        await _end_attempt(claimed, result, writing)
        closed = await self._report(claimed, result, writing)
        await leave_alone(writing, _gate_of(claimed), result.not_before_ms)
        if settlement.state != "pending":
            await self._after(claimed, settlement, route, writing)
        if write_back and settlement.state != "pending":
            await self.observing.answered(writing, _answered(claimed, result))
        if write_back and route is not None and settlement.state in _TOLD:
            await self._write_back(claimed, settlement.state, route, result.reference, writing)
        return closed

    async def _report(self, claimed: Claimed, result: Result, writing: Writing) -> bool:
        """Tell what came of the call, if there was one; whether the breaker closed by it."""
        endpoint = claimed.endpoint
        passed = Passed(endpoint.limits, endpoint.quiet, endpoint.probe)
        sign = sign_of(result.classified, result.status) if result.called else None
        closed = await told(writing, _gate_of(claimed), passed, sign, self.random())
        if closed:
            writing.tenant(claimed.tenant_id).revision += 1  # tells relays elsewhere, who wait for the probe's lease
        if result.called:
            await self.contacts.note(writing, claimed.tenant_id, claimed.endpoint_id, result.classified)
        return closed

    async def _after(self, claimed: Claimed, settlement: Settlement, route: Route | None, writing: Writing) -> None:
        if not settlement.holds:
            await bring_next(writing.tx, lane_of(claimed), writing.now)
        if settlement.state == "delivered" and route is not None and route.on_dead == "supersede":
            await writing.tx.execute(_GIVE_WAY, {**lane_of(claimed), "route": claimed.route, "now": writing.now})

    async def _write_back(
        self, claimed: Claimed, state: DeliveryState, route: Route, reference: str | None, writing: Writing
    ) -> None:
        fields = route.write_back(state, reference)
        if not fields:
            return
        mutation = Mutation(
            mutation_id=0,
            uid=derived("delivery", claimed.tenant_id, claimed.delivery_id, str(claimed.attempt), state),
            op="update",
            collection=claimed.collection,
            record_id=claimed.record_id,
            timestamp=writing.now,
            base_version=claimed.sequence,
            fields=fields,
        )
        cause = Cause(claimed.correlation_id, claimed.endpoint.provider)
        author = f"provider:{claimed.endpoint_id}"
        for outcome in await self.applying.apply(writing, claimed.tenant_id, author, [mutation], cause):
            if outcome.status == "rejected":
                log.warning("write_back_rejected", delivery_id=claimed.delivery_id, code=outcome.code)


def _gate_of(claimed: Claimed) -> GateKey:
    return GateKey(claimed.tenant_id, claimed.endpoint_id)


def _answered(claimed: Claimed, result: Result) -> Answered:
    at = (claimed.tenant_id, claimed.endpoint_id, claimed.endpoint.settings)
    return Answered(*at, claimed.collection, claimed.record_id, result.reference)


def _settled(claimed: Claimed, settlement: Settlement, result: Result, now: str) -> dict[str, Any]:
    failed = result.classified.error_class is not None
    return {
        "tenant_id": claimed.tenant_id,
        "delivery_id": claimed.delivery_id,
        "fence": claimed.fence,
        "state": settlement.state,
        "holds": settlement.holds,
        "next_attempt_at": encode_instant(settlement.next_attempt_ms),
        "failures": settlement.failures,
        "failing_since": settlement.failing_since,
        "ambiguous": settlement.ambiguous,
        "error_class": result.classified.error_class,
        "error": result.classified.code if failed else None,
        "reference": result.reference,
        "settled_at": None if settlement.state == "pending" else now,
    }


async def _end_attempt(claimed: Claimed, result: Result, writing: Writing) -> None:
    named = {
        "tenant_id": claimed.tenant_id,
        "delivery_id": claimed.delivery_id,
        "attempt": claimed.attempt,
        "ended_at": writing.now,
        "outcome": result.outcome,
        "code": result.classified.code,
        "status": result.status,
        "request_id": result.request_id,
    }
    await writing.tx.execute(_END_ATTEMPT, named)


async def _release(claimed: Claimed, due_ms: int, writing: Writing, *, sent: bool) -> None:
    named = {
        "tenant_id": claimed.tenant_id,
        "delivery_id": claimed.delivery_id,
        "fence": claimed.fence,
        "next_attempt_at": encode_instant(due_ms),
        "untried": 0 if sent else 1,
        "sent": sent,
    }
    if not await writing.tx.execute(_RELEASE, named):
        return
    endpoint = claimed.endpoint
    if endpoint.probe is not None:
        await give_up(writing, _gate_of(claimed), endpoint.limits, endpoint.probe)
    if not sent:
        key = (claimed.tenant_id, claimed.delivery_id, claimed.attempt)
        await writing.tx.execute(_UNTRY, key)
