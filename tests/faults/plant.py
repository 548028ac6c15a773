"""Planted faults: what somebody might get wrong in the engine's two boxes, put in on purpose to see it found.

A plant is in every process of the server from the start of its life; the server's own code stays as it is.
"""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import server.inbox.receive
import server.outbox.call
import server.outbox.claim
import server.outbox.settle
import server.resilience.gate_sql
from server.ids import uuid7
from server.inbox.end import Ender
from server.inbox.observe import Place, observe
from server.inbox.receive import Receiver
from server.inbox.store import Receipt
from server.outbox.call import Caller
from server.outbox.deliver import Deliverer
from server.outbox.settle import Settler
from server.resilience.breaker import Breaker
from server.resilience.classify import SUCCESS
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from tests.simulation.planting import Plant, Planting, all_of, replaced

_HOUR_MS = 3_600_000
_MINE_AGAIN = Statement(
    """UPDATE outbox SET state = 'leased', fence = :fence WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id"""
)
_NEVER_TAKEN_OVER = Statement(
    """SELECT delivery_id FROM outbox WHERE state = 'pending' AND endpoint_id = :endpoint_id
       AND next_attempt_at <= :now AND tenant_id = :tenant_id ORDER BY next_attempt_at LIMIT :most"""
)
_NOT_NOTED = Statement(
    """DELETE FROM attempts WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id AND attempt = :attempt
       AND started_at > :started_at"""
)
_NOTED_AT_ITS_END = Statement(
    """INSERT INTO attempts (tenant_id, delivery_id, attempt, started_at, ended_at, outcome, code, status, request_id)
       VALUES (:tenant_id, :delivery_id, :attempt, :ended_at, :ended_at, :outcome, :code, :status, :request_id)"""
)
_UNDER_WAY: set["asyncio.Task[Any]"] = set()


def _settled_by_the_last(settle: Any) -> Any:
    async def planted(self: Settler, claimed: Any, settlement: Any, result: Any, writing: Writing, **how: Any) -> None:
        await writing.tx.execute(_MINE_AGAIN, (claimed.fence, claimed.tenant_id, claimed.delivery_id))
        await settle(self, claimed, settlement, result, writing, **how)

    return planted


def _leased_for_long(deliver: Any) -> Any:
    async def planted(self: Deliverer, claimed: Any) -> None:
        await deliver(self, claimed._replace(leased_until_ms=claimed.leased_until_ms + _HOUR_MS))

    return planted


def _key_of_the_attempt(prepare: Any) -> Any:
    def planted(self: Caller, claimed: Any) -> Any:
        call = prepare(self, claimed)
        return call._replace(idempotency_key=f"{call.idempotency_key}-{claimed.fence}")

    return planted


def _nobody_behind(_park: Any) -> Any:
    async def planted(*_args: Any) -> set[str]:
        return set()

    return planted


def _endpoint_parked(call: Any) -> Any:
    async def planted(self: Caller, claimed: Any) -> Any:
        result = await call(self, claimed)
        failed = result.classified.error_class == "transient"
        return result._replace(not_before_ms=self.clock() + _HOUR_MS) if failed else result

    return planted


def _wish_unread(call: Any) -> Any:
    async def planted(self: Caller, claimed: Any) -> Any:
        return (await call(self, claimed))._replace(not_before_ms=None)

    return planted


def _doubt_is_success(classify: Any) -> Any:
    return lambda reason: SUCCESS if reason in {"read", "read_timeout"} else classify(reason)


def _told_apart(settle: Any) -> Any:
    async def planted(self: Settler, claimed: Any, settlement: Any, result: Any, *, write_back: bool = True) -> None:
        await settle(self, claimed, settlement, result, write_back=False)
        route = self.routes[claimed.route]
        if write_back and settlement.state != "pending":
            told = partial(self._write_back, claimed, settlement.state, route, result.reference)
            await self.writer.submit(Job([claimed.tenant_id], told))

    return planted


def _ended_first(end: Any) -> Any:
    async def planted(self: Ender, claimed: Any, ending: Any, result: Any, drafts: Any) -> Any:
        async def apply(writing: Writing) -> None:
            observed = await observe(writing.tx, Place(claimed.tenant_id, claimed.endpoint_id), drafts)
            if observed.fresh:
                await self._apply(claimed, observed.fresh, writing)

        ended = await end(self, claimed, ending, result, ())
        await self.writer.submit(Job([claimed.tenant_id], apply))
        return ended

    return planted


def _acknowledged_first(receive: Any) -> Any:
    async def planted(self: Receiver, *args: Any) -> Receipt:
        task = asyncio.create_task(receive(self, *args))
        _UNDER_WAY.add(task)
        return Receipt("", "stored", "")

    return planted


def _known_by_no_name(fit: Any) -> Any:
    return lambda text: f"{fit(text)[:100]}-{uuid7()}"


def _no_rate(_allowed: Any) -> Any:
    return lambda gate, _limits, now_ms, wanted: gate.breaker.most(now_ms, wanted)


def _open_to_all(_most: Any) -> Any:
    return lambda _self, _now_ms, wanted: wanted


PLANTS: Sequence[Plant] = (
    Plant(
        "settle-unfenced",
        "whoever comes back after its lease settles all the same",
        all_of(
            replaced(Settler, "_settle", _settled_by_the_last),
            replaced(Deliverer, "deliver", _leased_for_long),
        ),
    ),
    Plant("key-of-the-attempt", "each lease sends a key of its own", replaced(Caller, "_prepare", _key_of_the_attempt)),
    Plant(
        "no-parking",
        "a void goes although its sale waits",
        replaced(server.outbox.claim, "_park_those_behind", _nobody_behind),
    ),
    Plant("endpoint-parked", "one failure parks all of its endpoint", replaced(Caller, "call", _endpoint_parked)),
    Plant("retry-after-unread", "nobody looks at Retry-After", replaced(Caller, "call", _wish_unread)),
    Plant(
        "doubt-is-success",
        "a call whose answer was lost counts as delivered",
        replaced(server.outbox.call, "classify_reason", _doubt_is_success),
    ),
    Plant(
        "leases-for-ever",
        "nobody takes over from the dead",
        replaced(server.outbox.claim, "CANDIDATES", lambda _own: _NEVER_TAKEN_OVER),
    ),
    Plant(
        "noted-at-the-end",
        "an attempt is noted when it ends",
        all_of(
            replaced(server.outbox.claim, "_ATTEMPT", lambda _own: _NOT_NOTED),
            replaced(server.outbox.settle, "_END_ATTEMPT", lambda _own: _NOTED_AT_ITS_END),
        ),
    ),
    Plant("told-apart", "the record is told in a second transaction", replaced(Settler, "settle", _told_apart)),
    Plant("ended-first", "an event ends before its records are written", replaced(Ender, "end", _ended_first)),
    Plant(
        "acknowledged-first",
        "a webhook is acknowledged before it is stored",
        replaced(Receiver, "receive", _acknowledged_first),
    ),
    Plant(
        "event-unknown",
        "a webhook that comes again is a new one",
        replaced(server.inbox.receive, "fit_event_id", _known_by_no_name),
    ),
    Plant(
        "no-rate",
        "the backlog leaves as fast as it can",
        replaced(server.resilience.gate_sql, "allowed", _no_rate),
    ),
    Plant("breaker-open-to-all", "an open breaker lets calls through", replaced(Breaker, "most", _open_to_all)),
)


def planted(name: str | None) -> Planting:
    """A plant by its name; nothing for none. Raises KeyError."""
    return nullcontext if name is None else {plant.name: plant.planting for plant in PLANTS}[name]
