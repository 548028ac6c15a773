"""API keys of terminals and programs: shown once, stored hashed, narrowed, replaced with an overlap, watched.

Rules:

1. A key belongs to a device, and never may more than its role. Narrowed, it may only what it was given.
2. A rotation makes a successor at once and lets the old one go on for an overlap, so that nobody stands before a till
   that is not let in. What expires, expires whether or not somebody came for the successor, which is good for as long
   as its predecessor was to be.
3. `rotate_by` is a schedule of ours: a key that is due is told of, and goes on.
4. The last use is kept to the hour: a look-up must not cost a write. Where it cannot be kept, the key is good all
   the same.
5. A secret that requests are signed by is made here, shown once and stored sealed; a successor has one of its own, and
   is tied to the same certificate.
6. A key that is revoked takes with it the codes and links its device made.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from pydantic_core import to_json

from server.audit import Actor, Entry, note
from server.auth.errors import AccessError
from server.auth.subscribed import forget_unheard
from server.auth.terms import DAY_MS, HOUR_MS, LIST, KeyRow, NewKey, Terms
from server.auth.tokens import hash_secret, new_signing_secret, new_token
from server.auth.void import void_of_key
from server.ports.principal import PERMISSIONS
from server.storage.database import Database, DatabaseError, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, UnknownTenantError, Writer, Writing
from sync.clock import decode_instant, encode_instant

T = TypeVar("T")

__all__ = ("DAY_MS", "HOUR_MS", "KeyRow", "Keys", "NewKey", "Terms")

_INSERT = Statement(
    """INSERT INTO keys
       (tenant_id, key_id, device_id, name, secret_hash, permissions, signing, certificate, made_by, created_at,
        rotate_by, expires_at)
       VALUES (:tenant_id, :key_id, :device_id, :name, :secret_hash, :permissions, :signing, :certificate, :made_by,
        :now, :rotate_by, :expires_at)"""
)
_DEVICE = Statement(
    "SELECT 1 FROM devices WHERE tenant_id = :tenant_id AND device_id = :device_id AND revoked_at IS NULL"
)
_GOOD = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)"
_ONE = Statement(
    f"""SELECT device_id, name, permissions, created_at, rotate_by, signing IS NOT NULL, certificate, made_by,
       expires_at FROM keys WHERE tenant_id = :tenant_id AND key_id = :key_id AND successor IS NULL AND {_GOOD}"""  # noqa: S608  # our own text
)
_SUCCEED = Statement(
    """UPDATE keys SET successor = :successor, expires_at = CASE WHEN expires_at < :expires_at THEN expires_at
       ELSE :expires_at END WHERE tenant_id = :tenant_id AND key_id = :key_id"""
)
_KEEP_TERMS = Statement(
    """UPDATE keys SET permissions = :permissions, rotate_by = :rotate_by, made_by = :made_by, expires_at = :expires_at
       WHERE tenant_id = :tenant_id AND key_id = :key_id"""
)
_REVOKE = Statement(
    """UPDATE keys SET revoked_at = :now WHERE tenant_id = :tenant_id AND key_id = :key_id AND revoked_at IS NULL"""
)
_USED = Statement(
    """UPDATE keys SET last_used_at = :now WHERE tenant_id = :tenant_id AND key_id = :key_id
       AND (last_used_at IS NULL OR last_used_at < :now)"""
)


class Keys:
    """Makes, replaces and lists keys."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        new_id: Callable[[], str],
        clock: Callable[[], int],
        seal: Callable[[str, str, str], str] | None = None,
    ) -> None:
        """`new_id` gives uuids of version 7, `clock` milliseconds; `seal` takes tenant, key and secret.

        Without it no key signs.
        """
        self._database, self._writer, self._new_id, self._clock, self._seal = database, writer, new_id, clock, seal

    async def issue(self, tenant_id: str, device_id: str, name: str, terms: Terms, actor: Actor) -> NewKey:
        """A further key for a device. Raises AccessError (no_such_device, unknown_permission)."""

        async def job(writing: Writing) -> NewKey:
            writing.tenant(tenant_id).revision += 1
            if not await writing.tx.fetch(_DEVICE, (tenant_id, device_id)):
                raise AccessError("no_such_device", "There is no such device, or it was revoked.", status=404)
            return await self.add(writing, tenant_id, device_id, name, terms, actor)

        return await self._submit(tenant_id, job)

    async def add(
        self, writing: Writing, tenant_id: str, device_id: str, name: str, terms: Terms, actor: Actor
    ) -> NewKey:
        """A key, in the transaction that has its device. The caller moves the revision."""
        unknown = set(terms.permissions or ()) - set(PERMISSIONS)
        if unknown:
            raise AccessError("unknown_permission", f"A key may be given {', '.join(PERMISSIONS)}.", status=422)
        token = new_token(tenant_id, self._new_id())
        expires_at = _after(writing.now_ms, terms.expires_days)
        signing, sealed = self._new_signing(tenant_id, token.key_id) if terms.signed else (None, None)
        row = {
            "tenant_id": tenant_id,
            "key_id": token.key_id,
            "device_id": device_id,
            "name": name,
            "secret_hash": hash_secret(token.secret),
            "permissions": None if terms.permissions is None else to_json(sorted(terms.permissions)).decode(),
            "signing": sealed,
            "certificate": terms.certificate,
            "made_by": actor.id if actor.kind in {"person", "device"} else None,
            "now": writing.now,
            "rotate_by": _after(writing.now_ms, terms.rotate_days),
            "expires_at": expires_at,
        }
        await writing.tx.execute(_INSERT, row)
        await note(writing, tenant_id, Entry("key.add", actor, "key", token.key_id))
        return NewKey(token.key_id, token.text(), device_id, expires_at, signing)

    async def rotate(self, tenant_id: str, key_id: str, overlap_ms: int, actor: Actor) -> NewKey:
        """Make a key's successor, on the same terms; the old one goes on for the overlap. Raises AccessError."""

        async def job(writing: Writing) -> NewKey:
            writing.tenant(tenant_id).revision += 1
            at = {"tenant_id": tenant_id, "key_id": key_id}
            rows = await writing.tx.fetch(_ONE, {**at, "now": writing.now})
            if not rows:
                raise _no_such_key()
            device_id, name, permissions, created_at, rotate_by, signed, certificate, made_by, ends = rows[0]
            same = Terms(signed=bool(signed), certificate=certificate)
            made = await self.add(writing, tenant_id, device_id, name, same, actor)
            rotate_by, ends = (_again(created_at, moment, writing.now_ms) for moment in (rotate_by, ends))
            terms = {"permissions": permissions, "rotate_by": rotate_by, "expires_at": ends}
            terms["made_by"] = actor.id if actor.kind == "person" else made_by
            await writing.tx.execute(_KEEP_TERMS, {"tenant_id": tenant_id, "key_id": made.key_id, **terms})
            until = encode_instant(writing.now_ms + overlap_ms)
            await writing.tx.execute(_SUCCEED, {**at, "successor": made.key_id, "expires_at": until})
            await note(writing, tenant_id, Entry("key.rotate", actor, "key", key_id))
            return made._replace(expires_at=ends)

        return await self._submit(tenant_id, job)

    async def revoke(self, tenant_id: str, key_id: str, actor: Actor) -> None:
        """Let a key in no more, at once. Raises AccessError where there is none to revoke."""

        async def job(writing: Writing) -> None:
            writing.tenant(tenant_id).revision += 1
            named = {"tenant_id": tenant_id, "key_id": key_id, "now": writing.now}
            if not await writing.tx.execute(_REVOKE, named):
                raise _no_such_key()
            await void_of_key(writing, tenant_id, key_id)
            await forget_unheard(writing, tenant_id)
            await note(writing, tenant_id, Entry("key.revoke", actor, "key", key_id))

        await self._submit(tenant_id, job)

    async def list(self, tenant_id: str) -> list[KeyRow]:
        """All keys of a tenant, those that are gone too."""

        async def work(tx: Tx) -> list[KeyRow]:
            return [KeyRow.of(row) for row in await tx.fetch(LIST, (tenant_id,))]

        return await self._database.read(work)

    async def note_use(self, tenant_id: str, key_id: str, used_at: str | None) -> None:
        """Keep that a key was used, where that was not kept within the hour."""
        now_ms = self._clock()
        if used_at is not None and now_ms - decode_instant(used_at) < HOUR_MS:
            return
        named = {"tenant_id": tenant_id, "key_id": key_id, "now": encode_instant(now_ms)}

        async def job(writing: Writing) -> None:
            await writing.tx.execute(_USED, named)

        with suppress(DatabaseError):
            await self._writer.submit(Job([], job))

    def _new_signing(self, tenant_id: str, key_id: str) -> tuple[str, str]:
        """A secret and how it is stored."""
        if self._seal is None:
            raise AccessError("no_signing", "No key signs here.", status=422)
        secret = new_signing_secret()
        return secret, self._seal(tenant_id, key_id, secret)

    async def _submit(self, tenant_id: str, job: Callable[[Writing], Awaitable[T]]) -> T:
        try:
            return await self._writer.submit(Job([tenant_id], job))
        except UnknownTenantError:
            raise AccessError("no_such_tenant", "There is no such merchant here.", status=404) from None


def _after(now_ms: int, days: int | None) -> str | None:
    return None if days is None else encode_instant(now_ms + days * DAY_MS)


def _again(created_at: str, moment: str | None, now_ms: int) -> str | None:
    """A successor is due, and expires, after as long as its predecessor was to."""
    if moment is None:
        return None
    return encode_instant(now_ms + decode_instant(moment) - decode_instant(created_at))


def _no_such_key() -> AccessError:
    return AccessError("no_such_key", "There is no such key, or it was replaced or revoked before.", status=404)
