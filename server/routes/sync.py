"""`POST /v1/sync`, `GET /v1/schema` and `GET /v1/live`."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
from pydantic_core import to_json
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response

from server.routes.body import read_body
from server.routes.problem import UnauthenticatedError
from server.routes.schema import describe_collections
from server.routes.state import State, current_correlation_id, signed_in
from sync.protocol import MAX_BODY_BYTES

HEARTBEAT_S = 20.0


async def sync(request: Request[State]) -> Response:
    """Push the queue and pull what changed."""
    principal = await signed_in(request)
    body = await read_body(request, MAX_BODY_BYTES)
    answer = await request.state["services"].exchange.sync(principal, body, current_correlation_id())
    return Response(answer, media_type="application/json")


async def schema(request: Request[State]) -> Response:
    """What the caller's collections look like."""
    await signed_in(request)
    return Response(to_json(describe_collections(request.state["services"].registry)), media_type="application/json")


async def live(request: Request[State]) -> Response:
    """Pokes, as they come."""
    principal = await signed_in(request)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventSourceResponse(_pokes(request, principal.tenant_id), ping=3600, headers=headers)


async def _pokes(request: Request[State], tenant_id: str) -> AsyncIterator[dict[str, Any]]:
    """The head at once, then at every poke and every heartbeat; the token is checked again each time."""
    pokes = request.state["services"].pokes
    with pokes.listening(tenant_id) as listener:
        kind = "poke"
        while True:
            try:
                await signed_in(request)
            except UnauthenticatedError:
                yield {"event": "signed_out", "data": "{}"}
                return
            yield {"event": kind, "data": to_json({"head": await pokes.head(tenant_id)}).decode()}
            await anyio.lowlevel.checkpoint()
            kind = "poke" if await listener.poked(HEARTBEAT_S) else "heartbeat"
