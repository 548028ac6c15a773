"""The tables that are not collections. Every key begins with the tenant: a distributed PostgreSQL can shard by it.

What later issues need has its column from the start (`purged_through`, `departures`, `marks`): a migration can add, but
cannot make up a history that was not kept.
"""

from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.storage.types import InstantType, JsonType, UuidType


def _uuid(*, key: bool = False, nullable: bool = False) -> Any:
    return Field(sa_type=UuidType, primary_key=key, nullable=nullable)


def _text(length: int, *, key: bool = False, nullable: bool = False) -> Any:
    return Field(sa_type=sa.String(length), primary_key=key, nullable=nullable)


def _instant(*, nullable: bool = False) -> Any:
    return Field(sa_type=InstantType, nullable=nullable)


def _big(*, key: bool = False, nullable: bool = False) -> Any:
    return Field(sa_type=sa.BigInteger, primary_key=key, nullable=nullable)


def _zero() -> Any:
    return Field(sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0"})


def _json(*, nullable: bool = False) -> Any:
    return Field(sa_type=JsonType, nullable=nullable)


def _partial(name: str, *columns: str, where: str) -> sa.Index:
    return sa.Index(name, *columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


_FAILING = "failing_since IS NOT NULL AND state IN ('pending', 'leased')"


class TenantRow(SQLModel, table=True):
    """A merchant. Its row is the lock all its writers take.

    `horizon`: tombstones up to this place of the sequence may have been collected; who pulled less must start anew.
    `backed_up_at`: when a backup that was read back last covered it.
    """

    __tablename__ = "tenants"
    tenant_id: str = _uuid(key=True)
    name: str = _text(200)
    seq: int = _big()
    epoch: str = _text(36)
    revision: int = _big()
    horizon: int = _zero()
    backed_up_at: str | None = _instant(nullable=True)
    created_at: str = _instant()


class MarkRow(SQLModel, table=True):
    """A point of the tenant's history: a cursor is valid only where its mark exists."""

    __tablename__ = "marks"
    tenant_id: str = _uuid(key=True)
    seq: int = _big(key=True)
    nonce: str = _text(32, key=True)
    at: str = _instant()


class ShopRow(SQLModel, table=True):
    """A shop of a tenant; its name is the audience of what belongs to it."""

    __tablename__ = "shops"
    tenant_id: str = _uuid(key=True)
    shop: str = _text(64, key=True)


class DeviceRow(SQLModel, table=True):
    """A till or a phone; its secret is stored hashed."""

    __tablename__ = "devices"
    tenant_id: str = _uuid(key=True)
    device_id: str = _uuid(key=True)
    name: str = _text(200)
    role: str = _text(16)
    shop: str = _text(64)
    secret_hash: str = _text(64)
    created_at: str = _instant()
    revoked_at: str | None = _instant(nullable=True)


class ClientRow(SQLModel, table=True):
    """A local database on a device and how far its queue has come. `purged_through`: verdicts up to there are gone."""

    __tablename__ = "clients"
    tenant_id: str = _uuid(key=True)
    client_id: str = _uuid(key=True)
    device_id: str = _uuid()
    last_mutation_id: int = _big()
    purged_through: int = _big()
    safe_mutation_id: int = _zero()
    checkpoint_id: int = _zero()
    checkpoint_at: str | None = _instant(nullable=True)
    created_at: str = _instant()


class MutationRow(SQLModel, table=True):
    """What is remembered of a mutation; `verdict` is NULL where it was plainly applied."""

    __tablename__ = "mutations"
    __table_args__: ClassVar[dict[str, Any]] = {"sqlite_with_rowid": False}
    tenant_id: str = _uuid(key=True)
    uid: str = _uuid(key=True)
    client_id: str = _uuid()
    mutation_id: int = _big()
    version: int | None = _big(nullable=True)
    verdict: str | None = _json(nullable=True)


class RejectedRow(SQLModel, table=True):
    """A mutation that broke a rule, kept whole: `body` is text, for it may hold what no JSON column accepts.

    `resolved_by` is the device a person dealt with it on (NULL: the command line), `resolved_as` the uid of the
    corrected mutation that was accepted in its place (NULL: it was put aside).
    """

    __tablename__ = "rejected"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        sa.Index(None, "tenant_id", "received_at", "uid"),
        sa.Index(None, "tenant_id", "device_id", "received_at", "uid"),
    )
    tenant_id: str = _uuid(key=True)
    uid: str = _uuid(key=True)
    client_id: str = _uuid()
    device_id: str = _uuid()
    mutation_id: int = _big()
    code: str = _text(64)
    message: str = _text(500)
    body: str = Field(sa_type=sa.Text)
    correlation_id: str = _text(64)
    received_at: str = _instant()
    resolved_at: str | None = _instant(nullable=True)
    resolved_by: str | None = _uuid(nullable=True)
    resolved_as: str | None = _uuid(nullable=True)


class SupersededRow(SQLModel, table=True):
    """A value that lost against a concurrent one; listed, and can be restored."""

    __tablename__ = "superseded"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        sa.Index("ix_superseded_record", "tenant_id", "collection", "record_id", "noted_at", "uid", "field"),
        sa.Index(None, "tenant_id", "noted_at", "uid", "field"),
    )
    tenant_id: str = _uuid(key=True)
    uid: str = _uuid(key=True)
    field: str = _text(64, key=True)
    collection: str = _text(64)
    record_id: str = _uuid()
    value: str = _json()
    stamp: str = _instant()
    author: str = _text(100)
    noted_at: str = _instant()


class HeldIncrementRow(SQLModel, table=True):
    """Increments for a counter whose record is not here yet, in its smallest unit."""

    __tablename__ = "held_increments"
    tenant_id: str = _uuid(key=True)
    collection: str = _text(64, key=True)
    record_id: str = _uuid(key=True)
    field: str = _text(64, key=True)
    units: int = _big()


class DepartureRow(SQLModel, table=True):
    """A record left an audience: a tombstone for those who were in it."""

    __tablename__ = "departures"
    __table_args__: ClassVar[tuple[Any, ...]] = (sa.Index(None, "tenant_id", "collection", "audience", "seq"),)
    tenant_id: str = _uuid(key=True)
    seq: int = _big(key=True)
    collection: str = _text(64)
    record_id: str = _uuid()
    version: int = _zero()
    audience: str = _text(80)


class DigestRow(SQLModel, table=True):
    """The sum of a bucket's hashes (`sync.digest`), kept by whoever writes a record of it."""

    __tablename__ = "digests"
    tenant_id: str = _uuid(key=True)
    collection: str = _text(64, key=True)
    audience: str = _text(80, key=True)
    sum: int = _big()


class WaitingRow(SQLModel, table=True):
    """A mutation that waits for its record's creation, with the rights its sender had on arrival.

    `verdict` and `resolved_seq` are set at its end; the verdict is told until the client's cursor has passed that.
    """

    __tablename__ = "waiting"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        _partial("ix_waiting_record", "tenant_id", "collection", "record_id", where="resolved_seq IS NULL"),
        _partial("ix_waiting_told", "tenant_id", "client_id", "resolved_seq", where="resolved_seq IS NOT NULL"),
    )
    tenant_id: str = _uuid(key=True)
    uid: str = _uuid(key=True)
    client_id: str = _uuid()
    device_id: str = _uuid()
    mutation_id: int = _big()
    collection: str = _text(64)
    record_id: str = _uuid()
    role: str = _text(32)
    audiences: str = _json()
    body: str = _json()
    correlation_id: str = _text(64)
    place: int = _big()
    received_at: str = _instant()
    resolved_seq: int | None = _big(nullable=True)
    verdict: str | None = _json(nullable=True)


class HoleRow(SQLModel, table=True):
    """Mutations a client had no more of when the server, gone back in time, asked for them again."""

    __tablename__ = "holes"
    tenant_id: str = _uuid(key=True)
    client_id: str = _uuid(key=True)
    first_id: int = _big(key=True)
    last_id: int = _big()
    noted_at: str = _instant()


class EndpointRow(SQLModel, table=True):
    """A tenant's account at a provider: plain settings beside sealed secrets.

    `not_before`: until when the provider asked to be left alone (`Retry-After`); nothing is sent there earlier.
    """

    __tablename__ = "endpoints"
    tenant_id: str = _uuid(key=True)
    endpoint_id: str = _uuid(key=True)
    provider: str = _text(32)
    name: str = _text(200)
    settings: str = _json()
    sealed: str = Field(sa_type=sa.Text)
    paused: bool = Field(sa_type=sa.Boolean)
    not_before: str | None = _instant(nullable=True)
    created_at: str = _instant()


class GateRow(SQLModel, table=True):
    """What all processes together know of an endpoint's breaker and limiters; no row: nothing was ever to be noted.

    Times are milliseconds since 1970, `full_us` microseconds, for they are calculated with and never shown as they are.
    `ready_ms` is when the gate next lets a call through. What the others mean say `server.resilience.breaker`
    (`state` to `failed_before`) and `.limiter` (`full_us`, and `spent`: pairs of a moment and how many calls).
    """

    __tablename__ = "gates"
    tenant_id: str = _uuid(key=True)
    endpoint_id: str = _uuid(key=True)
    state: str = _text(16)
    failures: int = Field(sa_type=sa.Integer)
    openings: int = Field(sa_type=sa.Integer)
    until_ms: int = _big()
    fence: int = _big()
    half_ms: int = _big()
    calls: int = Field(sa_type=sa.Integer)
    failed: int = Field(sa_type=sa.Integer)
    calls_before: int = Field(sa_type=sa.Integer)
    failed_before: int = Field(sa_type=sa.Integer)
    full_us: int = _big()
    spent: str = _json()
    ready_ms: int = _big()


class ContactRow(SQLModel, table=True):
    """When an endpoint was last reached, to the minute, and what went wrong there last. `error` is a stable word."""

    __tablename__ = "contacts"
    tenant_id: str = _uuid(key=True)
    endpoint_id: str = _uuid(key=True)
    succeeded_at: str | None = _instant(nullable=True)
    failed_at: str | None = _instant(nullable=True)
    error_class: str | None = _text(16, nullable=True)
    error: str | None = _text(64, nullable=True)


class AlertRow(SQLModel, table=True):
    """Something that wants a person, from when it was first seen until it was not seen for a while.

    `subject` is an endpoint's id or a log line's event; what concerns no tenant has the id of nobody. `value` is how
    much of it there is, `told_value` how much of it was told. `next_at` is when it may be told (again): whoever tells
    moves it on first, so that several processes do not tell the same.
    """

    __tablename__ = "alerts"
    tenant_id: str = _uuid(key=True)
    kind: str = _text(16, key=True)
    subject: str = _text(64, key=True)
    since: str = _instant()
    seen_at: str = _instant()
    value: int = _big()
    told: int = _big()
    told_value: int = _big()
    told_at: str | None = _instant(nullable=True)
    next_at: str = _instant()


class BindingRow(SQLModel, table=True):
    """Which endpoint a route's changes go to."""

    __tablename__ = "bindings"
    tenant_id: str = _uuid(key=True)
    route: str = _text(64, key=True)
    endpoint_id: str = _uuid(key=True)


class OutboxRow(SQLModel, table=True):
    """One delivery: what goes to an endpoint because of one accepted change.

    A lane is (endpoint, collection, record), ordered by `sequence`, the record's version; a row that `holds` keeps the
    later ones of its lane waiting. `next_attempt_at` is when a row is looked at next, a leased one too: at its lease's
    end. `fence` grows with every lease, and a settle must name it. `failures` and `failing_since` count from the last
    time a person sent it on its way; `ambiguous`: an attempt may have taken effect without our knowing.
    """

    __tablename__ = "outbox"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        _partial("ix_outbox_due", "endpoint_id", "next_attempt_at", where="state IN ('pending', 'leased')"),
        _partial("ix_outbox_lane", "tenant_id", "endpoint_id", "collection", "record_id", "sequence", where="holds"),
        _partial("ix_outbox_failing", "endpoint_id", "failing_since", where=_FAILING),
        _partial("ix_outbox_dead", "tenant_id", "delivery_id", where="state IN ('dead', 'in_doubt')"),
    )
    tenant_id: str = _uuid(key=True)
    delivery_id: str = _uuid(key=True)
    endpoint_id: str = _uuid()
    route: str = _text(64)
    operation: str = _text(64)
    collection: str = _text(64)
    record_id: str = _uuid()
    sequence: int = _big()
    uid: str = _uuid()
    payload: str = Field(sa_type=sa.Text)
    idempotency_key: str = _text(80)
    correlation_id: str = _text(64)
    state: str = _text(16)
    holds: bool = Field(sa_type=sa.Boolean)
    attempts: int = Field(sa_type=sa.Integer)
    failures: int = Field(sa_type=sa.Integer)
    failing_since: str | None = _instant(nullable=True)
    ambiguous: bool = Field(sa_type=sa.Boolean)
    next_attempt_at: str = _instant()
    lease_owner: str | None = _text(64, nullable=True)
    leased_until: str | None = _instant(nullable=True)
    fence: int = _big()
    error_class: str | None = _text(16, nullable=True)
    error: str | None = _text(64, nullable=True)
    reference: str | None = _text(200, nullable=True)
    created_at: str = _instant()
    settled_at: str | None = _instant(nullable=True)


class AttemptRow(SQLModel, table=True):
    """One attempt at a delivery; without an end where the relay died under it. `code` is a word, never a message."""

    __tablename__ = "attempts"
    tenant_id: str = _uuid(key=True)
    delivery_id: str = _uuid(key=True)
    attempt: int = Field(sa_type=sa.Integer, primary_key=True)
    started_at: str = _instant()
    ended_at: str | None = _instant(nullable=True)
    outcome: str | None = _text(16, nullable=True)
    code: str | None = _text(64, nullable=True)
    status: int | None = Field(sa_type=sa.Integer, nullable=True)
    request_id: str | None = _text(200, nullable=True)


class InboxRow(SQLModel, table=True):
    """One event somebody told us, raw, and what became of it: the row is the queue.

    `contradicts`: another body came before under the same event id. `attempts` counts deliveries to a processor,
    `unended` those among the last in a row that left no trace of their end, `failures` those that failed in a row.
    `next_attempt_at` is when a row is looked at next, a leased one at its lease's end; `fence` grows with every lease,
    and an end must name it. `fetched` and `facts` are what the event pointed at; `records` what came of it.
    """

    __tablename__ = "inbox"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        sa.Index("uq_inbox_body", "tenant_id", "endpoint_id", "event_id", "body_sha256", unique=True),
        sa.Index(
            "uq_inbox_event",
            *("tenant_id", "endpoint_id", "event_id"),
            unique=True,
            sqlite_where=sa.text("NOT contradicts"),
            postgresql_where=sa.text("NOT contradicts"),
        ),
        _partial("ix_inbox_due", "endpoint_id", "next_attempt_at", where="state IN ('pending', 'leased')"),
        _partial("ix_inbox_failing", "endpoint_id", "failing_since", where=_FAILING),
        _partial("ix_inbox_leased", "next_attempt_at", where="state = 'leased'"),
        _partial("ix_inbox_object", "tenant_id", "endpoint_id", "object_id", where="object_id IS NOT NULL"),
        _partial("ix_inbox_stuck", "tenant_id", "receipt_id", where="state IN ('dead', 'quarantined')"),
    )
    tenant_id: str = _uuid(key=True)
    receipt_id: str = _uuid(key=True)
    endpoint_id: str = _uuid()
    provider: str = _text(32)
    source: str = _text(16)
    event_id: str = _text(200)
    event_type: str = _text(64)
    object_id: str | None = _text(200, nullable=True)
    contradicts: bool = Field(sa_type=sa.Boolean)
    body: bytes = Field(sa_type=sa.LargeBinary)
    body_sha256: str = _text(64)
    headers: str = _json()
    verified_by: str = _text(32)
    correlation_id: str = _text(64)
    received_at: str = _instant()
    state: str = _text(16)
    attempts: int = Field(sa_type=sa.Integer)
    unended: int = Field(sa_type=sa.Integer)
    failures: int = Field(sa_type=sa.Integer)
    failing_since: str | None = _instant(nullable=True)
    next_attempt_at: str = _instant()
    lease_owner: str | None = _text(64, nullable=True)
    leased_until: str | None = _instant(nullable=True)
    fence: int = _big()
    error_class: str | None = _text(16, nullable=True)
    error: str | None = _text(64, nullable=True)
    reason: str | None = _text(500, nullable=True)
    fetched: bytes | None = Field(sa_type=sa.LargeBinary, nullable=True)
    facts: str | None = _json(nullable=True)
    records: str | None = _json(nullable=True)
    ended_at: str | None = _instant(nullable=True)


class IdentityRow(SQLModel, table=True):
    """Under which record of ours a thing of a provider's is known.

    `strong` is set on a weak key: the key that names the record for certain, so that another one does not share it.
    """

    __tablename__ = "identities"
    tenant_id: str = _uuid(key=True)
    collection: str = _text(64, key=True)
    key: str = _text(200, key=True)
    record_id: str = _uuid()
    strong: str | None = _text(200, nullable=True)
    watermark: int | None = _big(nullable=True)
    final: bool = Field(sa_type=sa.Boolean, sa_column_kwargs={"server_default": sa.false()})


class RefusalRow(SQLModel, table=True):
    """How many webhooks an endpoint refused on a day, and why; nothing of what they said is kept."""

    __tablename__ = "refusals"
    tenant_id: str = _uuid(key=True)
    endpoint_id: str = _uuid(key=True)
    day: str = _text(10, key=True)
    reason: str = _text(32, key=True)
    times: int = _big()
    first_at: str = _instant()
    last_at: str = _instant()


class PollRow(SQLModel, table=True):
    """How far an endpoint was polled, and when it is polled next; `fence` as for deliveries.

    `epoch` is the tenant's when a turn was last taken: the cursor goes back where it is another one. `finished_at` is
    when a turn last came to its end in that epoch.
    """

    __tablename__ = "polls"
    tenant_id: str = _uuid(key=True)
    endpoint_id: str = _uuid(key=True)
    cursor: str | None = Field(sa_type=sa.Text, nullable=True)
    next_poll_at: str = _instant()
    leased_until: str | None = _instant(nullable=True)
    fence: int = _big()
    failures: int = Field(sa_type=sa.Integer)
    error: str | None = _text(64, nullable=True)
    finished_at: str | None = _instant(nullable=True)
    epoch: str | None = _text(36, nullable=True)


class TokenRow(SQLModel, table=True):
    """An endpoint's OAuth tokens, sealed, and who may renew them: one lease, in all processes.

    `fence` grows with every lease and every new token, and whoever stores must name it. `in_doubt`: the refresh token
    was put under way and no answer is stored, so the provider may have spent it. `refresh_at` is when it is renewed
    early, `retry_at` when it is tried again after a failure. `lost`: only a person can connect it anew.
    """

    __tablename__ = "tokens"
    tenant_id: str = _uuid(key=True)
    endpoint_id: str = _uuid(key=True)
    sealed: str = Field(sa_type=sa.Text)
    expires_at: str = _instant()
    refresh_at: str = _instant()
    retry_at: str | None = _instant(nullable=True)
    lease_owner: str | None = _text(64, nullable=True)
    leased_until: str | None = _instant(nullable=True)
    fence: int = _big()
    in_doubt: bool = Field(sa_type=sa.Boolean)
    lost: bool = Field(sa_type=sa.Boolean)
    failures: int = Field(sa_type=sa.Integer)
    error: str | None = _text(64, nullable=True)
    stored_at: str = _instant()


class ConsentRow(SQLModel, table=True):
    """A consent somebody was sent to give at a provider: the state, hashed, is good once and for a short time."""

    __tablename__ = "consents"
    tenant_id: str = _uuid(key=True)
    state_hash: str = _text(64, key=True)
    endpoint_id: str = _uuid()
    sealed: str = Field(sa_type=sa.Text)
    redirect_uri: str = _text(500)
    expires_at: str = _instant()


class SecretDateRow(SQLModel, table=True):
    """The dates of one secret of an endpoint; the secret itself is sealed in the endpoint's row.

    `next_from`: another one takes its place then. `replace_by`: our own schedule. `expires_at`: a certificate's end.
    """

    __tablename__ = "secret_dates"
    tenant_id: str = _uuid(key=True)
    endpoint_id: str = _uuid(key=True)
    name: str = _text(64, key=True)
    set_at: str = _instant()
    next_from: str | None = _instant(nullable=True)
    replace_by: str | None = _instant(nullable=True)
    expires_at: str | None = _instant(nullable=True)
