"""What was kept, to be looked at: mutations that broke a rule, and values that lost against concurrent ones.

Rules:

1. Both lists come newest first, page by page (`server.engine.newest`).
2. Nothing is changed here, and what a rejected mutation said is shown as it was stored.
3. A device sees superseded values of those records only that it may pull; another's record and none look the same.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from server.engine.newest import Wanted, listing, read_page
from server.engine.records import Records
from server.engine.sides import Device, devices_of
from server.ports import Principal
from server.storage.database import Database, Tx
from server.storage.statement import Statement
from sync.errors import SyncError
from sync.workspace import Key

T = TypeVar("T")

_BEGINNING = "1900-01-01T00:00:00.000Z"
_BY_UID, _BY_FIELD = ("received_at", "uid"), ("noted_at", "uid", "field")
_REJECTED = """uid, code, message, client_id, device_id,
    (SELECT d.name FROM devices AS d WHERE d.tenant_id = k.tenant_id AND d.device_id = k.device_id), mutation_id,
    correlation_id, received_at, resolved_at, resolved_by, resolved_as, body"""
_SUPERSEDED = "uid, collection, record_id, field, value, author, stamp, noted_at"
_OF_TENANT = "rejected AS k WHERE k.tenant_id = :tenant_id"
_OF_DEVICE = "rejected AS k WHERE k.tenant_id = :tenant_id AND device_id = :device_id"
_SINCE = "superseded AS k WHERE k.tenant_id = :tenant_id AND noted_at >= :since"
_OF_RECORD = """superseded AS k WHERE k.tenant_id = :tenant_id AND collection = :collection AND record_id = :record_id
    AND noted_at >= :since"""

TENANT_REJECTED = listing(_OF_TENANT, _BY_UID, _REJECTED, "body")
DEVICE_REJECTED = listing(_OF_DEVICE, _BY_UID, _REJECTED, "body")
TENANT_SUPERSEDED = listing(_SINCE, _BY_FIELD, _SUPERSEDED, "value")
RECORD_SUPERSEDED = listing(_OF_RECORD, _BY_FIELD, _SUPERSEDED, "value")
_ONE = Statement(f"SELECT {_REJECTED} FROM {_OF_TENANT} AND uid = :uid")  # noqa: S608  # our own text


class UnknownRejectionError(SyncError):
    """There is no such rejected mutation here."""

    code = "unknown_rejection"
    status_hint = 404


@dataclass(frozen=True, slots=True)
class Rejected:
    """A mutation that broke a rule. `body` is what was sent, whatever that is.

    `resolved_at`: a person dealt with it, on the device `resolved_by` (None: by the command line); `resolved_as` is the
    uid of the corrected mutation that was accepted in its place (None: it was put aside).
    """

    uid: str
    code: str
    message: str
    client_id: str
    device_id: str
    device_name: str | None
    mutation_id: int
    correlation_id: str
    received_at: str
    resolved_at: str | None
    resolved_by: str | None
    resolved_as: str | None
    body: Any


@dataclass(frozen=True, slots=True)
class Superseded:
    """A value that lost. `field` `@` is the record's existence, its value whether the record was to be deleted.

    `author` wrote it at `written_at` (a client, with its device here where it is known; or a part of the server), and
    the mutation `uid` decided at `superseded_at` that it was not kept.
    """

    uid: str
    collection: str
    record_id: str
    field: str
    value: Any
    author: str
    device_id: str | None
    device_name: str | None
    written_at: str
    superseded_at: str


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, newest first; `next` is the place to go on after, or None at the end."""

    rows: Sequence[T]
    next: str | None = None


class Kept:
    """Reads both lists."""

    def __init__(self, database: Database, records: Records) -> None:
        """`records` tell who may see what."""
        self._database, self._records = database, records

    async def rejected(self, tenant_id: str, device_id: str | None, wanted: Wanted) -> Page[Rejected]:
        """A tenant's rejected mutations; with `device_id`, what that device sent. Raises ValueError for a bad place."""
        listed = TENANT_REJECTED if device_id is None else DEVICE_REJECTED
        named = {"tenant_id": tenant_id, "device_id": device_id}

        async def work(tx: Tx) -> Page[Rejected]:
            rows, following = await read_page(tx, listed, named, wanted)
            return Page([_rejected(row) for row in rows], following)

        return await self._database.read(work)

    async def rejection(self, tenant_id: str, uid: str) -> Rejected:
        """One rejected mutation. Raises UnknownRejectionError."""

        async def work(tx: Tx) -> Rejected:
            rows = await tx.fetch(_ONE, {"tenant_id": tenant_id, "uid": uid})
            if not rows:
                raise UnknownRejectionError
            return _rejected(rows[0])

        return await self._database.read(work)

    async def superseded(
        self, tenant_id: str, record: Key | None, wanted: Wanted, since: str | None = None
    ) -> Page[Superseded]:
        """A tenant's superseded values, or those of one record; not older than `since`. Raises ValueError."""

        async def work(tx: Tx) -> Page[Superseded]:
            return await _superseded(tx, tenant_id, record, wanted, since)

        return await self._database.read(work)

    async def superseded_for(self, principal: Principal, record: Key, wanted: Wanted) -> Page[Superseded]:
        """The superseded values of a record, none where the caller may not see it. Raises ValueError."""

        async def work(tx: Tx) -> Page[Superseded]:
            if not await self._visible(tx, principal, record):
                return Page([])
            return await _superseded(tx, principal.tenant_id, record, wanted, None)

        return await self._database.read(work)

    async def _visible(self, tx: Tx, principal: Principal, record: Key) -> bool:
        if record[0] not in self._records.registry.collections:
            return False
        found = await self._records.load(tx, principal.tenant_id, [record])
        return record in found and principal.scope().sees(found[record].audience)


async def _superseded(
    tx: Tx, tenant_id: str, record: Key | None, wanted: Wanted, since: str | None
) -> Page[Superseded]:
    collection, record_id = record or (None, None)
    listed = TENANT_SUPERSEDED if record is None else RECORD_SUPERSEDED
    named = {"tenant_id": tenant_id, "collection": collection, "record_id": record_id, "since": since or _BEGINNING}
    rows, following = await read_page(tx, listed, named, wanted)
    devices = await devices_of(tx, tenant_id, (author for *_, author, _, _ in rows))
    return Page([_lost(row, devices) for row in rows], following)


def _rejected(row: Sequence[Any]) -> Rejected:
    *plain, body = row
    return Rejected(*[*plain, json.loads(body)])


def _lost(row: Sequence[Any], devices: Mapping[str, Device]) -> Superseded:
    uid, collection, record_id, field, value, author, written_at, superseded_at = row
    device = devices.get(author)
    return Superseded(
        uid=uid,
        collection=collection,
        record_id=record_id,
        field=field,
        value=json.loads(value),
        author=author,
        device_id=None if device is None else device.id,
        device_name=None if device is None else device.name,
        written_at=written_at,
        superseded_at=superseded_at,
    )
