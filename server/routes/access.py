"""`/v1/auth/…`: sessions are renewed and ended; `/.well-known/jwks.json` shows what access tokens are signed by.

A browser asks for `"cookie": true` and gets its refresh token in a cookie; others get it in the answer and send it back
in the body. Bodies are checked by a form; answers are never stored on the way.
"""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from server.audit import Actor, coarse
from server.auth.errors import AccessError
from server.auth.sessions import Issued
from server.routes.body import read_body
from server.routes.cookies import drop_refresh, refresh_of, set_refresh
from server.routes.openapi import Operation
from server.routes.state import State, current_correlation_id
from sync.errors import MalformedError

MOST_BYTES = 16 * 1024
NOT_STORED = {"Cache-Control": "no-store"}
FormT = TypeVar("FormT", bound="Form")

_ISSUED = {
    "type": "object",
    "properties": {
        "access_token": {"type": "string", "description": "A bearer for all that asks for a device; ten minutes."},
        "token_type": {"enum": ["Bearer"]},
        "expires_in": {"type": "integer", "description": "Seconds."},
        "refresh_token": {"type": ["string", "null"], "description": "Null where a cookie holds it."},
        "tenant_id": {"type": "string", "format": "uuid"},
        "session_id": {"type": "string", "format": "uuid"},
        "device_id": {"type": "string", "format": "uuid"},
        "person_id": {"type": ["string", "null"], "format": "uuid"},
    },
    "required": ["access_token", "token_type", "expires_in", "refresh_token", "tenant_id", "device_id", "person_id"],
}
ISSUED_SCHEMA = _ISSUED


class Form(BaseModel):
    """A body; what is not asked for is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RefreshForm(Form):
    """A refresh. `attempt`: made up by the client, kept until the answer is stored, sent again with the same token."""

    attempt: Annotated[str, Field(min_length=16, max_length=64)]
    refresh_token: Annotated[str, Field(max_length=200)] | None = None


class EndForm(Form):
    """A sign-out; without a token, of the session in the cookie."""

    refresh_token: Annotated[str, Field(max_length=200)] | None = None


async def read_form(request: Request[State], form: type[FormT]) -> FormT:
    """The body, checked. Raises MalformedError, which names the fields and quotes nothing, and TooLargeError."""
    body = await read_body(request, MOST_BYTES)
    try:
        return form.model_validate_json(body or b"{}")
    except ValidationError as error:
        named = {str(one["loc"][0]) if one["loc"] else "body" for one in error.errors()}
        wrong = sorted(name if name in form.model_fields else "something not asked for" for name in named - {"body"})
        raise MalformedError(f"not of the form of this request: {', '.join(wrong) or 'body'}") from None


def actor_of(request: Request[State], kind: Any = "nobody", actor_id: str | None = None) -> Actor:
    """Who asks, as the audit writes it."""
    origin = None if request.client is None else coarse(request.client.host)
    return Actor(kind, actor_id, origin, current_correlation_id())


def issue(request: Request[State], issued: Issued, *, cookie: bool) -> Response:
    """What a sign-in or a refresh is answered with."""
    told: dict[str, Any] = {"token_type": "Bearer", **issued._asdict()}
    if cookie:
        told["refresh_token"] = None
    response = Response(to_json(told), media_type="application/json", headers=NOT_STORED)
    if cookie:
        set_refresh(request, response, issued.refresh_token)
    return response


async def refresh(request: Request[State]) -> Response:
    """Spend a refresh token for the next one and an access token."""
    form = await read_form(request, RefreshForm)
    token, in_cookie = _token(request, form.refresh_token)
    issued = await request.state["services"].access.sessions.refresh(token, form.attempt, actor_of(request))
    return issue(request, issued, cookie=in_cookie)


async def sign_out(request: Request[State]) -> Response:
    """End a session; the same again is no error."""
    form = await read_form(request, EndForm)
    token, in_cookie = _token(request, form.refresh_token)
    await request.state["services"].access.sessions.sign_out(token, actor_of(request))
    response = Response(to_json({"status": "signed_out"}), media_type="application/json", headers=NOT_STORED)
    if in_cookie:
        drop_refresh(request, response)
    return response


async def key_set(request: Request[State]) -> Response:
    """The public keys."""
    headers = {"Cache-Control": "public, max-age=3600"}
    keys = request.state["services"].access.signer.key_set()
    return Response(to_json(keys), media_type="application/json", headers=headers)


def access_operations() -> tuple[Operation, ...]:
    """How the routes are declared."""
    signed_out = {"type": "object", "properties": {"status": {"enum": ["signed_out"]}}, "required": ["status"]}
    key_set_schema = {"type": "object", "properties": {"keys": {"type": "array"}}, "required": ["keys"]}
    return (
        Operation(
            "POST",
            "/v1/auth/refresh",
            refresh,
            "Go on being signed in: spend a refresh token for the next one.",
            request=RefreshForm.model_json_schema(),
            response=_ISSUED,
            errors=(400, 401, 403, 413, 415, 503),
            public=True,
        ),
        Operation(
            "POST",
            "/v1/auth/sign-out",
            sign_out,
            "End a session.",
            request=EndForm.model_json_schema(),
            response=signed_out,
            errors=(400, 401, 403, 413, 415, 503),
            public=True,
        ),
        Operation(
            "GET",
            "/.well-known/jwks.json",
            key_set,
            "The public keys of access tokens.",
            response=key_set_schema,
            public=True,
        ),
    )


def _token(request: Request[State], given: str | None) -> tuple[str, bool]:
    """The refresh token, and whether a cookie holds it."""
    if given is not None:
        return given, False
    token = refresh_of(request)
    if token is None:
        raise AccessError("invalid_refresh", "No refresh token came, neither in the body nor in a cookie: sign in.")
    return token, True
