"""Keeping what came in: one insert an event, before anything is done with it.

Rules:

1. An event is known by (tenant, endpoint, event id). The same body again changes nothing where the first was finished,
   and makes it due at once where it was not: nothing that was recorded stays behind.
2. Another body under a known id is kept in a row of its own and quarantined: somebody must look, and nothing is lost.
   Where the vendor's id alone says what is the same (`by_id`), another body is the same event.
3. What a poll found counts as known where its object came in before, by whatever event; `by_id`, where its event did.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Literal, NamedTuple

from pydantic_core import to_json

from server.storage.database import Row
from server.storage.statement import Statement
from server.storage.writer import Writing

Stored = Literal[
    "stored",  # it is new, and due
    "duplicate",  # it was here before, and is finished
    "rearmed",  # it was here before, is not finished, and is due at once
    "contradicts",  # another body was here before under its id: quarantined
]
SourceName = Literal["webhook", "poll"]

_COLUMNS = (
    "tenant_id", "receipt_id", "endpoint_id", "provider", "source", "event_id", "event_type", "object_id",
    "contradicts", "body", "body_sha256", "headers", "verified_by", "correlation_id", "received_at", "state",
    "attempts", "unended", "failures", "next_attempt_at", "fence", "error_class", "error", "reason",
)  # fmt: skip
_INSERT_TEXT = (
    f"INSERT INTO inbox ({', '.join(_COLUMNS)}) "  # noqa: S608  # our own names
    f"VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) ON CONFLICT DO NOTHING"
)
# The processors of other processes hear of it; a group of one tenant's commits makes one notification.
_INSERT = Statement(
    _INSERT_TEXT, postgresql=f"{_INSERT_TEXT} RETURNING pg_notify('rientro', tenant_id::text)", names=_COLUMNS
)
_KNOWN = Statement(
    """SELECT receipt_id, state, error, correlation_id, contradicts, body_sha256 FROM inbox
       WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND event_id = :event_id
       AND (body_sha256 = :digest OR NOT contradicts)"""
)
_SEEN = Statement(
    """SELECT 1 FROM inbox WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND object_id = :object_id
       LIMIT 1"""
)
_REARM_TEXT = """UPDATE inbox SET state = 'pending', next_attempt_at = :now, ended_at = NULL,
       failures = CASE WHEN state = 'dead' THEN 0 ELSE failures END,
       failing_since = CASE WHEN state = 'dead' THEN NULL ELSE failing_since END
       WHERE tenant_id = :tenant_id AND receipt_id = :receipt_id AND state IN ('pending', 'dead')"""
_REARM = Statement(_REARM_TEXT, postgresql=f"{_REARM_TEXT} RETURNING pg_notify('rientro', tenant_id::text)")

_SEEN_EVENT = Statement(
    """SELECT 1 FROM inbox WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id AND event_id = :event_id
       LIMIT 1"""
)
WAITING = Statement(
    """SELECT receipt_id, correlation_id FROM inbox WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id
       AND object_id = :object_id AND state IN ('pending', 'leased') AND object_id IS NOT NULL AND state = 'pending'
       LIMIT 1"""
)

ISOLATED = "isolated"
"""The error of a row whose processing killed its process again and again: only a person sends it on its way anew."""


class Incoming(NamedTuple):
    """An event to store. `headers` are already redacted."""

    tenant_id: str
    endpoint_id: str
    provider: str
    source: SourceName
    event_id: str
    event_type: str
    object_id: str | None
    body: bytes
    headers: Mapping[str, str]
    verified_by: str
    correlation_id: str
    by_id: bool = False

    @property
    def digest(self) -> str:
        """What two tellings of the same event share, as hex."""
        return sha256(self.event_id.encode() if self.by_id else self.body).hexdigest()


class Receipt(NamedTuple):
    """What became of it, and the correlation id that it was first known by."""

    receipt_id: str
    outcome: Stored
    correlation_id: str


async def store(writing: Writing, incoming: Incoming, receipt_id: str) -> Receipt:
    """Store an event, inside a job that names its tenant. Raises UnknownTenantError where that is gone."""
    writing.tenant(incoming.tenant_id)
    digest = incoming.digest
    if await _insert(writing, incoming, receipt_id, digest):
        return Receipt(receipt_id, "stored", incoming.correlation_id)
    named = {
        "tenant_id": incoming.tenant_id,
        "endpoint_id": incoming.endpoint_id,
        "event_id": incoming.event_id,
        "digest": digest,
    }
    same = [row for row in await writing.tx.fetch(_KNOWN, named) if row[5] == digest]
    if not same:
        await _insert(writing, incoming, receipt_id, digest, contradicts=True)
        return Receipt(receipt_id, "contradicts", incoming.correlation_id)
    return await _again(writing, incoming.tenant_id, same[0])


async def _again(writing: Writing, tenant_id: str, known: Row) -> Receipt:
    receipt_id, state, error, correlation_id, contradicts, _ = known
    if contradicts:
        return Receipt(receipt_id, "contradicts", correlation_id)
    if state in {"pending", "dead"} and error != ISOLATED:
        await writing.tx.execute(_REARM, {"now": writing.now, "tenant_id": tenant_id, "receipt_id": receipt_id})
        return Receipt(receipt_id, "rearmed", correlation_id)
    return Receipt(receipt_id, "duplicate", correlation_id)


async def rearm_waiting(writing: Writing, incoming: Incoming) -> Receipt | None:
    """Make due at once what waits about the same object; None where nothing does."""
    writing.tenant(incoming.tenant_id)
    named = {"tenant_id": incoming.tenant_id, "endpoint_id": incoming.endpoint_id, "object_id": incoming.object_id}
    for receipt_id, correlation_id in await writing.tx.fetch(WAITING, named):
        named = {"now": writing.now, "tenant_id": incoming.tenant_id, "receipt_id": receipt_id}
        await writing.tx.execute(_REARM, named)
        return Receipt(receipt_id, "rearmed", correlation_id)
    return None


async def is_known(writing: Writing, incoming: Incoming) -> bool:
    """Whether an event about the same object was stored before; `by_id`, the very event."""
    at = {"tenant_id": incoming.tenant_id, "endpoint_id": incoming.endpoint_id}
    if incoming.by_id:
        return bool(await writing.tx.fetch(_SEEN_EVENT, {**at, "event_id": incoming.event_id}))
    return bool(await writing.tx.fetch(_SEEN, {**at, "object_id": incoming.object_id}))


async def _insert(
    writing: Writing, incoming: Incoming, receipt_id: str, digest: str, *, contradicts: bool = False
) -> bool:
    why = (
        ("permanent", "contradicts", "another body came before under the same event id") if contradicts else (None,) * 3
    )
    row = (
        *(incoming.tenant_id, receipt_id, incoming.endpoint_id, incoming.provider, incoming.source),
        *(incoming.event_id, incoming.event_type, incoming.object_id, contradicts, incoming.body, digest),
        *(to_json(dict(incoming.headers)).decode(), incoming.verified_by, incoming.correlation_id, writing.now),
        *("quarantined" if contradicts else "pending", 0, 0, 0, writing.now, 0, *why),
    )
    return bool(await writing.tx.execute(_INSERT, row))
