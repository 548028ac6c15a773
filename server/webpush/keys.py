"""VAPID keys: a merchant's own pairs, of which the newest is for new subscriptions.

Rules:

1. The first ask makes the first pair. The private part is sealed, bound to its row; it is not derived from the master
   key, for that is rotated, and a browser's subscription is good with one key only.
2. A rotation makes a newer pair. Who subscribed with an older one is sent to with that one, until the device, at its
   next open, sees that there is a newer one and subscribes anew.
3. A superseded pair is forgotten a day later, once nobody is subscribed with it: a page that asked just before the
   rotation has that long to come back.
"""

import base64
from collections.abc import Callable
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.audit import Actor, Entry, note
from server.credentials.vault import VAPID, Vault
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing
from sync.clock import encode_instant

DAY_MS = 86_400_000
_ALL = Statement(
    """SELECT k.key_id, k.public_key, k.created_at, k.superseded_at,
         (SELECT count(*) FROM webpush_subscriptions AS n WHERE n.tenant_id = k.tenant_id AND n.key_id = k.key_id)
       FROM webpush_keys AS k WHERE k.tenant_id = :tenant_id ORDER BY k.created_at DESC, k.key_id DESC"""
)
_SUPERSEDE = Statement(
    "UPDATE webpush_keys SET superseded_at = :now WHERE tenant_id = :tenant_id AND superseded_at IS NULL"
)
_ADD = Statement(
    """INSERT INTO webpush_keys (tenant_id, key_id, public_key, sealed, created_at)
       VALUES (:tenant_id, :key_id, :public_key, :sealed, :now)"""
)
_FORGET = Statement(
    """DELETE FROM webpush_keys WHERE tenant_id = :tenant_id AND superseded_at < :before
       AND NOT EXISTS (SELECT 1 FROM webpush_subscriptions AS n
         WHERE n.tenant_id = webpush_keys.tenant_id AND n.key_id = webpush_keys.key_id)"""
)


class VapidKey(NamedTuple):
    """A pair by its public part, in base64url as browsers take it, and how many are subscribed with it."""

    key_id: str
    public_key: str
    created_at: str
    superseded_at: str | None
    subscriptions: int


class VapidKeys:
    """Makes, lists and rotates pairs."""

    def __init__(self, database: Database, writer: Writer, vault: Vault, new_id: Callable[[], str]) -> None:
        """`new_id` gives uuids of version 7."""
        self._database, self._writer, self._vault, self._new_id = database, writer, vault, new_id

    async def known(self, tenant_id: str) -> list[VapidKey]:
        """All that are used, the newest first; the first is made where there is none. Raises UnknownTenantError."""

        async def work(tx: Tx) -> list[VapidKey]:
            return await keys_of(tx, tenant_id)

        return await self._database.read(work) or await self._writer.submit(
            Job([tenant_id], lambda writing: self._first(writing, tenant_id))
        )

    async def rotate(self, tenant_id: str, actor: Actor) -> list[VapidKey]:
        """Make a newer pair, for all subscriptions from now on. Raises UnknownTenantError."""

        async def job(writing: Writing) -> list[VapidKey]:
            await writing.tx.execute(_SUPERSEDE, {"tenant_id": tenant_id, "now": writing.now})
            await self._add(writing, tenant_id)
            await forget_unused(writing, tenant_id)
            known = await keys_of(writing.tx, tenant_id)
            await note(writing, tenant_id, Entry("webpush.rotate_key", actor, "key", known[0].key_id))
            return known

        return await self._writer.submit(Job([tenant_id], job))

    async def _first(self, writing: Writing, tenant_id: str) -> list[VapidKey]:
        if not await keys_of(writing.tx, tenant_id):
            await self._add(writing, tenant_id)
        return await keys_of(writing.tx, tenant_id)

    async def _add(self, writing: Writing, tenant_id: str) -> None:
        key_id, pair = self._new_id(), ec.generate_private_key(ec.SECP256R1())
        public = pair.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        private = pair.private_numbers().private_value.to_bytes(32, "big")
        row = {"tenant_id": tenant_id, "key_id": key_id, "public_key": plain_base64(public), "now": writing.now}
        sealed = self._vault.seal(tenant_id, VAPID, key_id, {"private": plain_base64(private)})
        await writing.tx.execute(_ADD, {**row, "sealed": sealed})


async def keys_of(tx: Tx, tenant_id: str) -> list[VapidKey]:
    """A merchant's pairs, the newest first."""
    return [VapidKey(*row) for row in await tx.fetch(_ALL, (tenant_id,))]


async def forget_unused(writing: Writing, tenant_id: str) -> None:
    """Forget superseded pairs that nobody is subscribed with any more."""
    before = encode_instant(writing.now_ms - DAY_MS)
    await writing.tx.execute(_FORGET, {"tenant_id": tenant_id, "before": before})


def plain_base64(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64(text: str) -> bytes:
    """Of base64url with or without padding, and of plain base64. Raises ValueError."""
    text = text.rstrip("=").translate(str.maketrans("+/", "-_"))
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
