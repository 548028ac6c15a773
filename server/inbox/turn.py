"""A turn at polling one endpoint: its lease, its pages, its end, as they are stored.

Rules:

1. A page's events and the cursor after it are stored together, and only under the turn's fence.
2. A turn in another epoch than the last one goes back to the last poll that this database knows to have ended: what
   came later may be lost here, and what came before is in the same database as that end.
3. Every page is a call, and takes from its endpoint's gate: the first with the turn's claim, each other one with the
   page before. A turn whose next page is not let through ends there, to go on when it is; that is no failure.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from pydantic import BaseModel

from server.inbox.accounts import Address
from server.inbox.receive import fit_event_id
from server.inbox.store import Incoming, is_known, store
from server.ports import Account, Found, Polled, Poller
from server.resilience.breaker import Sign, sign_of
from server.resilience.classify import Classified
from server.resilience.contacts import Contacts
from server.resilience.entry import Entry, Passed, enter, leave_alone, told
from server.resilience.gate_sql import Asking, GateKey
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.clock import decode_instant, encode_instant

LEASE_S = 120
DEADLINE_S = 60
"""How long a page may take, at most; its endpoint's own deadline bounds it too."""

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
    """One poll of one endpoint under a lease of ours. `is_first`: none has ended in this epoch yet.

    `form` says what its endpoint's limits are by default.
    """

    address: Address
    account: Account
    provider: str
    poller: Poller
    fence: int
    failures: int
    correlation_id: str
    is_first: bool = False
    form: type[BaseModel] | None = None

    @property
    def key(self) -> GateKey:
        """Whose gate its calls take from."""
        return GateKey(*self.address)


class TurnEnd(NamedTuple):
    """What a turn came to: how its last call ended, failures in a row, and when the next one is due.

    `is_over`: the round came to its end, or failed; else it goes on. `passed` is a call that is still to be told of,
    with its `status`; where the round goes on, it was not made. `not_before_ms`: until when to be left alone.
    """

    classified: Classified
    failures: int
    due_ms: int
    is_over: bool = True
    passed: Passed | None = None
    status: int | None = None
    not_before_ms: int | None = None


class ClaimedTurn(NamedTuple):
    """A lease on an endpoint's polls, and where to go on; its first call was let through.

    `rewound`: another epoch has begun since the last turn. `is_first`: no turn has ended in this epoch yet.
    """

    fence: int
    cursor: str | None
    failures: int
    rewound: bool
    is_first: bool
    passed: Passed


class Page(NamedTuple):
    """A page that was answered, with an id for each of its events; `more`: there is a next one."""

    polled: Polled
    new_ids: Sequence[str]
    more: bool
    passed: Passed
    dice: float


class Kept(NamedTuple):
    """A page as it was stored: how many of its events were new, and the call for the next one if it was let through.

    `closed`: the endpoint's breaker closed by it.
    """

    stored: int
    passed: Passed | None
    closed: bool


Rewind = Callable[[str, int], str]
"""A cursor that begins at a moment (ms since 1970) at the latest, from one that may be later."""


class PollLostError(Exception):
    """The lease ran out and another process polls this endpoint."""


async def claim_turn(
    writer: Writer, address: Address, rewind: Rewind, form: type[BaseModel] | None = None
) -> ClaimedTurn | None:
    """Take the lease on an endpoint's polls, and its first call from the gate; None where either is not to be had.

    Raises UnknownTenantError.
    """
    return await writer.submit(Job([address.tenant_id], partial(_claim, address, rewind, form)))


async def store_page(writer: Writer, turn: Turn, page: Page) -> Kept:
    """Store a page and go on. Raises PollLostError, DatabaseError."""
    return await writer.submit(Job([turn.address.tenant_id], partial(_store, turn, page)))


async def finish_turn(writer: Writer, turn: Turn, end: TurnEnd, contacts: Contacts, dice: float) -> None:
    """Give the lease back, and say when the next turn is due. The first to end in an epoch is told to relays."""
    tenants = [turn.address.tenant_id] if turn.is_first or end.passed is not None else []
    await writer.submit(Job(tenants, partial(_finish, turn, end, contacts, dice)))


async def _store(turn: Turn, page: Page, writing: Writing) -> Kept:
    polled = page.polled
    until = encode_instant(writing.now_ms + LEASE_S * 1000)
    named = {**turn.address._asdict(), "fence": turn.fence, "cursor": polled.cursor, "until": until}
    if not await writing.tx.execute(_GO_ON, named):
        raise PollLostError
    stored = 0
    for found, receipt_id in zip(polled.found, page.new_ids, strict=True):
        incoming = _incoming(turn, found)
        if not await is_known(writing, incoming):
            stored += (await store(writing, incoming, receipt_id)).outcome == "stored"
    closed = await _report(turn, page.passed, "worked", page.dice, writing)
    return Kept(stored, await _next_call(turn, writing) if page.more else None, closed)


async def _next_call(turn: Turn, writing: Writing) -> Passed | None:
    entry = await enter(writing, _asking(turn.address), turn.form)
    return None if entry is None else await _pass(entry, writing)


async def _pass(entry: Entry, writing: Writing) -> Passed | None:
    if entry.allowed(writing, 1):
        return await entry.take(writing, 1)
    await entry.turn_away(writing)
    return None


async def _report(turn: Turn, passed: Passed, sign: Sign | None, dice: float, writing: Writing) -> bool:
    closed = await told(writing, turn.key, passed, sign, dice)
    if closed:
        writing.tenant(turn.address.tenant_id).revision += 1  # tells processes elsewhere, as a delivery's end does
    return closed


def _asking(address: Address) -> Asking:
    return Asking(GateKey(*address), "poll", DEADLINE_S * 1000)


async def _finish(turn: Turn, end: TurnEnd, contacts: Contacts, dice: float, writing: Writing) -> None:
    failed = end.classified.error_class is not None
    named = {
        **turn.address._asdict(),
        "fence": turn.fence,
        "next_poll_at": encode_instant(end.due_ms),
        "failures": end.failures,
        "error": end.classified.code if failed else None,
        "finished_at": writing.now if end.is_over and not failed else None,
    }
    if not await writing.tx.execute(_FINISH, named):
        return
    if end.is_over or end.passed is None:
        await contacts.note(writing, *turn.address, end.classified)
    if end.passed is not None:
        sign = sign_of(end.classified, end.status) if end.is_over else None
        await _report(turn, end.passed, sign, dice, writing)
    await leave_alone(writing, turn.key, end.not_before_ms)
    if turn.is_first and end.is_over and not failed:
        writing.tenant(turn.address.tenant_id).revision += 1


async def _claim(
    address: Address, rewind: Rewind, form: type[BaseModel] | None, writing: Writing
) -> ClaimedTurn | None:
    entry = await enter(writing, _asking(address), form)
    if entry is None:
        return None
    if not entry.allowed(writing, 1):
        await entry.turn_away(writing)
        return None
    epoch, known = writing.tenant(address.tenant_id).epoch, await writing.tx.fetch(_KNOWN, address)
    last_epoch, cursor, finished_at = known[0] if known else (None, None, None)
    rewound = last_epoch not in {None, epoch}
    if rewound and cursor is not None:  # a first round that never ended begins anew
        cursor = None if finished_at is None else rewind(cursor, decode_instant(finished_at))
    until = encode_instant(writing.now_ms + LEASE_S * 1000)
    named = {**address._asdict(), "now": writing.now, "until": until, "cursor": cursor, "epoch": epoch}
    for fence, begin, failures, ended_at in await writing.tx.fetch(_CLAIM, named):
        passed = await entry.take(writing, 1)
        return ClaimedTurn(fence, begin, failures, rewound, ended_at is None, passed)
    return None


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
        by_id=found.by_id,
    )
