"""`/v1/auth/passkey…`: passkeys are made, listed, removed, and signed in by.

`options` is what the browser's own `navigator.credentials` takes (`parseCreationOptionsFromJSON`); what that gives,
as JSON, comes back as `credential`.
"""

import re
from typing import Annotated, Any

from pydantic import StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from server.auth.ceremonies import Owner
from server.auth.passkeys import LONGEST_ID
from server.ports import Principal
from server.routes.access import ISSUED_SCHEMA, Form, actor_of, issue, read_form
from server.routes.forms import (
    MAYBE_TEXT,
    TEXT,
    EnteringForm,
    Name,
    answer,
    object_schema,
    person,
    place_of,
    status_schema,
)
from server.routes.openapi import Operation
from server.routes.owners import acting
from server.routes.parameters import Parameter, parse_parameters
from server.routes.state import State

_ID = Parameter(
    "credential_id",
    Annotated[str, StringConstraints(pattern=f"^[A-Za-z0-9_-]{{1,{LONGEST_ID}}}$")],
    "The passkey's id.",
    place="path",
)
_PORT = re.compile(r":[0-9]{1,5}$")
_ERRORS = (400, 401, 403, 404, 409, 410, 413, 415, 422, 503)
_OPTIONS = {"type": "object", "description": "For navigator.credentials, as WebAuthn's JSON has it."}
_PASSKEY = object_schema(credential_id=TEXT, name=TEXT, created_at=TEXT, used_at=MAYBE_TEXT)


class RegisterForm(Form):
    """A passkey that was made, under a name its person knows it by."""

    name: Name
    credential: dict[str, Any]


class PasskeyForm(EnteringForm):
    """A sign-in by passkey: nothing else is needed, the passkey knows whose it is."""

    credential: dict[str, Any]


async def begin(request: Request[State]) -> Response:
    """What a passkey is made with."""
    principal, person_id = await person(request)
    passkeys = request.state["services"].access.passkeys
    return answer(await passkeys.begin(Owner(principal.tenant_id, person_id)))


async def register(request: Request[State]) -> Response:
    """Keep a passkey."""
    owner, principal = await _owner(request)
    form = await read_form(request, RegisterForm)
    passkeys, actor = request.state["services"].access.passkeys, acting(request, principal)
    made = await passkeys.register(owner, form.name, form.credential, _origin(request), actor)
    return answer({"credential_id": made})


async def list_(request: Request[State]) -> Response:
    """One's own passkeys."""
    owner, _ = await _owner(request)
    passkeys = await request.state["services"].access.passkeys.list(owner)
    return answer({"passkeys": [one._asdict() for one in passkeys]})


async def remove(request: Request[State]) -> Response:
    """Let in by a passkey no more."""
    owner, principal = await _owner(request)
    credential_id = parse_parameters(request, (_ID,))["credential_id"]
    await request.state["services"].access.passkeys.remove(owner, credential_id, acting(request, principal))
    return answer({"status": "removed"})


async def options(request: Request[State]) -> Response:
    """What one signs in with."""
    return answer(request.state["services"].access.passkeys.options())


async def sign_in(request: Request[State]) -> Response:
    """Sign in by passkey."""
    form = await read_form(request, PasskeyForm)
    place, passkeys = await place_of(request, form), request.state["services"].access.passkeys
    issued = await passkeys.sign_in(form.credential, _origin(request), place, actor_of(request))
    return issue(request, issued, cookie=form.cookie)


def passkey_operations() -> tuple[Operation, ...]:
    """How the routes are declared."""
    return (
        Operation(
            "POST",
            "/v1/auth/passkeys/options",
            begin,
            "Begin to make a passkey for who is signed in.",
            response=_OPTIONS,
            errors=(403, 409, 503),
        ),
        Operation(
            "POST",
            "/v1/auth/passkeys",
            register,
            "Keep a passkey that was made.",
            request=RegisterForm.model_json_schema(),
            response=object_schema(credential_id=TEXT),
            errors=_ERRORS,
        ),
        Operation(
            "GET",
            "/v1/auth/passkeys",
            list_,
            "List one's own passkeys.",
            response=object_schema(passkeys={"type": "array", "items": _PASSKEY}),
            errors=(403, 409, 503),
        ),
        Operation(
            "DELETE",
            "/v1/auth/passkeys/{credential_id}",
            remove,
            "Let in by this passkey no more; the last way in stays.",
            response=status_schema("removed"),
            errors=(400, 403, 404, 409, 503),
            parameters=(_ID,),
        ),
        Operation(
            "POST",
            "/v1/auth/passkey/options",
            options,
            "Begin to sign in by passkey.",
            response=_OPTIONS,
            errors=(503,),
            public=True,
        ),
        Operation(
            "POST",
            "/v1/auth/passkey/sign-in",
            sign_in,
            "Sign in by passkey.",
            request=PasskeyForm.model_json_schema(),
            response=ISSUED_SCHEMA,
            errors=_ERRORS,
            public=True,
        ),
    )


async def _owner(request: Request[State]) -> tuple[Owner, Principal]:
    principal, person_id = await person(request)
    return Owner(principal.tenant_id, person_id), principal


def _origin(request: Request[State]) -> str:
    """Where a page of this very machine is, for a server that was not told its address."""
    port = _PORT.search(request.headers.get("host", ""))
    return f"{request.scope['scheme']}://localhost{'' if port is None else port[0]}"
