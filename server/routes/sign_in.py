"""`/v1/auth/password`, `/v1/auth/setup`, `/v1/auth/pair…`, `/v1/auth/me`: the ways in that need nothing outside."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from server.auth.invites import Taking
from server.auth.pairing import Wanted
from server.auth.sign_in import Shown
from server.routes.access import ISSUED_SCHEMA, Form, actor_of, issue, read_form
from server.routes.cookies import check_meant
from server.routes.forms import (
    TEXT,
    EnteringForm,
    Name,
    Password,
    Short,
    absolute,
    answer,
    object_schema,
    person,
    place_of,
    status_schema,
)
from server.routes.openapi import Operation
from server.routes.owners import acting, check_within
from server.routes.refused import TENANT
from server.routes.state import State, bearer_of, signed_in

_ERRORS = (400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 503)
_CODE = object_schema(code=TEXT, link=TEXT, expires_at=TEXT)
_ANYTHING = {"type": "object"}
_ME = object_schema(
    merchant=_ANYTHING,
    device=_ANYTHING,
    person={"type": ["object", "null"]},
    role=TEXT,
    shop=TEXT,
    shops={"type": "array", "items": TEXT},
    permissions={"type": ["array", "null"], "items": TEXT},
)


class PasswordForm(EnteringForm):
    """A sign-in by password. `merchant` is an id or a handle; it may be left out where there is only one here."""

    merchant: Short | None = None
    login: Short
    password: Password


class ChangeForm(Form):
    """Another password for who is signed in; their other sessions end."""

    old: Password
    new: Password


class SetupForm(EnteringForm):
    """A one-time link that is taken: how its person is called, and what they will sign in by."""

    token: Annotated[str, Field(max_length=200)]
    name: Name | None = None
    login: Short | None = None
    password: Password | None = None


class PairingForm(Form):
    """A device that is to be paired. `person`: who asks is signed in on it; `device_id`: one that comes back."""

    device_name: Name | None = None
    role: Short | None = None
    shop: Short | None = None
    person: Literal["me"] | None = None
    device_id: UUID | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        """A device that comes back is what it was."""
        if self.device_id is not None and {self.device_name, self.role, self.shop, self.person} != {None}:
            raise ValueError("a device that comes back keeps its name, role and shop")
        return self


class PairForm(Form):
    """A code as it was typed, or what its link carries."""

    code: Annotated[str, Field(max_length=200)]
    device_name: Name = "Browser"
    cookie: bool = False


async def by_password(request: Request[State]) -> Response:
    """Sign in by password."""
    form = await read_form(request, PasswordForm)
    access, place = request.state["services"].access, await place_of(request, form)
    tenant_id = request.scope[TENANT] = await access.admin.find_tenant(form.merchant)
    shown = Shown(form.login, form.password)
    issued = await access.sign_in.by_password(tenant_id, shown, place, actor_of(request))
    return issue(request, issued, cookie=form.cookie)


async def change_password(request: Request[State]) -> Response:
    """Give oneself another password."""
    principal, person_id = await person(request)
    form = await read_form(request, ChangeForm)
    access = request.state["services"].access
    told = access.signer.read(bearer_of(request))
    at = (principal.tenant_id, person_id, None if told is None else told.session_id)
    await access.sign_in.change_password(at, form.old, form.new, acting(request, principal))
    return answer({"status": "changed"})


async def set_up(request: Request[State]) -> Response:
    """Take a one-time link."""
    form = await read_form(request, SetupForm)
    taking = Taking(form.name, form.login, form.password)
    place = await place_of(request, form)
    issued = await request.state["services"].access.invites.take(form.token, taking, place, actor_of(request))
    return issue(request, issued, cookie=form.cookie)


async def make_code(request: Request[State]) -> Response:
    """Have a code made for another device."""
    principal = await signed_in(request, "manage")
    check_within(principal, None)
    form = await read_form(request, PairingForm)
    again = None if form.device_id is None else str(form.device_id)
    wanted = Wanted(form.role, form.shop, form.device_name, form.person == "me", again)
    code = await request.state["services"].access.pairing.make(principal, wanted, acting(request, principal))
    return answer(code._replace(link=absolute(request, code.link))._asdict())


async def pair(request: Request[State]) -> Response:
    """Be let in by a code."""
    form = await read_form(request, PairForm)
    if form.cookie:
        check_meant(request)
    address = None if request.client is None else request.client.host
    pairing = request.state["services"].access.pairing
    issued = await pairing.take(form.code, form.device_name, address, actor_of(request))
    return issue(request, issued, cookie=form.cookie)


async def me(request: Request[State]) -> Response:
    """Who is asking."""
    principal = await signed_in(request, "pull")
    return answer(await request.state["services"].access.directory.me(principal))


def sign_in_operations() -> tuple[Operation, ...]:
    """How the routes are declared."""
    return (
        Operation(
            "POST",
            "/v1/auth/password",
            by_password,
            "Sign in by password, on a device of one's own or on the one whose bearer comes along.",
            request=PasswordForm.model_json_schema(),
            response=ISSUED_SCHEMA,
            errors=_ERRORS,
            public=True,
        ),
        Operation(
            "POST",
            "/v1/auth/password/change",
            change_password,
            "Give oneself another password; one's other sessions end.",
            request=ChangeForm.model_json_schema(),
            response=status_schema("changed"),
            errors=_ERRORS,
        ),
        Operation(
            "POST",
            "/v1/auth/setup",
            set_up,
            "Take a one-time link: the first owner's, an invited person's, or one that sets a password anew.",
            request=SetupForm.model_json_schema(),
            response=ISSUED_SCHEMA,
            errors=_ERRORS,
            public=True,
        ),
        Operation(
            "POST",
            "/v1/auth/pairings",
            make_code,
            "Have a code shown that lets another device in: for ten minutes, once.",
            request=PairingForm.model_json_schema(),
            response=_CODE,
            errors=_ERRORS,
        ),
        Operation(
            "POST",
            "/v1/auth/pair",
            pair,
            "Be let in by a pairing code, typed or scanned.",
            request=PairForm.model_json_schema(),
            response=ISSUED_SCHEMA,
            errors=_ERRORS,
            public=True,
        ),
        Operation("GET", "/v1/auth/me", me, "Who is asking.", response=_ME, errors=(403, 503)),
    )
