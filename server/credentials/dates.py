"""What comes to its end: certificates, and secrets due for replacement by our own schedule; consents that were lost.

Only dates are kept here, so that lists and metrics open no secret.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from server.outbound.tls import parse_identity
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Writing
from sync.clock import decode_instant, encode_instant

DAY_MS = 86_400_000

_PUT = Statement(
    """INSERT INTO secret_dates (tenant_id, endpoint_id, name, set_at, next_from, replace_by, expires_at)
       VALUES (:tenant_id, :endpoint_id, :name, :set_at, :next_from, :replace_by, :expires_at)
       ON CONFLICT (tenant_id, endpoint_id, name) DO UPDATE SET set_at = excluded.set_at,
         next_from = excluded.next_from, replace_by = excluded.replace_by, expires_at = excluded.expires_at"""
)
_FIND = """SELECT d.tenant_id, d.endpoint_id, e.name, d.name, d.replace_by, d.expires_at FROM secret_dates AS d
       JOIN endpoints AS e ON e.tenant_id = d.tenant_id AND e.endpoint_id = d.endpoint_id
       WHERE d.tenant_id = :tenant_id AND (d.replace_by <= :until OR d.expires_at <= :until)"""
_LOST = """SELECT t.tenant_id, t.endpoint_id, e.name, t.stored_at FROM tokens AS t
       JOIN endpoints AS e ON e.tenant_id = t.tenant_id AND e.endpoint_id = t.endpoint_id
       WHERE t.tenant_id = :tenant_id AND t.lost"""
_ALL = """SELECT d.endpoint_id, e.name, d.name, d.set_at, d.next_from, d.replace_by, d.expires_at FROM secret_dates AS d
       JOIN endpoints AS e ON e.tenant_id = d.tenant_id AND e.endpoint_id = d.endpoint_id
       WHERE d.tenant_id = :tenant_id ORDER BY e.name, d.endpoint_id, d.name"""
LIST = Statement(_ALL)
FIND = Statement(_FIND)
LOST = Statement(_LOST)


What = Literal["expires", "replace", "consent_lost"]
_WHAT: tuple[What, What] = ("replace", "expires")


class Ending(NamedTuple):
    """Something that ends: `at` is when, or since when a lost consent was good."""

    tenant_id: str
    endpoint_id: str
    endpoint: str
    secret: str
    what: What
    at: str


class SecretDates(NamedTuple):
    """A secret's dates."""

    endpoint_id: str
    endpoint: str
    secret: str
    set_at: str
    next_from: str | None
    replace_by: str | None
    expires_at: str | None


class Dates:
    """Reads the dates of secrets."""

    def __init__(self, database: Database) -> None:
        """Nothing is read yet."""
        self._database = database

    async def list(self, tenant_id: str) -> Sequence[SecretDates]:
        """All secrets of a tenant, by date only."""

        async def work(tx: Tx) -> Sequence[SecretDates]:
            return [SecretDates(*row) for row in await tx.fetch(LIST, (tenant_id,))]

        return await self._database.read(work)

    async def ending(self, now_ms: int, within_days: float, tenant_id: str) -> Sequence[Ending]:
        """What of a tenant's ended or ends within so many days, the most urgent first."""
        until = encode_instant(now_ms + int(within_days * DAY_MS))

        async def work(tx: Tx) -> Sequence[Ending]:
            found = await tx.fetch(FIND, {"tenant_id": tenant_id, "until": until})
            lost = await tx.fetch(LOST, (tenant_id,))
            endings = [Ending(row[0], row[1], row[2], "oauth", "consent_lost", row[3]) for row in lost]
            for row in found:
                for what, at in zip(_WHAT, row[4:6], strict=True):
                    if at is not None and at <= until:
                        endings.append(Ending(row[0], row[1], row[2], row[3], what, at))
            return sorted(endings, key=lambda ending: ending.at)

        return await self._database.read(work)


class Dated(NamedTuple):
    """Whose secret, and from when on it counts (None: now)."""

    tenant_id: str
    endpoint_id: str
    next_from: str | None = None
    replace_every_days: int | None = None


async def put_dates(writing: Writing, dated: Dated, secrets: Mapping[str, str]) -> None:
    """Note the dates of secrets that are set, inside a job. A secret's days count from when it is used."""
    starts_ms = writing.now_ms if dated.next_from is None else decode_instant(dated.next_from)
    for name, value in secrets.items():
        days = dated.replace_every_days
        row = {
            "tenant_id": dated.tenant_id,
            "endpoint_id": dated.endpoint_id,
            "name": name,
            "set_at": writing.now,
            "next_from": dated.next_from,
            "replace_by": encode_instant(starts_ms + days * DAY_MS) if days else None,
            "expires_at": expiry_of(name, value),
        }
        await writing.tx.execute(_PUT, row)


def expiry_of(name: str, value: str) -> str | None:
    """When a secret ends by itself: certificates do. Raises CertificateError."""
    if name != "client_certificate":
        return None
    return encode_instant(int(parse_identity(value).timestamp() * 1000))
