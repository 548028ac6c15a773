"""Sending deliveries through another account of the same provider, with the key they always had.

Rules:

1. Only what certainly had no effect at the first account goes through another: it was never tried, every attempt ruled
   an effect out, or a look-up found none. What may be there stays (`ambiguous`), and so does what is in hand.
2. Only where its route says `may_fall_back`. It never does so for money.
3. What holds the same lane goes together, in its order; where one of them must stay, all do.
4. Key, payload and id stay what they are: `origin_id` names the account that the key follows from.
5. Rows are locked first and looked at by a second statement, for a claim may be at them (as in `claim`, rule 5).
6. Nothing goes from an account that has yet to enter its tenant's epoch: only then is known to be doubtful what it was
   perhaps sent in a lost history (`epoch`).
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from pydantic_core import to_json

from server.audit import OPERATOR, Entry, note
from server.outbox.epoch import NEW_EPOCH
from server.outbox.listing import OutboxError, unknown_delivery
from server.ports import Route
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing

_PROVIDER = Statement(
    f"""SELECT e.provider, {NEW_EPOCH} FROM endpoints AS e JOIN tenants AS t ON t.tenant_id = e.tenant_id
       WHERE e.tenant_id = :tenant_id AND e.endpoint_id = :endpoint_id"""  # noqa: S608  # our own text
)
_WHERE = Statement(
    """SELECT endpoint_id, collection, record_id FROM outbox
       WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id"""
)
_ROWS = """SELECT delivery_id, collection, record_id, route, state, ambiguous, holds, fence, error FROM outbox
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND collection = :collection AND record_id {ids}
       AND """
_IDS_LITE = "IN (SELECT value FROM json_each(:ids))"
_IDS_POST = "= ANY (ARRAY (SELECT json_array_elements_text(:ids::json))::uuid[])"
# Two statements, each by an index of its own.
_LANES = tuple(
    Statement(_ROWS.format(ids=_IDS_LITE) + which, postgresql=f"{_ROWS.format(ids=_IDS_POST)}{which} FOR UPDATE")
    for which in ("holds", "state IN ('dead', 'in_doubt') AND state = 'dead' AND NOT holds")
)
_MOVE = Statement(
    """UPDATE outbox SET endpoint_id = :to, origin_id = nullif(coalesce(origin_id, endpoint_id), :to),
         state = 'pending', holds = true, ambiguous = false, doubted_from = NULL, failures = 0,
         failing_since = NULL, settled_at = NULL, next_attempt_at = :now
       WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id"""
)


class Lane(NamedTuple):
    """What of a record goes to an endpoint."""

    collection: str
    record_id: str


class Row(NamedTuple):
    """A delivery of a lane, as far as it matters here."""

    delivery_id: str
    lane: Lane
    route: str
    state: str
    ambiguous: bool
    holds: bool
    fence: int
    error: str | None


class Way(NamedTuple):
    """From one endpoint of a tenant's to another of the same provider."""

    tenant_id: str
    endpoint_id: str
    to: str


class Proof(NamedTuple):
    """A look-up found no effect of a delivery, as it stood at this fence."""

    delivery_id: str
    fence: int


Routes = Mapping[str, Route]


async def redirect(
    writer: Writer, routes: Routes, tenant_id: str, delivery_id: str, to: str, proof: Proof | None = None
) -> int:
    """Send a delivery, and what waits behind it, through another account; how many went.

    Raises OutboxError: unknown_delivery, unknown_endpoint, another_provider, not_waiting, may_not_fall_back,
    maybe_there, new_epoch.
    """
    run = partial(_redirect, routes, tenant_id, delivery_id, to, proof)
    moved = await writer.submit(Job([tenant_id], run))
    if isinstance(moved, OutboxError):
        raise moved
    return moved


async def move_lanes(
    writing: Writing, routes: Routes, way: Way, lanes: Sequence[Lane], died_of: Collection[str]
) -> int:
    """Send whole lanes through another account, where every row that holds them may go; how many deliveries went.

    What is dead goes along where it died of one of these errors, and keeps its lane where it holds it and did not.
    """
    going: list[Row] = []
    for rows in (await lock_lanes(writing, way, lanes)).values():
        holding = [row for row in rows if row.holds]
        if all(_may_go(row, routes, died_of) for row in holding):
            going += [*holding, *(row for row in rows if not row.holds and _may_go(row, routes, died_of))]
    await _move(writing, way, going)
    return len(going)


async def lock_lanes(writing: Writing, way: Way, lanes: Sequence[Lane]) -> Mapping[Lane, Sequence[Row]]:
    """What holds these lanes, and what died there, as it is now that nobody else can be at it."""
    by_collection: dict[str, set[str]] = defaultdict(set)
    for collection, record_id in lanes:
        by_collection[collection].add(record_id)
    found: dict[Lane, list[Row]] = defaultdict(list)
    for collection, ids in sorted(by_collection.items()):
        named = {**_at(way), "collection": collection, "ids": to_json(sorted(ids)).decode()}
        for statement in _LANES:
            await writing.tx.fetch(statement, named)
        for row in [_row(row) for statement in _LANES for row in await writing.tx.fetch(statement, named)]:
            found[row.lane].append(row)
    return found


def _may_go(row: Row, routes: Routes, died_of: Collection[str]) -> bool:
    return why_not(row, routes) is None and (row.state != "dead" or row.error in died_of)


def why_not(row: Row, routes: Routes, proof: Proof | None = None) -> OutboxError | None:
    """Why a delivery may not go through another account."""
    if row.state not in {"pending", "dead"}:
        return OutboxError("not_waiting", f"it is {row.state}: only what waits or is dead can go another way")
    route = routes.get(row.route)
    if route is None or not route.may_fall_back:
        return OutboxError("may_not_fall_back", f"the route {row.route} does not allow it, as for money")
    if row.ambiguous and (proof is None or proof != (row.delivery_id, row.fence)):
        return OutboxError("maybe_there", "an attempt may have taken effect there: sent elsewhere, it could have two")
    return None


async def _redirect(
    routes: Routes, tenant_id: str, delivery_id: str, to: str, proof: Proof | None, writing: Writing
) -> int | OutboxError:
    found = await writing.tx.fetch(_WHERE, (tenant_id, delivery_id))
    if not found:
        return unknown_delivery()
    endpoint_id, *lane = found[0]
    way = Way(tenant_id, endpoint_id, to)
    refusal = await _no_way(writing, way)
    if refusal is not None:
        return refusal
    rows = (await lock_lanes(writing, way, [Lane(*lane)])).get(Lane(*lane), ())
    wanted = [row for row in rows if row.delivery_id == delivery_id]
    if not wanted:
        return OutboxError("not_waiting", "only what waits or is dead can go another way")
    going = [*wanted, *(row for row in rows if row.holds and row.delivery_id != delivery_id)]
    for row in going:
        refusal = why_not(row, routes, proof)
        if refusal is not None:
            return refusal
    await _move(writing, way, going)
    entry = Entry("delivery.redirect", OPERATOR, "delivery", delivery_id, reason=to, times=len(going))
    await note(writing, tenant_id, entry)
    return len(going)


async def _no_way(writing: Writing, way: Way) -> OutboxError | None:
    here, there = [
        await writing.tx.fetch(_PROVIDER, (way.tenant_id, endpoint_id)) for endpoint_id in (way.endpoint_id, way.to)
    ]
    if not there or way.endpoint_id == way.to:
        return OutboxError("unknown_endpoint", "there is no such other account here")
    ((provider, new_epoch),) = here
    if provider != there[0][0]:
        return OutboxError("another_provider", "the other account is at another provider")
    if new_epoch is not None:
        return OutboxError("new_epoch", "its account has not taken its deliveries up again since the restore")
    return None


async def _move(writing: Writing, way: Way, going: Sequence[Row]) -> None:
    rows = [
        {"tenant_id": way.tenant_id, "delivery_id": row.delivery_id, "to": way.to, "now": writing.now} for row in going
    ]
    await writing.tx.many(_MOVE, rows)
    writing.tenant(way.tenant_id).revision += 1 if rows else 0


def _at(way: Way) -> dict[str, Any]:
    return {"tenant_id": way.tenant_id, "endpoint_id": way.endpoint_id}


def _row(row: Sequence[Any]) -> Row:
    delivery_id, collection, record_id, route, state, ambiguous, holds, fence, error = row
    return Row(delivery_id, Lane(collection, record_id), route, state, bool(ambiguous), bool(holds), fence, error)
