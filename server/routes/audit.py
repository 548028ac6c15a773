"""`GET /v1/audit`: an owner reads who did what, and who was refused it."""

from dataclasses import asdict
from typing import Annotated

from pydantic import Field, TypeAdapter
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from server.audit.listing import MOST, Asked, Line
from server.routes.openapi import Operation
from server.routes.owners import owner_of
from server.routes.parameters import Parameter, parse_parameters
from server.routes.state import State
from sync.wire import CODE, INSTANT, UUID

_AUDIT = (
    Parameter("since", INSTANT.check, "Only what was noted at this instant or later.", required=False),
    Parameter("action", CODE.check, "Only this action: `key.revoke`, `access.refuse` …", required=False),
    Parameter("actor", CODE.check, "Only what this device, person or key did, by its id.", required=False),
    Parameter("after", UUID.check, "Go on after this place: the `next` of the page before.", required=False),
    Parameter("limit", Annotated[int, Field(ge=1, le=MOST)], "At most so many.", required=False, default=100),
)
_PAGE = {
    "type": "object",
    "properties": {
        "audit": {"type": "array", "items": TypeAdapter(Line).json_schema()},
        "next": {"type": ["string", "null"], "description": "Give it as `after` to go on; null at the end."},
    },
    "required": ["audit", "next"],
}


async def audit(request: Request[State]) -> Response:
    """A page of the audit, newest first."""
    principal = await owner_of(request)
    given = parse_parameters(request, _AUDIT)
    asked = Asked(given["since"], given["action"], given["actor"])
    lines = await request.state["services"].audit.page(principal.tenant_id, asked, given["after"], given["limit"])
    told = {"audit": [asdict(row) for row in lines.rows], "next": lines.next}
    return Response(to_json(told), media_type="application/json", headers={"Cache-Control": "no-store"})


def audit_operation() -> Operation:
    """How the route is declared."""
    return Operation(
        "GET",
        "/v1/audit",
        audit,
        "List who did what, or was refused it, newest first; kept for a year. For owners.",
        response=_PAGE,
        errors=(400, 403, 503),
        parameters=_AUDIT,
    )
