"""Observing: the one door by which what is seen of objects at providers comes in, whoever saw it.

Webhooks and polls come as drafts, under the lease of their object, fetched inside it (`claim`, `handle`); answers to
our own calls come from the outbox. All of it meets here, under the tenant's lock, in the transaction that writes it.

Rules:

1. An object is known by the provider's own id, or else by our metadata (the record's id that we sent with the call that
   made it). That is believed of a record that went to this endpoint, and never against what the id is known to be.
2. A webhook may overtake the answer to the very call that caused it. While that call is under way, or may have been
   made in a history that is lost here, what is told of an object not known yet waits, and is due again at its end.
3. An answer names its object only where that can be the name of one: whatever else it says is kept with the delivery.
4. What says that it is ours is never made a second time: where the record is not here, it waits for it.
5. What is older than what was applied (by its watermark) is not applied, and a final state never goes back.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from server.inbox.decide import Wait
from server.inbox.identities import Identified, Identities, Known, find, load_identities, name_record, new_record_id
from server.ports import Answered, Draft, Ours, UnusableEventError
from server.storage.database import Tx
from server.storage.statement import Statement
from server.storage.writer import Writing

_OBJECT_ID = re.compile(r"[!-~]{1,100}")
"""What an object may be called; with its endpoint's id before it, it fits a key of `identities`."""

# What may have been sent in a lost history is under way, too, until it has been looked up.
_TRIED = """(state = 'leased' OR (state = 'pending' AND (attempts > 0 OR ambiguous OR created_at <
       (SELECT t.epoch_at FROM tenants AS t WHERE t.tenant_id = outbox.tenant_id))))"""
_AT = "tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND collection = :collection"
_RECORD_IN_FLIGHT = Statement(
    f"SELECT 1 FROM outbox WHERE {_AT} AND record_id = :record_id AND holds AND {_TRIED} LIMIT 1"  # noqa: S608
)
# In two parts, one for each index of a record's deliveries: those that hold its lane, and those that do not.
SENT = Statement(
    f"""SELECT 1 FROM outbox WHERE {_AT} AND record_id = :record_id AND holds
       UNION ALL SELECT 1 FROM outbox WHERE {_AT} AND record_id = :record_id AND NOT holds LIMIT 1"""  # noqa: S608
)
_KEY_IN_FLIGHT = Statement(
    f"""SELECT 1 FROM outbox WHERE {_AT} AND idempotency_key = :key AND state IN ('pending', 'leased')
       AND {_TRIED} LIMIT 1"""  # noqa: S608  # our own text
)
_ANY_IN_FLIGHT = Statement(
    f"SELECT 1 FROM outbox WHERE {_AT} AND state IN ('pending', 'leased') AND {_TRIED} LIMIT 1"  # noqa: S608
)
_REARM_TEXT = """UPDATE inbox SET next_attempt_at = :now WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id
       AND state IN ('pending', 'leased') AND state = 'pending' AND next_attempt_at > :now
       AND (error = 'in_flight' OR (error = 'not_here_yet' AND object_id = :object_id))"""
_REARM = Statement(_REARM_TEXT, postgresql=f"{_REARM_TEXT} RETURNING pg_notify('rientro', tenant_id::text)")


class WaitsError(Exception):
    """What was told has to wait; nothing of this attempt was kept."""

    def __init__(self, why: Wait) -> None:
        """One word for what it waits for."""
        super().__init__(why)
        self.why: Wait = why


class Place(NamedTuple):
    """Whose account it was seen at."""

    tenant_id: str
    endpoint_id: str


class Observed(NamedTuple):
    """Drafts with their records: those to apply, in order, those that are older than what is here, the unusable."""

    fresh: list[Identified]
    stale: list[Identified]
    refused: list[tuple[Draft, UnusableEventError]]


async def observe(tx: Tx, place: Place, drafts: Sequence[Draft]) -> Observed:
    """Find the record of each draft, and whether it is news. Raises WaitsError."""
    observed = Observed([], [], [])
    known = await load_identities(tx, place.tenant_id, drafts) if drafts else {}
    for draft in drafts:
        try:
            have = await _matched(tx, place, draft, known)
        except UnusableEventError as error:
            observed.refused.append((draft, error))
            continue
        if have is None and draft.known_only:
            continue
        record_id = new_record_id(draft) if have is None else have.record_id
        final = draft.final or (have is not None and have.final)
        identified = Identified(draft, record_id, is_new=have is None, final=final)
        if have is not None and is_stale(draft, have):
            observed.stale.append(identified)
        else:
            observed.fresh.append(identified)
            known[draft.collection, draft.key] = _grown(have, identified)
    return observed


def is_stale(draft: Draft, have: Known) -> bool:
    """Whether a draft would turn the thing back. As new as what is here is not older: it may say more."""
    if have.final and not draft.final:
        return True
    return draft.watermark is not None and have.watermark is not None and draft.watermark < have.watermark


def _grown(have: Known | None, identified: Identified) -> Known:
    watermark = identified.draft.watermark
    if watermark is None and have is not None:
        watermark = have.watermark
    return Known(identified.record_id, None if have is None else have.strong, watermark, identified.final)


async def _matched(tx: Tx, place: Place, draft: Draft, known: Identities) -> Known | None:
    """What is known of a draft's thing, or None where it is to be made. Raises WaitsError, UnusableEventError."""
    have, ours = find(draft, known), draft.ours
    if ours is None:
        return have
    if have is not None:
        if ours.record_id not in {None, have.record_id}:
            raise UnusableEventError("another_record", "It names a record of ours, and is known to be another one.")
        return have
    if await _in_flight(tx, place, draft.collection, ours):
        raise WaitsError("in_flight")
    if ours.record_id is not None and await _was_sent(tx, place, draft.collection, ours.record_id):
        return Known(ours.record_id, None, None, final=False)
    if ours.record_id is not None or ours.key is not None:
        raise WaitsError("not_here_yet")
    return None


async def _was_sent(tx: Tx, place: Place, collection: str, record_id: str) -> bool:
    """Whether a record ever went to an endpoint: nobody else there can have made anything of it."""
    named = {**place._asdict(), "collection": collection, "record_id": record_id}
    return bool(await tx.fetch(SENT, named))


async def _in_flight(tx: Tx, place: Place, collection: str, ours: Ours) -> bool:
    named = {**place._asdict(), "collection": collection}
    if ours.record_id is not None:
        return bool(await tx.fetch(_RECORD_IN_FLIGHT, {**named, "record_id": ours.record_id}))
    if ours.key is not None:
        return bool(await tx.fetch(_KEY_IN_FLIGHT, {**named, "key": ours.key}))
    return bool(await tx.fetch(_ANY_IN_FLIGHT, named))


@dataclass
class Observer:
    """The door for answers to our own calls. `found` is called when there is something to process again."""

    found: Callable[[], None]
    _rearmed: bool = field(default=False, init=False)

    async def answered(self, writing: Writing, answered: Answered) -> None:
        """Keep the provider's name for what the call made, and wake what was told of it meanwhile."""
        if not json.loads(answered.settings).get("scheme"):
            return  # nobody tells us anything there
        object_id = None
        if answered.reference is not None and _OBJECT_ID.fullmatch(answered.reference):
            object_id = answered.reference
            key = f"{answered.endpoint_id}:{object_id}"
            await name_record(writing.tx, answered.tenant_id, answered.collection, key, answered.record_id)
        named = {"tenant_id": answered.tenant_id, "endpoint_id": answered.endpoint_id, "now": writing.now}
        self._rearmed |= bool(await writing.tx.execute(_REARM, {**named, "object_id": object_id}))

    def settled(self) -> None:
        """Tell this process's processor; others hear it from the database."""
        if self._rearmed:
            self._rearmed = False
            self.found()
