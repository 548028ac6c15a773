"""`/health/live`: the process runs. `/health/ready`: its database answers; a full disk shows in `/metrics`."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.routes.problem import problem
from server.routes.state import State
from server.storage.database import DatabaseError, Tx
from server.storage.statement import Statement

_ANY = Statement("SELECT 1")


async def live(_request: Request[State]) -> Response:
    """Always, as long as somebody answers."""
    return JSONResponse({"status": "live"})


async def ready(request: Request[State]) -> Response:
    """Whether the database answers."""

    async def work(tx: Tx) -> None:
        await tx.fetch(_ANY)

    try:
        await request.state["services"].database.read(work)
    except DatabaseError:
        return problem(503, "database_unreachable", "The database does not answer.", headers={"Retry-After": "1"})
    ends_at = request.state["services"].watching.tls_ends_at
    return JSONResponse({"status": "ready"} if ends_at is None else {"status": "ready", "certificate_ends_at": ends_at})
