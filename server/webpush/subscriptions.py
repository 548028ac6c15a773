"""Subscriptions: one a device, sealed; made by the device that has it, shown to owners without its secrets.

Rules:

1. What a browser gave (address and keys) is sealed and bound to merchant and device. It is opened for one call, and
   shown to nobody but, its address, the device itself: that compares it with what its browser holds.
2. A subscription names the key of ours that it was made with, and is sent to with that one.
3. What a push service does not know any more is forgotten; so is what lives no more (`server.auth.subscribed`). What
   still waits for such a device is answered by nothing at its next attempt, and ends.
4. The account at a push service is the merchant's: its breaker, limits and Retry-After are for all devices there.
"""

import binascii
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr
from pydantic_core import to_json

from server.audit import Actor, Entry, note
from server.auth.errors import AccessError
from server.auth.jobs import submit
from server.auth.subscribed import LIVES
from server.credentials.vault import VAPID, WEBPUSH, SealedError, Vault
from server.ids import derived
from server.ports import Principal, Subscription
from server.resilience.errors import TransientError
from server.storage.database import Database, DatabaseError, Tx
from server.storage.statement import Statement
from server.storage.writer import Job, UnknownTenantError, Writer, Writing
from server.webpush.hosts import Hosts
from server.webpush.keys import forget_unused, from_base64, keys_of, plain_base64
from server.webpush.notices import PROVIDER
from server.webpush.subscribers import Subscriber, living

_OPENED = f"""SELECT n.subscription_id, n.person_id, n.sealed, k.key_id, k.public_key, k.sealed
       FROM webpush_subscriptions AS n JOIN webpush_keys AS k ON k.tenant_id = n.tenant_id AND k.key_id = n.key_id
       WHERE n.tenant_id = :tenant_id AND n.device_id = :device_id AND {LIVES}"""  # noqa: S608  # our own text
_OPEN = Statement(_OPENED)
_PUT = Statement(
    """INSERT INTO webpush_subscriptions (tenant_id, device_id, subscription_id, person_id, endpoint_id, key_id, sealed,
         lang, kinds, quiet_from, quiet_to, created_at, changed_at)
       VALUES (:tenant_id, :device_id, :subscription_id, :person_id, :endpoint_id, :key_id, :sealed,
         :lang, :kinds, :quiet_from, :quiet_to, :now, :now)
       ON CONFLICT (tenant_id, device_id) DO UPDATE SET subscription_id = excluded.subscription_id,
         person_id = excluded.person_id, endpoint_id = excluded.endpoint_id, key_id = excluded.key_id,
         sealed = excluded.sealed, lang = excluded.lang, kinds = excluded.kinds, quiet_from = excluded.quiet_from,
         quiet_to = excluded.quiet_to, changed_at = excluded.changed_at"""
)
_ACCOUNT = Statement(
    """INSERT INTO endpoints (tenant_id, endpoint_id, provider, name, settings, sealed, paused, created_at)
       VALUES (:tenant_id, :endpoint_id, :provider, :name, :settings, '', false, :now)
       ON CONFLICT (tenant_id, endpoint_id) DO NOTHING"""
)
_DELETE = Statement("DELETE FROM webpush_subscriptions WHERE tenant_id = :tenant_id AND device_id = :device_id")
_GONE = Statement(
    """DELETE FROM webpush_subscriptions WHERE tenant_id = :tenant_id AND device_id = :device_id
       AND subscription_id = :subscription_id"""
)
_NOTICES = Statement("DELETE FROM webpush_notices WHERE tenant_id = :tenant_id AND device_id = :device_id")
_OTHERS_NOTICES = Statement(
    """DELETE FROM webpush_notices WHERE tenant_id = :tenant_id AND device_id = :device_id AND EXISTS (
       SELECT 1 FROM webpush_subscriptions AS n WHERE n.tenant_id = :tenant_id AND n.device_id = :device_id
       AND n.person_id IS DISTINCT FROM :person_id)"""
)
_AUTH_BYTES = 16


class Wanted(NamedTuple):
    """What a device asks for: what its browser gave, the key it used, and how it wants to be told."""

    endpoint: str
    p256dh: SecretStr
    auth: SecretStr
    public_key: str
    lang: str
    kinds: Sequence[str] | None
    quiet: tuple[str, str] | None


class Mine(NamedTuple):
    """A device's own subscription, with its address."""

    subscriber: Subscriber
    endpoint: str


class PushSubscriptions:
    """Keeps them; also what the adapter asks (`server.ports.Subscriptions`)."""

    def __init__(
        self, database: Database, writer: Writer, vault: Vault, hosts: Hosts, contact: str, clock: Callable[[], str]
    ) -> None:
        """`contact`: a mailto or https address for push services; `clock` gives instants as the wire writes them."""
        self._database, self._writer, self._vault, self._hosts = database, writer, vault, hosts
        self._contact, self._clock = contact, clock

    async def put(self, principal: Principal, wanted: Wanted, actor: Actor) -> bool:
        """Keep a device's subscription in place of what it had; whether it is another one.

        Raises AccessError: bad_push_service, bad_push_keys, unknown_push_key, nobody_stays.
        """
        service, keys = self._hosts.service_of(wanted.endpoint), _checked_keys(wanted)
        given = {"endpoint": wanted.endpoint, **keys}
        return await submit(
            self._writer, principal.tenant_id, partial(self._put, principal, wanted, service, given, actor)
        )

    async def mine(self, principal: Principal) -> Mine | None:
        """A device's own. Raises AccessError (secrets_do_not_open), DatabaseError."""
        found = (await self.list(principal.tenant_id)).get(principal.device_id)
        opened = None if found is None else await self.of(principal.tenant_id, principal.device_id)
        return None if found is None or opened is None else Mine(found, opened.endpoint)

    async def list(self, tenant_id: str) -> dict[str, Subscriber]:
        """All of a merchant's, by device; nothing secret."""
        return await self._database.read(lambda tx: living(tx, tenant_id, self._clock()))

    async def remove(self, principal: Principal, actor: Actor) -> bool:
        """Forget a device's; False where it had none."""

        async def job(writing: Writing) -> bool:
            key = {"tenant_id": principal.tenant_id, "device_id": principal.device_id}
            if not await _forget(writing, _DELETE, key):
                return False
            entry = Entry("webpush.unsubscribe", actor, "device", principal.device_id)
            await note(writing, principal.tenant_id, entry)
            return True

        return await submit(self._writer, principal.tenant_id, job)

    async def of(self, tenant_id: str, device_id: str) -> Subscription | None:
        """How a device is reached now. Raises TransientError."""

        async def work(tx: Tx) -> Sequence[Sequence[str]]:
            return await tx.fetch(_OPEN, {"tenant_id": tenant_id, "device_id": device_id, "now": self._clock()})

        try:
            rows = await self._database.read(work)
            return self._opened(tenant_id, device_id, *rows[0]) if rows else None
        except DatabaseError:
            raise TransientError("subscription_out_of_reach") from None
        except SealedError:
            raise TransientError("secrets_do_not_open") from None

    async def gone(self, tenant_id: str, device_id: str, subscription_id: str) -> None:
        """Forget one that its push service does not know. Raises TransientError."""

        async def job(writing: Writing) -> None:
            key = {"tenant_id": tenant_id, "device_id": device_id}
            if await _forget(writing, _GONE, key, subscription_id=subscription_id):
                entry = Entry("webpush.unsubscribe", Actor("system"), "device", device_id, reason="gone")
                await note(writing, tenant_id, entry)

        try:
            await self._writer.submit(Job([tenant_id], job))
        except UnknownTenantError:
            return
        except DatabaseError:
            raise TransientError("subscription_out_of_reach") from None

    async def _put(
        self, principal: Principal, wanted: Wanted, service: str, given: dict[str, str], actor: Actor, writing: Writing
    ) -> bool:
        tenant_id, device_id = principal.tenant_id, principal.device_id
        key_id = next(
            (k.key_id for k in await keys_of(writing.tx, tenant_id) if k.public_key == wanted.public_key), None
        )
        if key_id is None:
            message = "This server sends by another key now: ask for it, and subscribe anew."
            raise AccessError("unknown_push_key", message, status=409)
        endpoint_id = derived(PROVIDER, tenant_id, service)
        account = {"tenant_id": tenant_id, "endpoint_id": endpoint_id, "provider": PROVIDER, "now": writing.now}
        settings = to_json({"service": service}).decode()
        await writing.tx.execute(_ACCOUNT, {**account, "name": f"web push, {service}"[:200], "settings": settings})
        row = {
            "tenant_id": tenant_id,
            "device_id": device_id,
            "subscription_id": derived(PROVIDER, tenant_id, device_id, *given.values(), key_id),
            "person_id": principal.person_id,
            "endpoint_id": endpoint_id,
            "key_id": key_id,
            "sealed": self._vault.seal(tenant_id, WEBPUSH, device_id, given),
            "lang": wanted.lang,
            "kinds": None if wanted.kinds is None else to_json(sorted(set(wanted.kinds))).decode(),
            **dict(zip(("quiet_from", "quiet_to"), wanted.quiet or (None, None), strict=True)),
        }
        known = {"tenant_id": tenant_id, "device_id": device_id, "now": writing.now}
        before = {str(one[0]) for one in await writing.tx.fetch(_OPEN, known)}
        whose = {"tenant_id": tenant_id, "device_id": device_id, "person_id": principal.person_id}
        await writing.tx.execute(_OTHERS_NOTICES, whose)
        await writing.tx.execute(_PUT, {**row, "now": writing.now})
        if not await writing.tx.fetch(_OPEN, known):
            message = "Nobody is signed in on this device to stay: sign in here first."
            raise AccessError("nobody_stays", message, status=409)
        await forget_unused(writing, tenant_id)
        if row["subscription_id"] in before:
            return False
        await note(writing, tenant_id, Entry("webpush.subscribe", actor, "device", device_id))
        return True

    def _opened(
        self, tenant_id: str, device_id: str, subscription_id: str, person_id: str | None, *sealed_with: str
    ) -> Subscription:
        sealed, key_id, public_key, sealed_key = sealed_with
        given = self._vault.unseal(tenant_id, WEBPUSH, device_id, sealed)
        private = self._vault.unseal(tenant_id, VAPID, key_id, sealed_key)["private"]
        return Subscription(subscription_id, public_key, self._contact, person_id, **given, private_key=private)


async def _forget(writing: Writing, statement: Statement, key: dict[str, str], **more: str) -> bool:
    """Whether there was one; its notices and a superseded key that was its alone go with it."""
    if not await writing.tx.execute(statement, {**key, **more}):
        return False
    await writing.tx.execute(_NOTICES, key)
    await forget_unused(writing, key["tenant_id"])
    return True


def _checked_keys(wanted: Wanted) -> dict[str, str]:
    """What to encrypt with, in one form. Raises AccessError (bad_push_keys)."""
    try:
        point, auth = (from_base64(one.get_secret_value()) for one in (wanted.p256dh, wanted.auth))
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except (ValueError, binascii.Error):
        raise _bad_keys() from None
    if len(auth) != _AUTH_BYTES:
        raise _bad_keys()
    return {"p256dh": plain_base64(point), "auth": plain_base64(auth)}


def _bad_keys() -> AccessError:
    message = "These are no keys of a push subscription: send `p256dh` and `auth` as the browser gives them."
    return AccessError("bad_push_keys", message, status=422)
