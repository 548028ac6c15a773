"""Signing in a device: the presented token against the stored hash.

A device that was let in is remembered for a moment, so that a queue sent in many requests costs one look-up; a revoked
one is out when the moment is over. What is remembered is a hash of the token, never the token.
"""

import hashlib
import hmac
from collections.abc import Callable

from pydantic_core import from_json

from server.auth.tokens import hash_secret, parse_token
from server.ports import Principal
from server.storage.database import Database, Tx
from server.storage.statement import Statement

REMEMBER_MS = 2_000
_MOST_REMEMBERED = 10_000

_DEVICE = Statement(
    """SELECT secret_hash, role, shop, (SELECT json_group_array(s.shop) FROM shops AS s WHERE s.tenant_id = d.tenant_id)
       FROM devices AS d WHERE d.tenant_id = :tenant_id AND d.device_id = :device_id AND d.revoked_at IS NULL""",
    postgresql="""SELECT secret_hash, role, shop,
       (SELECT json_agg(s.shop) FROM shops AS s WHERE s.tenant_id = d.tenant_id)
       FROM devices AS d WHERE d.tenant_id = :tenant_id AND d.device_id = :device_id AND d.revoked_at IS NULL""",
)


class Devices:
    """Lets devices in."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        """`clock` gives milliseconds."""
        self._database, self._clock = database, clock
        self._remembered: dict[bytes, tuple[int, Principal]] = {}

    async def authenticate(self, token: str) -> Principal | None:
        """The device a token belongs to, or None."""
        digest = hashlib.sha256(token.encode()).digest()
        now = self._clock()
        until, device = self._remembered.get(digest, (0, None))
        if device is not None and now < until:
            return device
        device = await self._look_up(token)
        if device is not None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[digest] = (now + REMEMBER_MS, device)
        return device

    async def _look_up(self, text: str) -> Principal | None:
        token = parse_token(text)
        if token is None:
            return None

        async def work(tx: Tx) -> Principal | None:
            rows = await tx.fetch(_DEVICE, (token.tenant_id, token.device_id))
            if not rows or not hmac.compare_digest(rows[0][0], hash_secret(token.secret)):
                return None
            _, role, shop, shops = rows[0]
            seen = from_json(shops or "[]") if role == "owner" else [shop]
            return Principal(token.tenant_id, token.device_id, role, shop, frozenset(seen))

        return await self._database.read(work)
