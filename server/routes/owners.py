"""Who may look after a merchant by these routes: its owner, on a device or by a key that was given `manage`.

A key that is narrowed gives nobody more than it was given itself: neither by a key, nor by a code or a link.
"""

from collections.abc import Iterable

from starlette.requests import Request

from server.audit import Actor, coarse
from server.ports import NotPermittedError, Permission, Principal
from server.ports.principal import PERMISSIONS
from server.routes.state import State, current_correlation_id, signed_in
from sync.errors import SyncError


class OwnerOnlyError(SyncError):
    """Only an owner may do this."""

    code = "forbidden"
    status_hint = 403


async def owner_of(request: Request[State]) -> Principal:
    """The owner who asks. Raises UnauthenticatedError, NotPermittedError, OwnerOnlyError."""
    principal = await signed_in(request, "manage")
    if principal.role != "owner":
        raise OwnerOnlyError
    return principal


def check_within(principal: Principal, permissions: Iterable[Permission] | None) -> None:
    """Raise NotPermittedError where a key was not given these, or all there are for None."""
    for permission in PERMISSIONS if permissions is None else permissions:
        if not principal.may(permission):
            raise NotPermittedError(permission)


def acting(request: Request[State], principal: Principal) -> Actor:
    """Who was let in, as the audit writes it: the person where one is signed in, else the device."""
    origin = None if request.client is None else coarse(request.client.host)
    who = ("device", principal.device_id) if principal.person_id is None else ("person", principal.person_id)
    return Actor(*who, origin, current_correlation_id())  # type: ignore[arg-type]  # one of two kinds
