"""A new master key: everything sealed is sealed anew with it, in batches, while the server runs.

Rules:

1. What is left to do is in the data: a sealed text names its key. So it can be stopped at any point, and started again.
2. A row is written only if it still holds what was read: a token renewed meanwhile is sealed with the newest key.
3. The old key opens until it is dropped, and it is dropped only when nothing is sealed with it.
"""

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from server.audit import OPERATOR, Entry, note
from server.credentials.keyring import KEY_BYTES, KeyFile, Ring
from server.credentials.tokens import SEALED_FOR
from server.credentials.vault import API_KEY, CURSORS, VAPID, WEBPUSH, Row, SealedError, Vault, derive
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, Writer, Writing

BATCH = 100
_NIL = "00000000-0000-0000-0000-000000000000"


class RotationError(Exception):
    """The master key cannot be rotated; the message says what to do."""


class _Kind(NamedTuple):
    """A table with sealed texts: rows as (key, provider or what stands for it, sealed)."""

    table: str
    find: Statement
    write: Statement
    first: str


def _kind(table: str, key: str, provider: str, first: str, sealed: str = "sealed") -> _Kind:
    find = f"""SELECT {key}, {provider}, {sealed} FROM {table} WHERE tenant_id = :tenant_id AND {key} > :after
       AND {sealed} <> '' AND {sealed} NOT LIKE :current ORDER BY {key} LIMIT :most"""  # noqa: S608  # names of ours
    where = f"WHERE tenant_id = :tenant_id AND {key} = :key AND {sealed} = :old"
    write = f"UPDATE {table} SET {sealed} = :new {where}"  # noqa: S608
    return _Kind(table, Statement(find), Statement(write), first)


_ENDPOINTS = _kind("endpoints", "endpoint_id", "provider", _NIL)
_TOKENS = _kind("tokens", "endpoint_id", f"'{SEALED_FOR}'", _NIL)
_CONSENTS = _kind("consents", "state_hash", "'consent'", "")
_API_KEYS = _kind("keys", "key_id", f"'{API_KEY}'", _NIL, "signing")
_VAPID_KEYS = _kind("webpush_keys", "key_id", f"'{VAPID}'", _NIL)
_SUBSCRIPTIONS = _kind("webpush_subscriptions", "device_id", f"'{WEBPUSH}'", _NIL)
KINDS = (_ENDPOINTS, _TOKENS, _CONSENTS, _API_KEYS, _VAPID_KEYS, _SUBSCRIPTIONS)


class Resealed(NamedTuple):
    """What became of a tenant's sealed texts; `unreadable` opens with no key that is here."""

    sealed_anew: int
    unreadable: int


class Rotation:
    """Rotates the master key."""

    def __init__(self, database: Database, writer: Writer, vault: Vault, ring: Callable[[], Ring]) -> None:
        """`ring` is the vault's own; only a KeyFile can be written."""
        self._database, self._writer, self._vault, self._ring = database, writer, vault, ring

    async def begin(self, tenants: Sequence[str]) -> None:
        """Have a newer key than before; a rotation that was begun goes on as long as something is left to do.

        Raises RotationError, SecretKeyError.
        """
        is_open = len(self._ring().masters) > 1
        if not isinstance(self._ring, KeyFile):
            if not is_open:
                raise RotationError("RIENTRO_SECRET_KEY holds one key: put the new one before it, divided by a comma")
        elif is_open and await self.is_done(tenants):
            raise RotationError("a rotation is open: run `rientro secrets drop-old` first")
        else:
            self._ring.add(secrets.token_bytes(KEY_BYTES))

    async def reseal(self, tenant_id: str) -> Resealed:
        """Seal a tenant's secrets anew, as far as they are not."""
        done = unreadable = 0
        for kind in KINDS:
            after = kind.first
            while rows := await self._left(kind, tenant_id, after, BATCH):
                sealed = [(row, self._anew(tenant_id, row)) for row in rows]
                done += await self._write(kind, tenant_id, [(row, new) for row, new in sealed if new is not None])
                unreadable += sum(new is None for _, new in sealed)
                after = rows[-1][0]
        await self._note([tenant_id], "master_key.rotate", done)
        return Resealed(done, unreadable)

    async def is_done(self, tenants: Sequence[str]) -> bool:
        """Whether nothing is sealed with an old key."""
        for tenant_id in tenants:
            for kind in KINDS:
                if await self._left(kind, tenant_id, kind.first, 1):
                    return False
        return True

    async def drop_old(self, tenants: Sequence[str]) -> None:
        """Forget the old keys, but for reading cursors. Raises RotationError."""
        if not isinstance(self._ring, KeyFile):
            raise RotationError("the keys are not in a file: take the old one out of RIENTRO_SECRET_KEY")
        seen = self._ring()
        if not await self.is_done(tenants):
            raise RotationError("something is still sealed with an old key: run `rientro secrets rotate` first")
        if not self._ring.drop_old(seen, lambda master: derive(master, CURSORS)):
            raise RotationError("the keys changed meanwhile: somebody else rotates them")
        await self._note(tenants, "master_key.drop_old")

    async def _note(self, tenants: Sequence[str], action: str, times: int = 1) -> None:
        for tenant_id in tenants:
            entry = Entry(action, OPERATOR, "tenant", tenant_id, times=times)
            await self._writer.submit(Job([tenant_id], partial(note, tenant_id=tenant_id, entry=entry)))

    async def _left(self, kind: _Kind, tenant_id: str, after: str, most: int) -> Sequence[Sequence[str]]:
        asked = {"tenant_id": tenant_id, "after": after, "current": f"{self._vault.prefix}%", "most": most}

        async def work(tx: Tx) -> Sequence[Sequence[str]]:
            return await tx.fetch(kind.find, asked)

        return await self._database.read(work)

    def _anew(self, tenant_id: str, row: Sequence[str]) -> str | None:
        place = Row(tenant_id, row[1], row[0])
        try:
            return self._vault.seal(*place, self._vault.unseal(*place, row[2]))
        except SealedError:
            return None

    async def _write(self, kind: _Kind, tenant_id: str, rows: Sequence[tuple[Sequence[str], str]]) -> int:
        async def job(writing: Writing) -> int:
            named = [{"tenant_id": tenant_id, "key": row[0], "old": row[2], "new": new} for row, new in rows]
            return sum([await writing.tx.execute(kind.write, one) for one in named])

        return await self._writer.submit(Job([tenant_id], job))
