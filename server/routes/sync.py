"""`POST /v1/sync`, `GET /v1/schema` and `GET /v1/live`."""

from collections.abc import AsyncIterator
from typing import Any

from pydantic_core import to_json
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response

from server.auth.errors import AccessError
from server.ports import NotPermittedError, Principal, PrincipalMovedError
from server.routes.body import read_body
from server.routes.problem import UnauthenticatedError
from server.routes.refused import TENANT
from server.routes.schema import describe_collections
from server.routes.state import State, admitted, bearer_of, current_correlation_id, prove_it, signed_in
from server.storage.database import DatabaseError
from sync.protocol import MAX_BODY_BYTES

FAREWELL_S = 2.0
"""So long a stream has to end by itself when the server stops; then it is cut."""


async def sync(request: Request[State]) -> Response:
    """Push the queue and pull what changed.

    Who asks is let in by memory, at a revision of the tenant that the exchange confirms where it reads it anyway.
    """
    services, bearer = request.state["services"], bearer_of(request)
    known = await services.access.guard.remembered(bearer)
    admitted(known)
    await prove_it(request, known)
    body = await read_body(request, MAX_BODY_BYTES)
    while True:
        try:
            principal = admitted(known)
            request.scope[TENANT] = principal.tenant_id
            answer = await services.exchange.sync(principal, body, current_correlation_id())
        except PrincipalMovedError as moved:
            known = await services.access.guard.as_of(bearer, moved.revision)
        else:
            return Response(answer, media_type="application/json")


async def schema(request: Request[State]) -> Response:
    """What the caller's collections look like."""
    await signed_in(request, "pull")
    return Response(to_json(describe_collections(request.state["services"].registry)), media_type="application/json")


async def live(request: Request[State]) -> Response:
    """Pokes, as they come."""
    principal = await _signed_in_for_long(request)
    return EventSourceResponse(
        _events(request, principal.tenant_id),
        ping=0,  # heartbeats are told with the head
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        shutdown_event=request.state["services"].pokes.stopping,
        shutdown_grace_period=FAREWELL_S,
    )


async def _signed_in_for_long(request: Request[State]) -> Principal:
    """As of what its tenant's streams know, if it has any: thousands that come back at once cost few look-ups."""
    services = request.state["services"]
    known = await services.access.guard.remembered(bearer_of(request))
    revision = None if known is None else services.pokes.revision(known.principal.tenant_id)
    return await signed_in(request, "pull", revision)


async def _events(request: Request[State], tenant_id: str) -> AsyncIterator[dict[str, Any]]:
    """What is told, for as long as the token is good: it is checked again whenever a device of the tenant changed."""
    with request.state["services"].pokes.listening(tenant_id) as listener:
        async for told in listener:
            try:
                await signed_in(request, "pull", told.standing.revision)
            except (UnauthenticatedError, NotPermittedError):
                yield {"event": "signed_out", "data": "{}"}
                return
            except (DatabaseError, AccessError):
                return  # who cannot be checked asks again
            yield {"event": told.kind, "data": to_json({"head": told.standing.head}).decode()}
