"""A tenant's accounts at providers: settings, secrets, tokens, limits, and how they fare."""

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.storage.tables.columns import counted, instant, integer, json_text, text, uuid
from server.storage.types import JsonType


class EndpointRow(SQLModel, table=True):
    """A tenant's account at a provider: plain settings beside sealed secrets.

    `not_before`: until when the provider asked to be left alone (`Retry-After`); nothing is sent there earlier.
    `fallback_id` is another endpoint of the same provider: what waited here for `fallback_after_s` seconds while nobody
    could be reached goes there, where its route allows it.
    `epoch`: the tenant's epoch in which its deliveries were last taken up again, where there was more than one.
    """

    __tablename__ = "endpoints"
    tenant_id: str = uuid(key=True)
    endpoint_id: str = uuid(key=True)
    provider: str = text(32)
    name: str = text(200)
    settings: str = json_text()
    sealed: str = Field(sa_type=sa.Text)
    paused: bool = Field(sa_type=sa.Boolean)
    not_before: str | None = instant(nullable=True)
    created_at: str = instant()
    fallback_id: str | None = uuid(nullable=True)
    fallback_after_s: int | None = integer(nullable=True)
    epoch: str | None = text(36, nullable=True)


class BindingRow(SQLModel, table=True):
    """Which endpoint a route's changes go to."""

    __tablename__ = "bindings"
    tenant_id: str = uuid(key=True)
    route: str = text(64, key=True)
    endpoint_id: str = uuid(key=True)


class TokenRow(SQLModel, table=True):
    """An endpoint's OAuth tokens, sealed, and who may renew them: one lease, in all processes.

    `fence` grows with every lease and every new token, and whoever stores must name it. `in_doubt`: the refresh token
    was put under way and no answer is stored, so the provider may have spent it. `refresh_at` is when it is renewed
    early, `retry_at` when it is tried again after a failure. `lost`: only a person can connect it anew.
    """

    __tablename__ = "tokens"
    tenant_id: str = uuid(key=True)
    endpoint_id: str = uuid(key=True)
    sealed: str = Field(sa_type=sa.Text)
    expires_at: str = instant()
    refresh_at: str = instant()
    retry_at: str | None = instant(nullable=True)
    lease_owner: str | None = text(64, nullable=True)
    leased_until: str | None = instant(nullable=True)
    fence: int = integer()
    in_doubt: bool = Field(sa_type=sa.Boolean)
    lost: bool = Field(sa_type=sa.Boolean)
    failures: int = Field(sa_type=sa.Integer)
    error: str | None = text(64, nullable=True)
    stored_at: str = instant()


class ConsentRow(SQLModel, table=True):
    """A consent somebody was sent to give at a provider: the state, hashed, is good once and for a short time."""

    __tablename__ = "consents"
    tenant_id: str = uuid(key=True)
    state_hash: str = text(64, key=True)
    endpoint_id: str = uuid()
    sealed: str = Field(sa_type=sa.Text)
    redirect_uri: str = text(500)
    expires_at: str = instant()


class SecretDateRow(SQLModel, table=True):
    """The dates of one secret of an endpoint; the secret itself is sealed in the endpoint's row.

    `next_from`: another one takes its place then. `replace_by`: our own schedule. `expires_at`: a certificate's end.
    """

    __tablename__ = "secret_dates"
    tenant_id: str = uuid(key=True)
    endpoint_id: str = uuid(key=True)
    name: str = text(64, key=True)
    set_at: str = instant()
    next_from: str | None = instant(nullable=True)
    replace_by: str | None = instant(nullable=True)
    expires_at: str | None = instant(nullable=True)


class GateRow(SQLModel, table=True):
    """What all processes together know of an endpoint's breaker and limiters; no row: nothing was ever to be noted.

    Times are milliseconds since 1970, `full_us` microseconds, for they are calculated with and never shown as they are.
    `ready_ms` is when the gate next lets a call through. What the others mean say `server.resilience.breaker`
    (`state` to `failed_before`), `.limiter` (`full_us`, and `spent`: pairs of a moment and how many calls) and `.gate`
    (`turns`: pairs of who was turned away, and until when its turn is kept).
    """

    __tablename__ = "gates"
    tenant_id: str = uuid(key=True)
    endpoint_id: str = uuid(key=True)
    state: str = text(16)
    failures: int = Field(sa_type=sa.Integer)
    openings: int = Field(sa_type=sa.Integer)
    until_ms: int = integer()
    fence: int = integer()
    half_ms: int = integer()
    calls: int = Field(sa_type=sa.Integer)
    failed: int = Field(sa_type=sa.Integer)
    calls_before: int = Field(sa_type=sa.Integer)
    failed_before: int = Field(sa_type=sa.Integer)
    full_us: int = integer()
    spent: str = json_text()
    turns: str = Field(default="[]", sa_type=JsonType, sa_column_kwargs={"server_default": "[]"})
    ready_ms: int = integer()


class ContactRow(SQLModel, table=True):
    """When our calls last reached an endpoint, to the minute, and what went wrong there last, by a stable word.

    `heard_at` is when it last told us something.
    """

    __tablename__ = "contacts"
    tenant_id: str = uuid(key=True)
    endpoint_id: str = uuid(key=True)
    succeeded_at: str | None = instant(nullable=True)
    failed_at: str | None = instant(nullable=True)
    error_class: str | None = text(16, nullable=True)
    error: str | None = text(64, nullable=True)
    heard_at: str | None = instant(nullable=True)


class AlertRow(SQLModel, table=True):
    """Something that wants a person, from when it was first seen until it was not seen for a while.

    `subject` is an endpoint's id or a log line's event; what concerns no tenant has the id of nobody. `value` is how
    much of it there is, `told_value` how much of it was told. `next_at` is when it may be told (again): whoever tells
    moves it on first, so that several processes do not tell the same. `pushed`: how often devices were told of it.
    """

    __tablename__ = "alerts"
    tenant_id: str = uuid(key=True)
    kind: str = text(16, key=True)
    subject: str = text(64, key=True)
    since: str = instant()
    seen_at: str = instant()
    value: int = integer()
    told: int = integer()
    told_value: int = integer()
    told_at: str | None = instant(nullable=True)
    next_at: str = instant()
    pushed: int = counted()
