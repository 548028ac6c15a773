"""The end of an attempt, together with what it says: one transaction, guarded by the fence.

Rules:

1. Every ending UPDATE names the fence. Whose lease was taken over ends nothing: the job raises, and the records it
   would have written are rolled back with it.
2. What was told is written through the engine's door, in wire form, checked as strictly as a client's. A mutation's uid
   follows from (provider, endpoint, version told, key, the mapping's version), so that the same news applies once,
   whoever brings it again.
3. A draft that is refused is no reason to lose the others of its event, nor to count as applied: the job raises with
   the refused ones, and is run again without them, to end in quarantine.
4. What is older than what is here is left out; an event with nothing else in it ends as `stale`.
5. What a fetch came to is told to its endpoint's gate in that transaction too.
6. What ends in quarantine is shown to the owner in the feed (`shown`), and files that records name are kept (`files`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any

from pydantic_core import to_json

from server.ids import derived
from server.inbox.claim import Claimed
from server.inbox.decide import Ending
from server.inbox.files import keep_files
from server.inbox.handle import Result
from server.inbox.identities import Identified, remember
from server.inbox.observe import Observed, Place, WaitsError, observe
from server.inbox.shown import Showing
from server.ports import Applying, Cause, Draft, UnusableEventError
from server.resilience.breaker import sign_of
from server.resilience.contacts import Contacts
from server.resilience.entry import leave_alone, nobody, told
from server.resilience.gate_sql import GateKey
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.clock import encode_instant
from sync.protocol import Mutation, Registry, Unusable

_FENCED = "WHERE tenant_id = :tenant_id AND receipt_id = :receipt_id AND fence = :fence AND state = 'leased'"
_END = Statement(
    f"""UPDATE inbox SET state = :state, next_attempt_at = :next_attempt_at, failures = :failures,
       failing_since = :failing_since, error_class = :error_class, error = :error, reason = :reason, unended = 0,
       fetched = coalesce(:fetched, fetched), facts = coalesce(:facts, facts), records = coalesce(:records, records),
       ended_at = :ended_at, lease_owner = NULL, leased_until = NULL {_FENCED}"""  # noqa: S608  # our own text
)
_RELEASE = Statement(
    f"""UPDATE inbox SET state = 'pending', next_attempt_at = :next_attempt_at, attempts = attempts - 1,
       unended = unended - 1, lease_owner = NULL, leased_until = NULL {_FENCED}"""  # noqa: S608
)


class LeaseLostError(Exception):
    """The lease ran out and another processor has taken the event over."""


class DraftsRefusedError(Exception):
    """Some of what an event says breaks a rule of ours; nothing of this attempt was kept."""

    def __init__(self, refused: Sequence[tuple[Draft, UnusableEventError]]) -> None:
        """The refused drafts, each with why."""
        super().__init__()
        self.refused = refused


@dataclass(frozen=True)
class Ender:
    """Ends attempts. `random` gives [0, 1); `opened` is called when an endpoint's breaker closed."""

    writer: Writer
    registry: Registry
    applying: Applying
    random: Callable[[], float]
    opened: Callable[[], None] = nobody
    contacts: Contacts = field(default_factory=Contacts)

    async def end(self, claimed: Claimed, ending: Ending, result: Result, drafts: Sequence[Draft]) -> Ending:
        """Write an attempt's end and apply its drafts; the end as it was written.

        Raises LeaseLostError, DraftsRefusedError, WaitsError, DatabaseError, UnknownTenantError, and what applying
        raised.
        """
        run = partial(self._end, claimed, ending, result, drafts)
        ending, closed = await self.writer.submit(Job([claimed.tenant_id], run, weight=max(1, len(drafts))))
        if closed:
            self.opened()
        return ending

    async def release(self, claimed: Claimed, due_ms: int) -> None:
        """Give a lease back as if it had not been taken. Raises DatabaseError."""
        await self.writer.submit(Job([claimed.tenant_id], partial(_release, claimed, due_ms)))

    async def _end(
        self, claimed: Claimed, ending: Ending, result: Result, drafts: Sequence[Draft], writing: Writing
    ) -> tuple[Ending, bool]:
        """The end as it was written, and whether the endpoint's breaker closed."""
        observed = await observe(writing.tx, Place(claimed.tenant_id, claimed.endpoint_id), drafts)
        if observed.refused:
            raise DraftsRefusedError(observed.refused)
        ending = _told_stale(ending, observed)
        identified = [*observed.fresh, *observed.stale]
        if not await writing.tx.execute(_END, _ended(claimed, ending, result, identified, writing.now)):
            raise LeaseLostError
        closed = await self._report(claimed, result, writing)
        if observed.fresh:
            await self._apply(claimed, observed.fresh, writing)
            await keep_files(writing, claimed.tenant_id, result.reading.files)
        await Showing(self.registry, self.applying).ended(claimed, ending, result, writing)
        return ending, closed

    async def _report(self, claimed: Claimed, result: Result, writing: Writing) -> bool:
        """What a fetch came to, as health, gate and endpoint are told of it; whether the breaker closed."""
        key, called, closed = _gate_of(claimed), result.called, False
        if called is not None:
            await self.contacts.note(writing, *key, called.classified)
        if claimed.passed is not None:
            sign = called and sign_of(called.classified, called.status)
            closed = await told(writing, key, claimed.passed, sign, self.random())
        if closed:
            writing.tenant(claimed.tenant_id).revision += 1  # tells processes elsewhere, who wait for the probe's lease
        await leave_alone(writing, key, result.not_before_ms)
        return closed

    async def _apply(self, claimed: Claimed, identified: Sequence[Identified], writing: Writing) -> None:
        parsed = [self.registry.parse_mutation(_mutation(claimed, one)) for one in identified]
        refused = [
            (one.draft, UnusableEventError(unusable.code, unusable.message))
            for one, unusable in zip(identified, parsed, strict=True)
            if isinstance(unusable, Unusable)
        ]
        if refused:
            raise DraftsRefusedError(refused)
        mutations: list[Mutation] = [one for one in parsed if not isinstance(one, Unusable)]
        cause = Cause(claimed.correlation_id, claimed.endpoint.provider)
        author = f"provider:{claimed.endpoint_id}"
        outcomes = await self.applying.apply(writing, claimed.tenant_id, author, mutations, cause)
        for one, outcome in zip(identified, outcomes, strict=True):
            if one.draft.ours is not None and outcome.code == "unknown_record":
                raise WaitsError("not_here_yet")
        refused = [
            (one.draft, UnusableEventError(outcome.code or "rejected", outcome.message or ""))
            for one, outcome in zip(identified, outcomes, strict=True)
            if outcome.status == "rejected"
        ]
        if refused:
            raise DraftsRefusedError(refused)
        await remember(writing.tx, claimed.tenant_id, identified)


def _told_stale(ending: Ending, observed: Observed) -> Ending:
    """The end, with what it says of drafts that are older than what is here."""
    if ending.state != "done" or not observed.stale:
        return ending
    if not observed.fresh:
        return ending._replace(state="stale", reason="it is older than what is here")
    return ending._replace(reason=f"{len(observed.stale)} of its records are older than what is here")


def _mutation(claimed: Claimed, identified: Identified) -> dict[str, Any]:
    draft, record_id, is_new, _ = identified
    version = draft.version or claimed.event_id
    if not draft.version and claimed.contradicts:  # another body under a known id: told apart from what came before
        version = f"{version} {sha256(claimed.body).hexdigest()}"
    if draft.mapping > 1:  # read anew by another mapping, the same event says something else
        version = f"{version} mapping:{draft.mapping}"
    return {
        "mutation_id": 1,
        "uid": derived("told", claimed.endpoint.provider, claimed.endpoint_id, version, draft.collection, draft.key),
        "op": "create" if is_new else "update",
        "collection": draft.collection,
        "record_id": record_id,
        "timestamp": claimed.received_at,
        "fields": {**draft.fields, **draft.once} if is_new else draft.fields,
    }


def _ended(
    claimed: Claimed, ending: Ending, result: Result, identified: Sequence[Identified], now: str
) -> dict[str, Any]:
    records = [{"collection": one.draft.collection, "record_id": one.record_id} for one in identified]
    fetched = result.fetched
    return {
        "tenant_id": claimed.tenant_id,
        "receipt_id": claimed.receipt_id,
        "fence": claimed.fence,
        "state": ending.state,
        "next_attempt_at": encode_instant(ending.next_attempt_ms),
        "failures": ending.failures,
        "failing_since": ending.failing_since,
        "error_class": ending.error_class,
        "error": ending.error,
        "reason": ending.reason,
        "fetched": None if fetched is None else fetched.content,
        "facts": None if fetched is None else to_json(dict(fetched.facts)).decode(),
        "records": to_json(records).decode() if records else None,
        "ended_at": None if ending.state == "pending" else now,
    }


def _gate_of(claimed: Claimed) -> GateKey:
    return GateKey(claimed.tenant_id, claimed.endpoint_id)


async def _release(claimed: Claimed, due_ms: int, writing: Writing) -> None:
    named = {
        "tenant_id": claimed.tenant_id,
        "receipt_id": claimed.receipt_id,
        "fence": claimed.fence,
        "next_attempt_at": encode_instant(due_ms),
    }
    if await writing.tx.execute(_RELEASE, named) and claimed.passed is not None:
        await told(writing, _gate_of(claimed), claimed.passed, None, 0)
