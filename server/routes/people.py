"""`/v1/people` and `/v1/devices`: an owner sees who may come in, and on what, and decides it.

All see and end their own sessions.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from server.auth.admin import DeviceRow
from server.auth.directory import OpenSession
from server.auth.errors import AccessError
from server.auth.people import Change, NewPerson, Person
from server.ports import Principal
from server.routes.access import Form, read_form
from server.routes.forms import (
    MAYBE_TEXT,
    TEXT,
    UUID_SCHEMA,
    Name,
    Short,
    absolute,
    answer,
    object_schema,
    status_schema,
)
from server.routes.openapi import Operation
from server.routes.owners import acting, check_within, owner_of
from server.routes.parameters import Parameter, parse_parameters
from server.routes.state import State, signed_in
from sync.wire import UUID

_PERSON_ID = Parameter("person_id", UUID.check, "The person's id.", place="path")
_SESSION_ID = Parameter("session_id", UUID.check, "The session's id.", place="path")
_DEVICE_ID = Parameter("device_id", UUID.check, "The device's id.", place="path")
_ERRORS = (400, 403, 404, 409, 413, 415, 422, 503)
_FLAG = {"type": "boolean"}


def _row_schema(fields: tuple[str, ...], maybe: set[str], flags: tuple[str, ...] = ()) -> dict[str, Any]:
    texts = {name: MAYBE_TEXT if name in maybe else TEXT for name in fields}
    return object_schema(**texts | dict.fromkeys(flags, _FLAG))


_PERSON = _row_schema(Person._fields, {"login", "issuer", "disabled_at"}, ("has_password", "has_passkey"))
_DEVICE = _row_schema(DeviceRow._fields, {"revoked_at", "last_used_at"})
_SESSION = _row_schema(OpenSession._fields, set())
_INVITE = object_schema(person_id=UUID_SCHEMA, link=TEXT, expires_at=TEXT)


class NewPersonForm(Form):
    """Somebody who is to come in; with a login, if by password."""

    name: Name
    role: Short
    shop: Short
    login: Short | None = None


class ChangeForm(Form):
    """What is to be another of a person; what is not given stays."""

    name: Name | None = None
    role: Short | None = None
    shop: Short | None = None
    login: Short | None = None
    disabled: bool | None = None


async def list_people(request: Request[State]) -> Response:
    """Everybody of the merchant."""
    principal = await owner_of(request)
    people = await request.state["services"].access.people.list(principal.tenant_id)
    return answer({"people": [one._asdict() for one in people]})


async def add_person(request: Request[State]) -> Response:
    """Add somebody, and have a link for them."""
    principal = await _whole_owner(request)
    form = await read_form(request, NewPersonForm)
    access, actor = request.state["services"].access, acting(request, principal)
    person_id = await access.people.add(principal.tenant_id, NewPerson(**form.model_dump()), actor)
    return await _invited(request, principal, person_id)


async def change_person(request: Request[State]) -> Response:
    """Change somebody, let them in no more, or again."""
    principal = await _whole_owner(request)
    person_id = parse_parameters(request, (_PERSON_ID,))["person_id"]
    form = await read_form(request, ChangeForm)
    people, actor = request.state["services"].access.people, acting(request, principal)
    changed = form.model_dump(exclude={"disabled"})
    if any(value is not None for value in changed.values()):
        await people.change(principal.tenant_id, person_id, Change(**changed), actor)
    if form.disabled is not None:
        await (people.disable if form.disabled else people.enable)(principal.tenant_id, person_id, actor)
    found = await people.find(principal.tenant_id, person_id)
    if found is None:
        raise AccessError("no_such_person", "There is no such person here.", status=404)
    return answer(found._asdict())


async def invite(request: Request[State]) -> Response:
    """Have a link for somebody: to come in by, or to set a password anew."""
    principal = await _whole_owner(request)
    return await _invited(request, principal, parse_parameters(request, (_PERSON_ID,))["person_id"])


async def list_sessions(request: Request[State]) -> Response:
    """Where somebody is signed in."""
    principal, person_id = await _about_person(request)
    return answer({"sessions": [one._asdict() for one in await _sessions(request, principal, person_id)]})


async def end_session(request: Request[State]) -> Response:
    """Sign somebody out of one device."""
    principal, person_id = await _about_person(request, _SESSION_ID)
    session_id = request.path_params["session_id"]
    if session_id not in {one.session_id for one in await _sessions(request, principal, person_id)}:
        raise AccessError("no_such_session", "There is no such session, or it ended before.", status=404)
    sessions = request.state["services"].access.sessions
    await sessions.end(principal.tenant_id, session_id, "ended", acting(request, principal))
    return answer({"status": "ended"})


async def list_devices(request: Request[State]) -> Response:
    """All devices of the merchant."""
    principal = await owner_of(request)
    devices = await request.state["services"].access.admin.devices(principal.tenant_id)
    return answer({"devices": [one._asdict() for one in devices]})


async def revoke_device(request: Request[State]) -> Response:
    """Let a device in no more."""
    principal = await owner_of(request)
    device_id = parse_parameters(request, (_DEVICE_ID,))["device_id"]
    admin = request.state["services"].access.admin
    await admin.revoke_device(principal.tenant_id, device_id, acting(request, principal))
    return answer({"status": "revoked"})


def people_operations() -> tuple[Operation, ...]:
    """How the routes are declared."""
    one, session = (_PERSON_ID,), (_PERSON_ID, _SESSION_ID)
    listed = {
        name: object_schema(**{name: {"type": "array", "items": schema}})
        for name, schema in (("people", _PERSON), ("sessions", _SESSION), ("devices", _DEVICE))
    }
    add, change = NewPersonForm.model_json_schema(), ChangeForm.model_json_schema()
    path, few, all_ = "/v1/people/{person_id}", (403, 503), _ERRORS
    rows: tuple[tuple[str, str, Any, str, Any, Any, tuple[int, ...], tuple[Parameter, ...]], ...] = (
        ("GET", "/v1/people", list_people, "List the people.", None, listed["people"], few, ()),
        ("POST", "/v1/people", add_person, "Add a person, with a link for them.", add, _INVITE, all_, ()),
        ("PATCH", path, change_person, "Change a person, or let them in no more.", change, _PERSON, all_, one),
        ("POST", f"{path}/invite", invite, "Have a one-time link for a person.", None, _INVITE, all_, one),
        ("GET", f"{path}/sessions", list_sessions, "Where one is signed in.", None, listed["sessions"], all_, one),
        (
            *("DELETE", f"{path}/sessions/{{session_id}}", end_session, "Sign a person out of one device."),
            *(None, status_schema("ended"), all_, session),
        ),
        ("GET", "/v1/devices", list_devices, "List the devices.", None, listed["devices"], few, ()),
        (
            *("DELETE", "/v1/devices/{device_id}", revoke_device, "Let a device in no more, at once."),
            *(None, status_schema("revoked"), all_, (_DEVICE_ID,)),
        ),
    )
    return tuple(
        Operation(method, at, run, says, request=takes, response=gives, errors=errors, parameters=parameters)
        for method, at, run, says, takes, gives, errors, parameters in rows
    )


async def _invited(request: Request[State], principal: Principal, person_id: str) -> Response:
    invites, actor = request.state["services"].access.invites, acting(request, principal)
    made = await invites.make(principal.tenant_id, person_id, actor)
    return answer(made._replace(link=absolute(request, made.link))._asdict())


async def _whole_owner(request: Request[State]) -> Principal:
    """An owner who gives somebody all that a role may: by no key that is narrowed."""
    principal = await owner_of(request)
    check_within(principal, None)
    return principal


async def _about_person(request: Request[State], *more: Parameter) -> tuple[Principal, str]:
    """Who asks and about whom: an owner about anybody, a person about themselves."""
    principal = await signed_in(request, "manage")
    person_id: str = parse_parameters(request, (_PERSON_ID, *more))["person_id"]
    return (principal if person_id == principal.person_id else await owner_of(request)), person_id


async def _sessions(request: Request[State], principal: Principal, person_id: str) -> list[OpenSession]:
    access = request.state["services"].access
    return await access.directory.sessions(principal.tenant_id, person_id, access.clock())
