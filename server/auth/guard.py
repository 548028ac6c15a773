"""The guard: what somebody bears, an access token or an API key, against what is stored.

Rules:

1. What was found is remembered by a hash of what was borne, at the tenant's revision. It holds at that very revision
   and no other: a later one may have taken somebody out, and a backup that was put back takes revisions back with it.
2. Who asks what needs no answer at once about the revision, `/v1/sync`, is let in by memory and checks the revision
   where it is read anyway. All others are looked up.
3. Look-ups of one token wait for each other: however many ask at once, few go to the database. One that began after
   somebody asked is as good as their own.
4. A certificate that a key is tied to is checked at every request, whatever is remembered.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import anyio
from pydantic_core import from_json

from server.auth.keys import Keys
from server.auth.signer import Signer
from server.auth.tokens import hash_secret, parse_token
from server.ports import Principal
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from sync.clock import decode_instant

_MOST_REMEMBERED = 10_000
_FOR_EVER = 1 << 62
_ANY, _NONE = -1, -2
"""Revisions of what is remembered: whatever it is, and none of it."""

_SHOPS = "(SELECT {aggregate}(s.shop) FROM shops AS s WHERE s.tenant_id = d.tenant_id)"
_SESSION = """SELECT d.device_id, coalesce(p.role, d.role), d.shop, {shops}, s.person_id,
       (SELECT t.revision FROM tenants AS t WHERE t.tenant_id = s.tenant_id)
       FROM sessions AS s JOIN devices AS d ON d.tenant_id = s.tenant_id AND d.device_id = s.device_id
       LEFT JOIN people AS p ON p.tenant_id = s.tenant_id AND p.person_id = s.person_id
       WHERE s.tenant_id = :tenant_id AND s.session_id = :session_id AND s.ended_at IS NULL AND d.revoked_at IS NULL
       AND (s.person_id IS NULL OR (p.person_id IS NOT NULL AND p.disabled_at IS NULL
         AND (p.role = 'owner' OR p.shop = d.shop)))"""
_KEY = """SELECT d.device_id, d.role, d.shop, {shops}, k.secret_hash, k.permissions, k.expires_at, k.last_used_at,
       k.certificate, k.signing, (SELECT t.revision FROM tenants AS t WHERE t.tenant_id = k.tenant_id)
       FROM keys AS k JOIN devices AS d ON d.tenant_id = k.tenant_id AND d.device_id = k.device_id
       WHERE k.tenant_id = :tenant_id AND k.key_id = :key_id AND k.revoked_at IS NULL AND d.revoked_at IS NULL"""


def both(text: str) -> Statement:
    """A statement with the merchant's shops where it says `{shops}`, as JSON; its devices are `d`."""
    lite, post = (_SHOPS.format(aggregate=name) for name in ("json_group_array", "json_agg"))
    return Statement(text.format(shops=lite), postgresql=text.format(shops=post))


SESSION, KEY = both(_SESSION), both(_KEY)


class Known(NamedTuple):
    """What was found, until when it holds at most, and what its requests need beside it."""

    principal: Principal
    until_ms: int
    certificate: str | None = None
    signing: str | None = None
    key_id: str | None = None


class Bearers(Protocol):
    """Reads what a provider of people gave."""

    async def read(self, bearer: str) -> Known | None:
        """Who bears it."""


class Guard:
    """Lets devices in."""

    def __init__(self, database: Database, signer: Signer, keys: Keys, clock: Callable[[], int]) -> None:
        """`clock` gives milliseconds."""
        self._database, self._signer, self._keys, self._clock = database, signer, keys, clock
        self._remembered: dict[bytes, Known] = {}
        self._began: dict[bytes, int] = {}
        self._asked = 0
        self._asking: dict[bytes, anyio.Lock] = {}
        self._bearers: Bearers | None = None

    def admit_with(self, bearers: Bearers) -> None:
        """Let in those of a provider too; it is reached by the way out, which comes after this."""
        self._bearers = bearers

    async def remembered(self, bearer: str) -> Known | None:
        """Who bears this, by memory where there is one: what relies on it checks the principal's revision."""
        return await self._found(bearer, _ANY)

    async def as_of(self, bearer: str, revision: int) -> Known | None:
        """Who bears this as of a revision of the tenant, or as it is now where that is another one."""
        return await self._found(bearer, revision)

    async def now(self, bearer: str) -> Known | None:
        """Who bears this, as it is stored now."""
        return await self._found(bearer, _NONE)

    async def _found(self, bearer: str, revision: int) -> Known | None:
        digest = hashlib.sha256(bearer.encode()).digest()
        known = self._recall(digest, revision)
        if known is not None:
            return known
        self._asked += 1
        asked, lock = self._asked, self._asking.setdefault(digest, anyio.Lock())
        try:
            async with lock:
                fresh = self._began.get(digest, 0) > asked
                known = self._recall(digest, _ANY if fresh else revision)
                return known or await self._look_up(bearer, digest)
        finally:
            if not lock.locked():
                self._asking.pop(digest, None)

    def _recall(self, digest: bytes, revision: int) -> Known | None:
        known = self._remembered.get(digest)
        if known is None or self._clock() >= known.until_ms:
            return None
        return known if revision in {_ANY, known.principal.revision} else None

    async def _look_up(self, bearer: str, digest: bytes) -> Known | None:
        self._asked += 1
        began = self._asked
        known = await (self._look_up_key(bearer) if bearer.startswith("rnt_") else self._look_up_session(bearer))
        if known is None:
            self._remembered.pop(digest, None)
            self._began.pop(digest, None)
            return None
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
            self._began.clear()
        self._remembered[digest], self._began[digest] = known, began
        return known

    async def _look_up_session(self, bearer: str) -> Known | None:
        access = self._signer.read(bearer)
        if access is None:
            return None if self._bearers is None else await self._bearers.read(bearer)
        row = await self._row(SESSION, (access.tenant_id, access.session_id))
        if row is None:
            return None
        device_id, role, shop, shops, person_id, revision = row
        principal = make_principal(access.tenant_id, device_id, role, shop, shops)
        return Known(principal._replace(person_id=person_id, revision=revision), access.expires_at_ms)

    async def _look_up_key(self, bearer: str) -> Known | None:
        token = parse_token(bearer)
        row = None if token is None else await self._row(KEY, (token.tenant_id, token.key_id))
        if token is None or row is None:
            return None
        device_id, role, shop, shops, secret_hash, permissions, expires_at, used_at, certificate, signing, revision = (
            row
        )
        until_ms = _FOR_EVER if expires_at is None else decode_instant(expires_at)
        if not hmac.compare_digest(secret_hash, hash_secret(token.secret)) or self._clock() >= until_ms:
            return None
        await self._keys.note_use(token.tenant_id, token.key_id, used_at)
        principal = make_principal(token.tenant_id, device_id, role, shop, shops)
        narrowed = None if permissions is None else frozenset(from_json(permissions))
        principal = principal._replace(permissions=narrowed, revision=revision)
        return Known(principal, until_ms, certificate, signing, token.key_id)

    async def _row(self, statement: Statement, key: tuple[str, str]) -> Any:
        async def work(tx: Tx) -> Any:
            return next(iter(await tx.fetch(statement, key)), None)

        return await self._database.read(work)


def make_principal(tenant_id: str, device_id: str, role: str, shop: str, shops: str | None) -> Principal:
    """A device with a role; an owner sees all `shops`, a JSON list."""
    seen = from_json(shops or "[]") if role == "owner" else [shop]
    return Principal(tenant_id, device_id, role, shop, frozenset(seen))
