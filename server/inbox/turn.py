"""A turn at polling one endpoint: its lease, its pages, its end, as they are stored.

A page's events and the cursor after it are stored together, and only under the turn's fence. A turn in another epoch
than the last one goes back to the last poll that this database knows to have ended: what came later may be lost here,
and what came before is in the same database as that end.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from server.inbox.accounts import Address
from server.inbox.receive import fit_event_id
from server.inbox.store import Incoming, is_known, store
from server.ports import Account, Found, Polled, Poller
from server.resilience.classify import Classified
from server.resilience.contacts import Contacts
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.clock import decode_instant, encode_instant

LEASE_S = 120

_KNOWN = Statement(
    """SELECT epoch, cursor, finished_at FROM polls WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id"""
)
_CLAIM = Statement(
    """INSERT INTO polls (tenant_id, endpoint_id, next_poll_at, leased_until, fence, failures, cursor, epoch)
       VALUES (:tenant_id, :endpoint_id, :now, :until, 1, 0, :cursor, :epoch)
       ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET leased_until = excluded.leased_until,
         fence = polls.fence + 1, cursor = excluded.cursor, epoch = excluded.epoch,
         finished_at = CASE WHEN polls.epoch = excluded.epoch THEN polls.finished_at END
       WHERE (polls.next_poll_at <= excluded.next_poll_at OR polls.epoch IS NULL OR polls.epoch <> excluded.epoch)
         AND (polls.leased_until IS NULL OR polls.leased_until <= excluded.next_poll_at)
       RETURNING fence, cursor, failures, finished_at"""
)
_FENCED = "WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND fence = :fence AND leased_until IS NOT NULL"
_GO_ON = Statement(f"UPDATE polls SET cursor = :cursor, leased_until = :until {_FENCED}")  # noqa: S608  # our own text
_FINISH = Statement(
    f"""UPDATE polls SET next_poll_at = :next_poll_at, leased_until = NULL, failures = :failures, error = :error,
       finished_at = coalesce(:finished_at, finished_at) {_FENCED}"""  # noqa: S608
)


class Turn(NamedTuple):
    """One poll of one endpoint under a lease of ours. `is_first`: none has ended in this epoch yet."""

    address: Address
    account: Account
    provider: str
    poller: Poller
    fence: int
    failures: int
    correlation_id: str
    is_first: bool = False


class TurnEnd(NamedTuple):
    """What a turn came to: how its last call ended, failures in a row, and when the next one is due."""

    classified: Classified
    failures: int
    due_ms: int


class ClaimedTurn(NamedTuple):
    """A lease on an endpoint's polls, and where to go on. `rewound`: another epoch has begun since the last turn.

    `is_first`: no turn has ended in this epoch yet.
    """

    fence: int
    cursor: str | None
    failures: int
    rewound: bool
    is_first: bool


Rewind = Callable[[str, int], str]
"""A cursor that begins at a moment (ms since 1970) at the latest, from one that may be later."""


class PollLostError(Exception):
    """The lease ran out and another process polls this endpoint."""


async def claim_turn(writer: Writer, address: Address, rewind: Rewind) -> ClaimedTurn | None:
    """Take the lease on an endpoint's polls, or None where it is not to be had. Raises UnknownTenantError."""
    return await writer.submit(Job([address.tenant_id], partial(_claim, address, rewind)))


async def store_page(writer: Writer, turn: Turn, polled: Polled, new_ids: list[str]) -> int:
    """Store a page and go on; how many of its events were new. Raises PollLostError, DatabaseError.

    `new_ids` has an id for each event.
    """
    run = partial(_store, turn, polled, new_ids)
    return await writer.submit(Job([turn.address.tenant_id], run))


async def finish_turn(writer: Writer, turn: Turn, end: TurnEnd, contacts: Contacts) -> None:
    """Give the lease back, and say when the next turn is due. The first to end in an epoch is told to relays."""
    run = partial(_finish, turn, end, contacts)
    await writer.submit(Job([turn.address.tenant_id] if turn.is_first else [], run))


async def _store(turn: Turn, polled: Polled, new_ids: list[str], writing: Writing) -> int:
    until = encode_instant(writing.now_ms + LEASE_S * 1000)
    named = {**turn.address._asdict(), "fence": turn.fence, "cursor": polled.cursor, "until": until}
    if not await writing.tx.execute(_GO_ON, named):
        raise PollLostError
    stored = 0
    for found, receipt_id in zip(polled.found, new_ids, strict=True):
        incoming = _incoming(turn, found)
        if not await is_known(writing, incoming):
            stored += (await store(writing, incoming, receipt_id)).outcome == "stored"
    return stored


async def _finish(turn: Turn, end: TurnEnd, contacts: Contacts, writing: Writing) -> None:
    failed = end.classified.error_class is not None
    named = {
        **turn.address._asdict(),
        "fence": turn.fence,
        "next_poll_at": encode_instant(end.due_ms),
        "failures": end.failures,
        "error": end.classified.code if failed else None,
        "finished_at": None if failed else writing.now,
    }
    if not await writing.tx.execute(_FINISH, named):
        return
    await contacts.note(writing, *turn.address, end.classified)
    if turn.is_first and not failed:
        writing.tenant(turn.address.tenant_id).revision += 1


async def _claim(address: Address, rewind: Rewind, writing: Writing) -> ClaimedTurn | None:
    epoch, known = writing.tenant(address.tenant_id).epoch, await writing.tx.fetch(_KNOWN, address)
    last_epoch, cursor, finished_at = known[0] if known else (None, None, None)
    rewound = last_epoch not in {None, epoch}
    if rewound and cursor is not None:  # a first round that never ended begins anew
        cursor = None if finished_at is None else rewind(cursor, decode_instant(finished_at))
    until = encode_instant(writing.now_ms + LEASE_S * 1000)
    named = {**address._asdict(), "now": writing.now, "until": until, "cursor": cursor, "epoch": epoch}
    rows = await writing.tx.fetch(_CLAIM, named)
    if not rows:
        return None
    fence, cursor, failures, finished_at = rows[0]
    return ClaimedTurn(fence, cursor, failures, rewound, finished_at is None)


def _incoming(turn: Turn, found: Found) -> Incoming:
    return Incoming(
        *turn.address,
        provider=turn.provider,
        source="poll",
        event_id=fit_event_id(found.event_id),
        event_type=found.event_type,
        object_id=fit_event_id(found.object_id),
        body=found.body,
        headers={},
        verified_by="poll",
        correlation_id=turn.correlation_id,
    )
