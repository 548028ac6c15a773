"""`/v1/rejected` and `/v1/superseded`: what was kept is shown, and an owner acts on it.

An owner sees all that was rejected, another device what it sent itself. Addresses hold ids and nothing else.
"""

import json
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field, StringConstraints, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from server.engine.kept import Page, Rejected, Superseded
from server.engine.newest import FIELD_PLACE_PATTERN, MAX_ROWS, PLACE_PATTERN, Wanted
from server.engine.resend import Correction, Resent, Who, parse_correction
from server.routes.body import read_body
from server.routes.openapi import Operation
from server.routes.owners import acting, check_within, owner_of
from server.routes.parameters import Parameter, parse_parameters
from server.routes.state import State, current_correlation_id, signed_in
from sync.protocol import MAX_MUTATION_BYTES
from sync.wire import CODE, UUID

_UID = Parameter("uid", UUID.check, "The rejected mutation's uid.", place="path")
_LIMIT = Parameter(
    "limit",
    Annotated[int, Field(ge=1, le=MAX_ROWS)],
    "At most so many; a page may hold less, for its bytes are bounded too.",
    required=False,
    default=100,
)


def _after(pattern: str) -> Parameter:
    check = Annotated[str, StringConstraints(pattern=f"^{pattern}$")]
    return Parameter("after", check, "Go on after this place: the `next` of the page before.", required=False)


_REJECTED = (_after(PLACE_PATTERN), _LIMIT)
_SUPERSEDED = (
    Parameter("collection", CODE.check, "The record's collection."),
    Parameter("record_id", UUID.check, "The record's id."),
    _after(FIELD_PLACE_PATTERN),
    _LIMIT,
)
_DISMISSED = {
    "type": "object",
    "properties": {"uid": {"type": "string", "format": "uuid"}, "status": {"enum": ["dismissed"]}},
    "required": ["uid", "status"],
}


async def rejected(request: Request[State]) -> Response:
    """Rejected mutations, newest first."""
    principal = await signed_in(request, "pull")
    given = parse_parameters(request, _REJECTED)
    device_id = None if principal.role == "owner" else principal.device_id
    wanted = Wanted(given["after"], given["limit"])
    return _page("rejected", await request.state["services"].kept.rejected(principal.tenant_id, device_id, wanted))


async def superseded(request: Request[State]) -> Response:
    """A record's superseded values, newest first."""
    principal = await signed_in(request, "pull")
    given = parse_parameters(request, _SUPERSEDED)
    record, wanted = (given["collection"], given["record_id"]), Wanted(given["after"], given["limit"])
    return _page("superseded", await request.state["services"].kept.superseded_for(principal, record, wanted))


async def resend(request: Request[State]) -> Response:
    """Send a rejected mutation again, corrected."""
    principal = await owner_of(request)
    check_within(principal, ("push",))
    uid = parse_parameters(request, (_UID,))["uid"]
    correction = parse_correction(await read_body(request, MAX_MUTATION_BYTES))
    who = Who(principal.device_id, current_correlation_id(), acting(request, principal))
    resent = await request.state["services"].resender.resend(principal.tenant_id, uid, correction, who)
    return _json(asdict(resent))


async def dismiss(request: Request[State]) -> Response:
    """Put a rejected mutation aside."""
    principal = await owner_of(request)
    uid = parse_parameters(request, (_UID,))["uid"]
    who = Who(principal.device_id, current_correlation_id(), acting(request, principal))
    await request.state["services"].resender.dismiss(principal.tenant_id, uid, who)
    return _json({"uid": uid, "status": "dismissed"})


def kept_operations() -> tuple[Operation, ...]:
    """How the routes are declared."""
    return (
        Operation(
            "GET",
            "/v1/rejected",
            rejected,
            "List mutations that broke a rule, newest first: all of them for an owner, else the caller's own.",
            response=_page_schema("rejected", Rejected),
            errors=(400, 503),
            parameters=_REJECTED,
        ),
        Operation(
            "POST",
            "/v1/rejected/{uid}/resend",
            resend,
            "Send a rejected mutation again, corrected. The same correction sent twice applies once.",
            request=Correction.model_json_schema(),
            response=TypeAdapter(Resent).json_schema(),
            errors=(400, 403, 404, 409, 410, 413, 415, 422, 503),
            parameters=(_UID,),
        ),
        Operation(
            "POST",
            "/v1/rejected/{uid}/dismiss",
            dismiss,
            "Put a rejected mutation aside: it stays in the list, marked as dealt with.",
            response=_DISMISSED,
            errors=(400, 403, 404, 409, 410, 503),
            parameters=(_UID,),
        ),
        Operation(
            "GET",
            "/v1/superseded",
            superseded,
            "List a record's values that lost against concurrent ones, newest first; kept for 90 days.",
            response=_page_schema("superseded", Superseded),
            errors=(400, 503),
            parameters=_SUPERSEDED,
        ),
    )


def _page(name: str, page: Page[Any]) -> Response:
    return _json({name: [asdict(row) for row in page.rows], "next": page.next})


def _json(document: dict[str, Any]) -> Response:
    """ASCII: what was rejected may hold text that no UTF-8 can carry."""
    return Response(json.dumps(document, ensure_ascii=True, separators=(",", ":")), media_type="application/json")


def _page_schema(name: str, row: type[Any]) -> dict[str, Any]:
    properties = {
        name: {"type": "array", "items": TypeAdapter(row).json_schema()},
        "next": {"type": ["string", "null"], "description": "Give it as `after` to go on; null at the end."},
    }
    return {"type": "object", "properties": properties, "required": [name, "next"]}
