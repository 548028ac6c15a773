"""Attempts, as they are shown: what each call for a delivery came to, by a word and never by a message."""

from typing import NamedTuple

from server.storage.database import Tx
from server.storage.statement import Statement

_ATTEMPTS = Statement(
    """SELECT attempt, started_at, ended_at, outcome, code, status, request_id FROM attempts
       WHERE tenant_id = :tenant_id AND delivery_id = :delivery_id ORDER BY attempt"""
)


class Attempt(NamedTuple):
    """One attempt; without an end where the relay died under it, or is at it now."""

    attempt: int
    started_at: str
    ended_at: str | None
    outcome: str | None
    code: str | None
    status: int | None
    request_id: str | None


async def attempts_of(tx: Tx, tenant_id: str, delivery_id: str) -> list[Attempt]:
    """A delivery's attempts, in order."""
    return [Attempt._make(row) for row in await tx.fetch(_ATTEMPTS, (tenant_id, delivery_id))]
