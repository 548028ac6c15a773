"""Signing in a device: the presented token against the stored hash.

A device that was let in is remembered for a moment, so that a queue sent in many requests costs one look-up; a revoked
one is out when the moment is over. Who knows the tenant's revision needs no moment: what was looked up at that very
revision still holds, whatever its age, and all else is looked up again; a later one too, for a backup that was put back
takes revisions back with it. Look-ups of one token wait for each other: however
many ask at once, one goes to the database. What is remembered is a hash of the token, never the token.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import NamedTuple

import anyio
from pydantic_core import from_json

from server.auth.tokens import hash_secret, parse_token
from server.ports import Principal
from server.storage.database import Database, Tx
from server.storage.statement import Statement

REMEMBER_MS = 2_000
_MOST_REMEMBERED = 10_000

_DEVICE = Statement(
    """SELECT secret_hash, role, shop,
       (SELECT json_group_array(s.shop) FROM shops AS s WHERE s.tenant_id = d.tenant_id),
       (SELECT t.revision FROM tenants AS t WHERE t.tenant_id = d.tenant_id)
       FROM devices AS d WHERE d.tenant_id = :tenant_id AND d.device_id = :device_id AND d.revoked_at IS NULL""",
    postgresql="""SELECT secret_hash, role, shop,
       (SELECT json_agg(s.shop) FROM shops AS s WHERE s.tenant_id = d.tenant_id),
       (SELECT t.revision FROM tenants AS t WHERE t.tenant_id = d.tenant_id)
       FROM devices AS d WHERE d.tenant_id = :tenant_id AND d.device_id = :device_id AND d.revoked_at IS NULL""",
)


class _Remembered(NamedTuple):
    device: Principal
    until: int
    revision: int


class Devices:
    """Lets devices in."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        """`clock` gives milliseconds."""
        self._database, self._clock = database, clock
        self._remembered: dict[bytes, _Remembered] = {}
        self._asking: dict[bytes, anyio.Lock] = {}

    async def authenticate(self, token: str, revision: int | None = None) -> Principal | None:
        """The device a token belongs to, or None; `revision`: as of that revision of its tenant, or as it is now."""
        digest = hashlib.sha256(token.encode()).digest()
        device = self._recall(digest, revision)
        if device is not None:
            return device
        lock = self._asking.setdefault(digest, anyio.Lock())
        try:
            async with lock:
                return self._recall(digest, revision) or await self._look_up(token, digest)
        finally:
            if not lock.locked():
                self._asking.pop(digest, None)

    def _recall(self, digest: bytes, revision: int | None) -> Principal | None:
        known = self._remembered.get(digest)
        if known is None:
            return None
        holds = self._clock() < known.until if revision is None else revision == known.revision
        return known.device if holds else None

    async def _look_up(self, text: str, digest: bytes) -> Principal | None:
        token = parse_token(text)
        if token is None:
            return None

        async def work(tx: Tx) -> _Remembered | None:
            rows = await tx.fetch(_DEVICE, (token.tenant_id, token.device_id))
            if not rows or not hmac.compare_digest(rows[0][0], hash_secret(token.secret)):
                return None
            _, role, shop, shops, revision = rows[0]
            seen = from_json(shops or "[]") if role == "owner" else [shop]
            device = Principal(token.tenant_id, token.device_id, role, shop, frozenset(seen))
            return _Remembered(device, now + REMEMBER_MS, revision)

        now = self._clock()
        found = await self._database.read(work)
        if found is None:
            self._remembered.pop(digest, None)
            return None
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[digest] = found
        return found.device
