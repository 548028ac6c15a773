"""When an endpoint was last reached, and what went wrong there last: known to all processes, to the minute.

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
_REACHED = frozenset((None, "answered"))
"""A provider that refuses for business reasons was reached, and did its part."""


class Contacts:
    """Notes contacts with endpoints; one for each part of a process that has any."""

    def __init__(self) -> None:
        """Nothing was noted yet."""
        self._noted: dict[str, tuple[str | None, int]] = {}

    async def note(
        self, writing: Writing, tenant_id: str, endpoint_id: str, classified: Classified | None = None
    ) -> None:
        """An endpoint was reached, or (by its class) was not, inside somebody's job."""
        failure = None if classified is None or classified.error_class in _REACHED else classified
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
