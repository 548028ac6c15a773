"""When our calls last reached an endpoint, what went wrong there last, and when it last told us something.

That we were told something is no proof that our calls succeed, and the other way round: the two are kept apart. All
processes know them to the minute.

A success and what it confirms are written in one transaction. The same news is written once a minute, not with every
delivery: a row that all deliveries of an endpoint update would hold them up. What was noted in a transaction that was
then rolled back is noted again a minute later.
"""

from server.resilience.classify import Classified
from server.storage.statement import Statement
from server.storage.writer import Writing

EVERY_MS = 60_000

_SUCCEEDED = Statement(
    """INSERT INTO contacts (tenant_id, endpoint_id, succeeded_at) VALUES (:tenant_id, :endpoint_id, :now)
       ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET succeeded_at = excluded.succeeded_at"""
)
_FAILED = Statement(
    """INSERT INTO contacts (tenant_id, endpoint_id, failed_at, error_class, error)
       VALUES (:tenant_id, :endpoint_id, :now, :error_class, :error)
       ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET failed_at = excluded.failed_at,
         error_class = excluded.error_class, error = excluded.error"""
)
_HEARD = Statement(
    """INSERT INTO contacts (tenant_id, endpoint_id, heard_at) VALUES (:tenant_id, :endpoint_id, :now)
       ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET heard_at = excluded.heard_at"""
)
_REACHED = frozenset((None, "answered"))
"""A provider that refuses for business reasons was reached, and did its part."""


class Contacts:
    """Notes contacts with endpoints; one for each part of a process that has any."""

    def __init__(self) -> None:
        """Nothing was noted yet."""
        self._noted: dict[str, tuple[str | None, int]] = {}
        self._heard: dict[str, int] = {}

    async def note(self, writing: Writing, tenant_id: str, endpoint_id: str, classified: Classified) -> None:
        """A call reached an endpoint, or (by its class) did not, inside somebody's job."""
        failure = None if classified.error_class in _REACHED else classified
        code = None if failure is None else failure.code
        known = self._noted.get(endpoint_id)
        if known is not None and known[0] == code and writing.now_ms - known[1] < EVERY_MS:
            return
        self._noted[endpoint_id] = (code, writing.now_ms)
        named = {"tenant_id": tenant_id, "endpoint_id": endpoint_id, "now": writing.now}
        if failure is None:
            await writing.tx.execute(_SUCCEEDED, named)
        else:
            await writing.tx.execute(_FAILED, {**named, "error_class": failure.error_class, "error": code})

    async def heard(self, writing: Writing, tenant_id: str, endpoint_id: str) -> None:
        """An endpoint told us something, inside somebody's job."""
        known_ms = self._heard.get(endpoint_id)
        if known_ms is not None and writing.now_ms - known_ms < EVERY_MS:
            return
        self._heard[endpoint_id] = writing.now_ms
        named = {"tenant_id": tenant_id, "endpoint_id": endpoint_id, "now": writing.now}
        await writing.tx.execute(_HEARD, named)
