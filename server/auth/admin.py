"""Setting up: tenants, shops, devices. Used by the command line and the demonstration shop."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from server.audit import OPERATOR, Actor, Entry, note
from server.auth.keys import Keys, Terms
from server.collections.roles import ROLES
from server.storage.database import Database, Tx
from server.storage.statement import Parameters, Statement
from server.storage.writer import Job, UnknownTenantError, Writer, Writing

T = TypeVar("T")

_TENANT = Statement(
    """INSERT INTO tenants (tenant_id, name, seq, epoch, revision, created_at)
       VALUES (:tenant_id, :name, 0, :epoch, 0, :created_at)"""
)
_FIRST_MARK = Statement("INSERT INTO marks (tenant_id, seq, nonce, at) VALUES (:tenant_id, 0, :nonce, :at)")
_SHOP = Statement("INSERT INTO shops (tenant_id, shop) VALUES (:tenant_id, :shop) ON CONFLICT DO NOTHING")
_DEVICE = Statement(
    """INSERT INTO devices (tenant_id, device_id, name, role, shop, created_at)
       VALUES (:tenant_id, :device_id, :name, :role, :shop, :created_at)"""
)
_TENANTS = Statement(
    "/* across tenants */ SELECT tenant_id, name, created_at FROM tenants ORDER BY created_at, tenant_id"
)
_DEVICES = Statement(
    """SELECT device_id, name, role, shop, created_at, revoked_at FROM devices WHERE tenant_id = :tenant_id
       ORDER BY created_at, device_id"""
)
_REVOKE = Statement(
    """UPDATE devices SET revoked_at = :now
       WHERE tenant_id = :tenant_id AND device_id = :device_id AND revoked_at IS NULL"""
)
_SHOP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,47}")  # an audience adds roles to it, in 80 characters


class AdminError(Exception):
    """What was asked for cannot be done; the message says what to do instead."""


class Device(NamedTuple):
    """A device to be made."""

    device_id: str
    name: str
    role: str
    shop: str


class NewDevice(NamedTuple):
    """A device just made. The token is shown once and stored nowhere."""

    device_id: str
    token: str
    tenant_id: str


class Admin:
    """Makes tenants and devices."""

    def __init__(self, database: Database, writer: Writer, keys: Keys, new_id: Callable[[], str]) -> None:
        """`new_id` gives uuids of version 7."""
        self._database, self._writer, self._keys, self._new_id = database, writer, keys, new_id

    async def add_tenant(self, name: str) -> str:
        """A new tenant's id."""
        tenant_id = self._new_id()

        async def job(writing: Writing) -> None:
            row = {"tenant_id": tenant_id, "name": _named(name), "epoch": self._new_id(), "created_at": writing.now}
            await writing.tx.execute(_TENANT, row)
            mark = {"tenant_id": tenant_id, "nonce": self._new_id().replace("-", ""), "at": writing.now}
            await writing.tx.execute(_FIRST_MARK, mark)
            await note(writing, tenant_id, Entry("tenant.add", OPERATOR, "tenant", tenant_id))

        await self._writer.submit(Job([], job))
        return tenant_id

    async def tenants(self) -> list[tuple[str, ...]]:
        """Id, name and birth of every tenant: the operator's own list, across tenants."""
        return await self._read(_TENANTS, ())

    async def devices(self, tenant_id: str) -> list[tuple[str | None, ...]]:
        """A tenant's devices: id, name, role, shop, made at, revoked at."""
        return await self._read(_DEVICES, (tenant_id,))

    async def revoke_device(self, tenant_id: str, device_id: str, actor: Actor = OPERATOR) -> None:
        """Let a device in no more, at once. Raises AdminError where there is none to revoke."""

        async def job(writing: Writing) -> None:
            writing.tenant(tenant_id).revision += 1
            named = {"tenant_id": tenant_id, "device_id": device_id, "now": writing.now}
            if not await writing.tx.execute(_REVOKE, named):
                raise AdminError("no such device, or it was revoked before: see `rientro device list`")
            await note(writing, tenant_id, Entry("device.revoke", actor, "device", device_id))

        await self._submit(tenant_id, job)

    async def add_device(self, tenant_id: str, name: str, role: str, shop: str) -> NewDevice:
        """A new device of a tenant, with a key. Raises AdminError."""
        device = Device(self._new_id(), name, role, shop)

        async def job(writing: Writing) -> NewDevice:
            await self.put_device(writing, tenant_id, device, OPERATOR)
            key = await self._keys.add(writing, tenant_id, device.device_id, device.name, Terms(), OPERATOR)
            return NewDevice(device.device_id, key.token, tenant_id)

        return await self._submit(tenant_id, job)

    async def put_device(self, writing: Writing, tenant_id: str, device: Device, actor: Actor) -> None:
        """Make a device and its shop, in the transaction that lets it in. Raises AdminError."""
        if device.role not in ROLES:
            raise AdminError(f"there is no role {device.role!r}: use one of {', '.join(ROLES)}")
        if not _SHOP_NAME.fullmatch(device.shop):
            raise AdminError("a shop's name is letters, digits, dots and dashes, at most 48 of them")
        writing.tenant(tenant_id).revision += 1
        await writing.tx.execute(_SHOP, (tenant_id, device.shop))
        row = device._replace(name=_named(device.name))._asdict()
        await writing.tx.execute(_DEVICE, {"tenant_id": tenant_id, **row, "created_at": writing.now})
        await note(writing, tenant_id, Entry("device.add", actor, "device", device.device_id))

    async def _submit(self, tenant_id: str, run: Callable[[Writing], Awaitable[T]]) -> T:
        try:
            return await self._writer.submit(Job([tenant_id], run))
        except UnknownTenantError:
            raise AdminError("there is no such tenant here: see `rientro tenant list`") from None

    async def _read(self, statement: Statement, parameters: Parameters) -> list[tuple[Any, ...]]:
        async def work(tx: Tx) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await tx.fetch(statement, parameters)]

        return await self._database.read(work)


def _named(name: str) -> str:
    shown = name.strip()
    if not shown or len(shown) > 200:  # noqa: PLR2004  # the column's width
        raise AdminError("a name has 1 to 200 characters")
    return shown
