"""Setting up: tenants, shops, devices. Used by the command line and the demonstration shop."""

from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from server.audit import OPERATOR, Actor, Entry, note
from server.auth.errors import AccessError
from server.auth.jobs import submit
from server.auth.keys import Keys, Terms
from server.auth.names import checked_handle, checked_name, checked_role, put_shop
from server.auth.subscribed import forget_unheard
from server.storage.database import Database, Tx
from server.storage.statement import Parameters, Statement
from server.storage.writer import Job, Writer, Writing

_TENANT = Statement(
    """INSERT INTO tenants (tenant_id, name, seq, epoch, revision, created_at)
       VALUES (:tenant_id, :name, 0, :epoch, 0, :created_at)"""
)
_CALL = Statement("UPDATE tenants SET handle = :handle WHERE tenant_id = :tenant_id")
_FIRST_MARK = Statement("INSERT INTO marks (tenant_id, seq, nonce, at) VALUES (:tenant_id, 0, :nonce, :at)")
_DEVICE = Statement(
    """INSERT INTO devices (tenant_id, device_id, name, role, shop, made_by, created_at)
       VALUES (:tenant_id, :device_id, :name, :role, :shop, :made_by, :created_at)"""
)
_WITH_HANDLE = Statement("/* across tenants */ SELECT tenant_id FROM tenants WHERE handle = :handle")
_TENANTS = Statement(
    "/* across tenants */ SELECT tenant_id, name, created_at FROM tenants ORDER BY created_at, tenant_id"
)
_ONLY = Statement("/* across tenants */ SELECT tenant_id FROM tenants LIMIT 2")
_DEVICES = Statement(
    """SELECT d.device_id, d.name, d.role, d.shop, d.created_at, d.revoked_at,
       (SELECT max(u.at) FROM (
          SELECT k.last_used_at AS at FROM keys AS k WHERE k.tenant_id = d.tenant_id AND k.device_id = d.device_id
          UNION ALL
          SELECT s.rotated_at FROM sessions AS s WHERE s.tenant_id = d.tenant_id AND s.device_id = d.device_id) AS u)
       FROM devices AS d WHERE d.tenant_id = :tenant_id ORDER BY d.created_at, d.device_id"""
)
_REVOKE = Statement(
    """UPDATE devices SET revoked_at = :now
       WHERE tenant_id = :tenant_id AND device_id = :device_id AND revoked_at IS NULL"""
)


class Device(NamedTuple):
    """A device to be made. `made_by`: who paired it, where nobody is to be signed in on it."""

    device_id: str
    name: str
    role: str
    shop: str
    made_by: str | None = None


class DeviceRow(NamedTuple):
    """A device as it is listed. `last_used_at`: of its keys to the hour, of its sessions to the last refresh."""

    device_id: str
    name: str
    role: str
    shop: str
    created_at: str
    revoked_at: str | None
    last_used_at: str | None


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

    async def add_tenant(self, name: str, handle: str | None = None) -> str:
        """A new tenant's id; people sign in under its handle. Raises AccessError (bad_handle, handle_taken)."""
        tenant_id = self._new_id()
        row = {"tenant_id": tenant_id, "name": checked_name(name), "epoch": self._new_id()}
        checked = None if handle is None else checked_handle(handle)

        async def job(writing: Writing) -> None:
            if checked is not None and await writing.tx.fetch(_WITH_HANDLE, (checked,)):
                raise AccessError("handle_taken", "Another merchant here has this handle: choose another.", status=409)
            await writing.tx.execute(_TENANT, {**row, "created_at": writing.now})
            if checked is not None:
                await writing.tx.execute(_CALL, {"tenant_id": tenant_id, "handle": checked})
            mark = {"tenant_id": tenant_id, "nonce": self._new_id().replace("-", ""), "at": writing.now}
            await writing.tx.execute(_FIRST_MARK, mark)
            await note(writing, tenant_id, Entry("tenant.add", OPERATOR, "tenant", tenant_id))

        await self._writer.submit(Job([], job))
        return tenant_id

    async def find_tenant(self, named: str | None) -> str | None:
        """The tenant of this id or handle; without a name, the only one there is."""
        if named is None:
            known = await self._read(_ONLY, ())
            return known[0][0] if len(known) == 1 else None
        plain = named.strip().lower()
        rows = await self._read(_WITH_HANDLE, (plain,))
        return rows[0][0] if rows else _as_id(plain)

    async def tenants(self) -> list[tuple[str, ...]]:
        """Id, name and birth of every tenant: the operator's own list, across tenants."""
        return await self._read(_TENANTS, ())

    async def devices(self, tenant_id: str) -> list[DeviceRow]:
        """A tenant's devices, those that were revoked too."""
        return [DeviceRow(*row) for row in await self._read(_DEVICES, (tenant_id,))]

    async def revoke_device(self, tenant_id: str, device_id: str, actor: Actor = OPERATOR) -> None:
        """Let a device in no more, at once. Raises AccessError where there is none to revoke."""

        async def job(writing: Writing) -> None:
            writing.tenant(tenant_id).revision += 1
            named = {"tenant_id": tenant_id, "device_id": device_id, "now": writing.now}
            if not await writing.tx.execute(_REVOKE, named):
                message = "There is no such device, or it was revoked before."
                raise AccessError("no_such_device", message, status=404)
            await forget_unheard(writing, tenant_id)
            await note(writing, tenant_id, Entry("device.revoke", actor, "device", device_id))

        await submit(self._writer, tenant_id, job)

    async def add_device(self, tenant_id: str, name: str, role: str, shop: str) -> NewDevice:
        """A new device of a tenant, with a key. Raises AccessError."""
        device = Device(self._new_id(), name, role, shop)

        async def job(writing: Writing) -> NewDevice:
            await self.put_device(writing, tenant_id, device, OPERATOR)
            key = await self._keys.add(writing, tenant_id, device.device_id, device.name, Terms(), OPERATOR)
            return NewDevice(device.device_id, key.token, tenant_id)

        return await submit(self._writer, tenant_id, job)

    async def put_device(self, writing: Writing, tenant_id: str, device: Device, actor: Actor) -> None:
        """Make a device and its shop, in the transaction that lets it in. Raises AccessError."""
        checked_role(device.role)
        writing.tenant(tenant_id).revision += 1
        await put_shop(writing, tenant_id, device.shop)
        row = device._replace(name=checked_name(device.name))._asdict()
        await writing.tx.execute(_DEVICE, {"tenant_id": tenant_id, **row, "created_at": writing.now})
        await note(writing, tenant_id, Entry("device.add", actor, "device", device.device_id))

    async def _read(self, statement: Statement, parameters: Parameters) -> list[tuple[Any, ...]]:
        async def work(tx: Tx) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await tx.fetch(statement, parameters)]

        return await self._database.read(work)


def _as_id(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None
