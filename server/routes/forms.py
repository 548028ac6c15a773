"""What the forms of access share: texts that a database can hold, where somebody signs in, answers, who may ask."""

from typing import Annotated, Any

from pydantic import Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from server.auth.entrance import Place, Proven
from server.auth.errors import AccessError
from server.ports import Principal
from server.routes.access import NOT_STORED, Form
from server.routes.cookies import check_meant
from server.routes.state import State, admitted, bearer_of, prove_it, signed_in

_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
UUID_PATTERN = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_CONTROLS)]
Short = Annotated[str, Field(min_length=1, max_length=80, pattern=_NO_CONTROLS)]
Password = Annotated[str, Field(min_length=1, max_length=200)]
Id = Annotated[str, Field(pattern=UUID_PATTERN, max_length=36, json_schema_extra={"format": "uuid"})]
UUID_SCHEMA = {"type": "string", "format": "uuid"}
TEXT, MAYBE_TEXT = {"type": "string"}, {"type": ["string", "null"]}


class EnteringForm(Form):
    """A sign-in. `device_id`: a device the person was signed in on before; a bearer that comes along proves one.

    `cookie`: for a browser; the refresh token is kept from scripts.
    """

    device_name: Name = "Browser"
    device_id: Id | None = None
    cookie: bool = False


async def place_of(request: Request[State], form: EnteringForm) -> Place:
    """Where somebody signs in. Raises UnauthenticatedError for a bearer that is none, AccessError (cross_site)."""
    if form.cookie:
        check_meant(request)
    if "authorization" not in request.headers:
        return Place(form.device_name, named=form.device_id)
    known = await request.state["services"].access.guard.now(bearer_of(request))
    principal = admitted(known)
    await prove_it(request, known)
    return Place(form.device_name, Proven(principal.tenant_id, principal.device_id), form.device_id)


async def person(request: Request[State]) -> tuple[Principal, str]:
    """A person who asks, and their id. Raises UnauthenticatedError, AccessError (nobody_signed_in)."""
    principal = await signed_in(request, "manage")
    if principal.person_id is None:
        raise AccessError("nobody_signed_in", "Nobody is signed in here: sign in first.", status=409)
    return principal, principal.person_id


def answer(value: Any) -> Response:
    """JSON that nobody keeps on the way."""
    return Response(to_json(value), media_type="application/json", headers=NOT_STORED)


def absolute(request: Request[State], link: str) -> str:
    """A link of the application, from where people reach it."""
    public_url = request.state["services"].access.public_url
    base = public_url or f"{request.scope['scheme']}://{request.headers.get('host', 'localhost')}"
    return base.rstrip("/") + link


def status_schema(word: str) -> dict[str, Any]:
    """What something is answered with that is done."""
    return {"type": "object", "properties": {"status": {"enum": [word]}}, "required": ["status"]}


def object_schema(**properties: Any) -> dict[str, Any]:
    """An object that has all of these."""
    return {"type": "object", "properties": properties, "required": sorted(properties)}
