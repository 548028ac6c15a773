"""Bearers of the provider's: its access tokens as JWTs, on the API.

Rules:

1. Who bears one is a person, mapped by what the token says; where the token is older than what was heard of them
   last, by that. They are made at first sight, and changed by a newer token, in one transaction.
2. A device is derived from person, client and shop: the same caller is the same device for ever, so its queue and
   numbers are its own, and revoking it lets that client in no more.
3. What is not taken lets nobody in, and makes nothing.
"""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import structlog

from server.audit import Actor
from server.auth.admin import Admin, Device
from server.auth.errors import AccessError
from server.auth.guard import Known, both, make_principal
from server.auth.jobs import submit
from server.auth.names import LONGEST_NAME
from server.auth.oidc.claims import LONGEST, TokenRefusedError, check_bearer, names_issuer
from server.auth.oidc.mapping import Mapper, Told
from server.auth.oidc.people import ProviderPeople
from server.auth.oidc.source import Source
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Writer, Writing
from sync.clock import decode_instant

log: structlog.stdlib.BoundLogger = structlog.get_logger()

REMEMBERED_MS = 600_000
"""After so long a bearer is looked at anew: the provider may have taken its key back."""
_ACTOR = Actor("system", "oidc")
_PERSON = Statement(
    """SELECT person_id, shop, heard_at, left_at FROM people
       WHERE tenant_id = :tenant_id AND issuer = :issuer AND subject = :subject"""
)
_DEVICE = Statement("SELECT 1 FROM devices WHERE tenant_id = :tenant_id AND device_id = :device_id")
LET_IN = both(
    """SELECT d.device_id, p.role, d.shop, {shops}, t.revision
       FROM tenants AS t
       JOIN people AS p ON p.tenant_id = t.tenant_id AND p.person_id = :person_id AND p.disabled_at IS NULL
       JOIN devices AS d ON d.tenant_id = t.tenant_id AND d.device_id = :device_id AND d.revoked_at IS NULL
       WHERE t.tenant_id = :tenant_id AND (p.role = 'owner' OR p.shop = d.shop)"""
)


class Means(NamedTuple):
    """What it stands on."""

    database: Database
    writer: Writer
    admin: Admin
    mapper: Mapper
    people: ProviderPeople


class _At(NamedTuple):
    tenant_id: str
    person_id: str
    device_id: str


class Bearers:
    """Reads bearers."""

    def __init__(self, source: Source, means: Means, clock: Callable[[], int]) -> None:
        """`clock` gives milliseconds. Without an audience in the settings nothing is taken."""
        self._source, self._means, self._clock = source, means, clock

    async def read(self, bearer: str) -> Known | None:
        """Who bears it. Raises AccessError (oidc_unavailable), DatabaseError."""
        audience, issuer = self._source.provider.audience, self._source.provider.issuer
        if audience is None or len(bearer) > LONGEST or not names_issuer(bearer, issuer):
            return None
        try:
            opened = await self._source.open(bearer)
            subject, client = check_bearer(opened, audience, self._clock() // 1000)
            told = await self._means.mapper.told(opened.claims, subject)
            at = await self._at(told, client)
        except TokenRefusedError as error:
            _refused(error.reason)
            return None
        except AccessError as error:
            if error.code == "oidc_unavailable":
                raise
            _refused(error.code)
            return None
        until_ms = min(int(opened.claims["exp"]) * 1000, self._clock() + REMEMBERED_MS)
        return await self._let_in(at, until_ms)

    async def _at(self, told: Told, client: str) -> _At:
        """Which person and device it is, made where they are new or changed."""
        found = await self._found(told, client)
        if found is not None:
            return found
        return await submit(self._means.writer, told.tenant_id, lambda writing: self._put(writing, told, client))

    async def _found(self, told: Told, client: str) -> _At | None:
        """As it is stored, where this token has nothing new to tell."""

        async def work(tx: Tx) -> _At | None:
            issuer = self._source.provider.issuer
            rows = await tx.fetch(_PERSON, {"tenant_id": told.tenant_id, "issuer": issuer, "subject": told.subject})
            if not rows:
                return None
            person_id, shop, heard_at, left_at = rows[0]
            if left_at is not None and told.made_s * 1000 <= decode_instant(left_at):
                raise AccessError("left", "The sign-in service says that this person left.", status=403)
            if heard_at is None or decode_instant(heard_at) < told.made_s * 1000:
                return None
            at = _derived(told.tenant_id, person_id, client, shop)
            return at if await tx.fetch(_DEVICE, (at.tenant_id, at.device_id)) else None

        return await self._means.database.read(work)

    async def _put(self, writing: Writing, told: Told, client: str) -> _At:
        person = await self._means.people.hear(writing, told, _ACTOR, at_sign_in=False)
        at = _derived(told.tenant_id, person.person_id, client, person.shop)
        if not await writing.tx.fetch(_DEVICE, (at.tenant_id, at.device_id)):
            device = Device(at.device_id, client[:LONGEST_NAME].strip() or "OIDC", person.role, person.shop)
            await self._means.admin.put_device(writing, told.tenant_id, device, _ACTOR)
        return at

    async def _let_in(self, at: _At, until_ms: int) -> Known | None:
        async def work(tx: Tx) -> Any:
            return next(iter(await tx.fetch(LET_IN, at._asdict())), None)

        row = await self._means.database.read(work)
        if row is None:
            _refused("disabled")
            return None
        device_id, role, shop, shops, revision = row
        principal = make_principal(at.tenant_id, device_id, role, shop, shops)
        return Known(principal._replace(person_id=at.person_id, revision=revision), until_ms)


def _derived(tenant_id: str, person_id: str, client: str, shop: str) -> _At:
    """A device belongs to one shop: who moves to another is another device there."""
    digest = hashlib.sha256(f"{tenant_id}\n{person_id}\n{shop}\n{client}".encode()).hexdigest()
    return _At(tenant_id, person_id, str(uuid5(NAMESPACE_URL, f"urn:rientro:oidc-device:{digest}")))


def _refused(reason: str) -> None:
    log.info("oidc_bearer_refused", reason=reason)
