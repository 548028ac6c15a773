"""Holes: what a client had no more of when a server that had gone back in time asked for it again."""

from collections.abc import Sequence
from typing import NamedTuple

from server.storage.database import Database, Tx
from server.storage.statement import Statement
from server.storage.writer import Writing

_NOTE = Statement(
    """INSERT INTO holes (tenant_id, client_id, first_id, last_id, noted_at)
       VALUES (:tenant_id, :client_id, :first_id, :last_id, :noted_at)
       ON CONFLICT (tenant_id, client_id, first_id) DO UPDATE SET last_id = excluded.last_id"""
)
_LIST = Statement(
    """SELECT h.client_id, d.device_id, d.name, h.first_id, h.last_id, h.noted_at FROM holes AS h
       LEFT JOIN clients AS c ON c.tenant_id = h.tenant_id AND c.client_id = h.client_id
       LEFT JOIN devices AS d ON d.tenant_id = h.tenant_id AND d.device_id = c.device_id
       WHERE h.tenant_id = :tenant_id ORDER BY h.noted_at DESC, h.client_id, h.first_id LIMIT :most"""
)
_MOST = 1000


class Hole(NamedTuple):
    """Mutations of a client, by their numbers, that were taken once and are lost; the device where it is known."""

    client_id: str
    device_id: str | None
    device: str | None
    first_id: int
    last_id: int
    noted_at: str


async def note_hole(writing: Writing, tenant_id: str, client_id: str, first_id: int, last_id: int) -> None:
    """Note a hole inside the push that goes on after it."""
    await writing.tx.execute(_NOTE, (tenant_id, client_id, first_id, last_id, writing.now))


async def list_holes(database: Database, tenant_id: str) -> Sequence[Hole]:
    """A tenant's holes, the newest first, at most 1,000."""

    async def work(tx: Tx) -> Sequence[Hole]:
        return [Hole(*row) for row in await tx.fetch(_LIST, (tenant_id, _MOST))]

    return await database.read(work)
