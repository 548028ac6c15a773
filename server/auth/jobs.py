"""Work on one merchant's access, through the one writer."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from server.auth.errors import AccessError
from server.storage.writer import Job, UnknownTenantError, Writer, Writing

T = TypeVar("T")


async def submit(writer: Writer, tenant_id: str, run: Callable[[Writing], Awaitable[T]]) -> T:
    """Run a job under the tenant's lock. Raises what it raises, AccessError (no_such_tenant), DatabaseError."""
    try:
        return await writer.submit(Job([tenant_id], run))
    except UnknownTenantError:
        raise AccessError("no_such_tenant", "There is no such merchant here.", status=404) from None
