"""A trace as a story: what hangs on what, and each thing's steps in time.

Rules:

1. A mutation is followed to its own deliveries only: a request brings many, and the others are another story.
2. What a provider told is followed through the records that came of it; a correlation id is followed to all it bears.
3. A delivery whose answer was written back names the mutation that did it: its uid follows from delivery and state.
4. Nothing of what a record or a message says is in a story; times are ours but for the one in a mutation's own id.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from server.ids import derived
from server.ops.trace import rows
from server.ops.trace.rows import Delivery, Receipt
from server.resilience.attempts import Attempt, attempts_of
from server.storage.database import Tx
from sync.clock import encode_instant

_MADE_HERE = 0
"""The number of a mutation that no client made."""
_UUID7 = 7


class Step(NamedTuple):
    """One thing that happened, or is known without its time; `facts` are ids, words and numbers."""

    at: str | None
    what: str
    facts: dict[str, Any]


class Chapter(NamedTuple):
    """One thing's story: a mutation, delivery or receipt, its steps in order, and what came of it."""

    kind: str
    id: str
    facts: dict[str, Any]
    steps: list[Step]
    then: list["Chapter"]


async def tell(tx: Tx, tenant_id: str, text: str) -> list[Chapter]:
    """The story of an id of a tenant's: a mutation's, delivery's, receipt's or request's. Empty where it is unknown."""
    wanted = rows.as_uuid(text)
    told = await _mutation(tx, tenant_id, wanted)
    if told is not None:
        return [await _with_origin(tx, tenant_id, told)]
    deliveries = await rows.delivery_of_id(tx, tenant_id, wanted)
    if deliveries:
        return await _mutations(tx, tenant_id, deliveries)
    receipts = await rows.receipt_of_id(tx, tenant_id, wanted)
    if receipts:
        return [await _receipt(tx, tenant_id, receipts[0])]
    return await _request(tx, tenant_id, text)


async def _request(tx: Tx, tenant_id: str, correlation_id: str) -> list[Chapter]:
    receipts = await rows.receipts_of_request(tx, tenant_id, correlation_id)
    chapters = [await _receipt(tx, tenant_id, receipt) for receipt in receipts]
    told = {uid for chapter in chapters for uid in _uids(chapter)}
    deliveries = await rows.deliveries_of_request(tx, tenant_id, correlation_id)
    return [*chapters, *await _mutations(tx, tenant_id, [one for one in deliveries if one.uid not in told])]


def _uids(chapter: Chapter) -> set[str]:
    own = {chapter.id} if chapter.kind == "mutation" else set()
    return own.union(*(_uids(one) for one in chapter.then))


async def _mutations(tx: Tx, tenant_id: str, deliveries: Sequence[Delivery]) -> list[Chapter]:
    """The mutations that deliveries are of; one that is not remembered any more is told by its deliveries alone."""
    chapters = []
    for uid in dict.fromkeys(delivery.uid for delivery in deliveries):
        told = await _mutation(tx, tenant_id, uid)
        if told is None:
            mine = [await _delivery(tx, tenant_id, one) for one in deliveries if one.uid == uid]
            told = Chapter("mutation", uid, {"remembered": False}, _made(uid), mine)
        chapters.append(told)
    return chapters


async def _mutation(tx: Tx, tenant_id: str, uid: str) -> Chapter | None:
    found = await rows.find_mutation(tx, tenant_id, uid)
    deliveries = await rows.deliveries_of_mutation(tx, tenant_id, uid)
    steps, facts = _made(uid), dict[str, Any]()
    waiting = await rows.find_waiting(tx, tenant_id, uid)
    if waiting is not None:
        collection, record_id, at, place = waiting
        waited = {"collection": collection, "record_id": record_id, "resolved_at_place": place}
        steps.append(Step(at, "waited for its record", waited))
    rejected = await rows.find_rejected(tx, tenant_id, uid)
    if rejected is not None:
        code, at, resolved_at, resolved_as = rejected
        kept = {"code": code, "dealt_with_at": resolved_at, "accepted_as": resolved_as}
        steps.append(Step(at, "kept whole, for it broke a rule", kept))
    if found is None:
        return Chapter("mutation", uid, {"remembered": False}, steps, []) if waiting or rejected else None
    if found.mutation_id != _MADE_HERE:
        facts = {"number": found.mutation_id, "client_id": found.client_id, "device_id": found.device_id}
        facts |= {"device": found.device, "role": found.role, "shop": found.shop}
    verdict = json.loads(found.verdict) if found.verdict else {"status": "applied"}
    judged = {"status": verdict.get("status"), "code": verdict.get("code"), "version": found.version}
    steps.append(Step(deliveries[0].created_at if deliveries else None, "judged", judged))
    return Chapter("mutation", uid, facts, steps, [await _delivery(tx, tenant_id, one) for one in deliveries])


def _made(uid: str) -> list[Step]:
    """By the time in its id, which is its maker's clock."""
    value = UUID(uid)
    return [Step(encode_instant(value.int >> 80), "made, by its maker's clock", {})] if value.version == _UUID7 else []


async def _delivery(tx: Tx, tenant_id: str, one: Delivery) -> Chapter:
    facts: dict[str, Any] = {name: getattr(one, name) for name in (
        "route", "operation", "provider", "endpoint_id", "collection", "record_id", "version", "state", "error_class",
        "error", "reference", "idempotency_key", "correlation_id")}  # fmt: skip
    steps = [Step(one.created_at, "accepted into the outbox", {})]
    attempts = await attempts_of(tx, tenant_id, one.delivery_id)
    steps += [_tried(attempt) for attempt in attempts]
    if one.settled_at is not None:
        steps.append(Step(one.settled_at, one.state, {"reference": one.reference}))
    elif one.state == "pending":
        steps.append(Step(one.next_attempt_at, "to be tried next", {}))
    last = str(attempts[-1].attempt) if attempts else ""
    uid = derived("delivery", tenant_id, one.delivery_id, last, one.state)
    written = await rows.find_mutation(tx, tenant_id, uid)
    if written is not None:
        back = {"uid": written.uid, "version": written.version}
        steps.append(Step(one.settled_at, "written back to the record", back))
    return Chapter("delivery", one.delivery_id, facts, steps, [])


def _tried(attempt: Attempt) -> Step:
    number, started_at, ended_at, outcome, code, status, request_id = attempt
    facts = {"ended_at": ended_at, "outcome": outcome or "without an end", "code": code, "status": status}
    return Step(started_at, f"attempt {number}", {**facts, "request_id": request_id})


async def _receipt(tx: Tx, tenant_id: str, one: Receipt) -> Chapter:
    records = json.loads(one.records or "[]")
    deliveries = await rows.deliveries_of_request(tx, tenant_id, one.correlation_id)
    mine = [delivery for delivery in deliveries
            if {"collection": delivery.collection, "record_id": delivery.record_id} in records]  # fmt: skip
    return _receipt_alone(one)._replace(then=await _mutations(tx, tenant_id, mine))


def _receipt_alone(one: Receipt) -> Chapter:
    facts: dict[str, Any] = {name: getattr(one, name) for name in (
        "provider", "endpoint_id", "source", "event_type", "state", "attempts", "error_class", "error",
        "correlation_id")}  # fmt: skip
    steps = [Step(one.received_at, "received, and stored raw", {})]
    if one.ended_at is not None:
        steps.append(Step(one.ended_at, one.state, {"error": one.error}))
    facts["records"] = json.loads(one.records or "[]")
    return Chapter("receipt", one.receipt_id, facts, steps, [])


async def _with_origin(tx: Tx, tenant_id: str, told: Chapter) -> Chapter:
    """Under what a provider told, where that is where the mutation came from."""
    if "number" in told.facts or not told.then:
        return told
    facts = told.then[0].facts
    record = {"collection": facts["collection"], "record_id": facts["record_id"]}
    for receipt in await rows.receipts_of_request(tx, tenant_id, facts["correlation_id"]):
        if record in json.loads(receipt.records or "[]"):
            return _receipt_alone(receipt)._replace(then=[told])
    return told
