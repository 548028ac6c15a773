"""`/v1/keys`: an owner's keys for terminals and programs: made, listed, replaced, revoked.

A key that is narrowed gives no more than it was given: neither by a new key, nor by another one's successor.
"""

import json
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response

from server.auth.certificates import fingerprint_of
from server.auth.keys import HOUR_MS, KeyRow, NewKey, Terms
from server.ports import Permission
from server.ports.principal import PERMISSIONS
from server.routes.access import Form, read_form
from server.routes.forms import Name, answer
from server.routes.openapi import Operation
from server.routes.owners import acting, check_within, owner_of
from server.routes.parameters import Parameter, parse_parameters
from server.routes.state import State
from sync.wire import UUID, UUID_PATTERN

_KEY = Parameter("key_id", UUID.check, "The key's id.", place="path")
_DAYS = Annotated[int, Field(ge=1, le=3650)]


class KeyForm(Form):
    """A new key. `certificate`: PEM, of the one each of its requests must come with."""

    device_id: Annotated[str, Field(pattern=f"^{UUID_PATTERN}$")]
    name: Name
    permissions: Annotated[list[Permission], Field(max_length=len(PERMISSIONS))] | None = None
    expires_days: _DAYS | None = None
    rotate_days: _DAYS | None = None
    signed: bool = False
    certificate: Annotated[str, Field(max_length=12_000)] | None = None


class RotateForm(Form):
    """For so long both are good."""

    overlap_hours: Annotated[int, Field(ge=0, le=24 * 90)] = 24 * 7


async def list_keys(request: Request[State]) -> Response:
    """All keys, those that are gone too."""
    principal = await owner_of(request)
    parse_parameters(request, ())
    services = request.state["services"]
    rows, now_ms = await services.access.keys.list(principal.tenant_id), services.watching.watch.clock()
    return answer({"keys": [describe_key(row, now_ms) for row in rows]})


async def add_key(request: Request[State]) -> Response:
    """A key; what it is let in by is shown in this answer only."""
    principal = await owner_of(request)
    form = await read_form(request, KeyForm)
    check_within(principal, form.permissions)
    certificate = None if form.certificate is None else fingerprint_of(form.certificate)
    terms = Terms(form.permissions, form.expires_days, form.rotate_days, form.signed, certificate)
    keys = request.state["services"].access.keys
    return answer(
        (await keys.issue(principal.tenant_id, form.device_id, form.name, terms, acting(request, principal)))._asdict()
    )


async def rotate_key(request: Request[State]) -> Response:
    """A key's successor."""
    principal = await owner_of(request)
    key_id = parse_parameters(request, (_KEY,))["key_id"]
    form = await read_form(request, RotateForm)
    keys = request.state["services"].access.keys
    if principal.permissions is not None:
        for row in await keys.list(principal.tenant_id):
            if row.key_id == key_id:
                check_within(principal, None if row.permissions is None else from_json(row.permissions))
    overlap_ms = form.overlap_hours * HOUR_MS
    return answer((await keys.rotate(principal.tenant_id, key_id, overlap_ms, acting(request, principal)))._asdict())


async def revoke_key(request: Request[State]) -> Response:
    """Let a key in no more."""
    principal = await owner_of(request)
    key_id = parse_parameters(request, (_KEY,))["key_id"]
    await request.state["services"].access.keys.revoke(principal.tenant_id, key_id, acting(request, principal))
    return answer({"key_id": key_id, "status": "revoked"})


def describe_key(row: KeyRow, now_ms: int) -> dict[str, Any]:
    """A key as it is shown: how it stands, and whether somebody should see to it."""
    permissions = None if row.permissions is None else json.loads(row.permissions)
    told = {**row._asdict(), "permissions": permissions}
    return {**told, "state": row.state(now_ms), "due": row.is_pressing(now_ms)}


def key_operations() -> tuple[Operation, ...]:
    """How the routes are declared."""
    made = TypeAdapter(NewKey).json_schema()
    text, maybe = {"type": "string"}, {"type": ["string", "null"]}
    names = ("key_id", "device_id", "name", "created_at", "rotate_by", "expires_at", "last_used_at", "successor")
    one = {
        **dict.fromkeys(names, maybe),
        "permissions": {"type": ["array", "null"], "items": {"enum": list(PERMISSIONS)}},
        "state": {"enum": ["good", "due", "leaving", "expired", "revoked"]},
        "due": {"type": "boolean", "description": "It is due, expires soon, or leaves while it is still used."},
        "signed": {"type": "boolean"},
        "certificate": {**maybe, "description": "The SHA-256 of the certificate its requests must come with."},
    }
    key = {"type": "object", "properties": one, "required": sorted(one)}
    listed = {"type": "object", "properties": {"keys": {"type": "array", "items": key}}, "required": ["keys"]}
    revoked = {"type": "object", "properties": {"key_id": text, "status": {"enum": ["revoked"]}}}
    return (
        Operation("GET", "/v1/keys", list_keys, "List a merchant's API keys.", response=listed, errors=(400, 403, 503)),
        Operation(
            "POST",
            "/v1/keys",
            add_key,
            "Make a key for a device. Its token, and the secret it signs by, are shown in this answer only.",
            request=KeyForm.model_json_schema(),
            response=made,
            errors=(400, 403, 404, 410, 413, 415, 422, 503),
        ),
        Operation(
            "POST",
            "/v1/keys/{key_id}/rotate",
            rotate_key,
            "Make a key's successor, on the same terms; both are good for the overlap.",
            request=RotateForm.model_json_schema(),
            response=made,
            errors=(400, 403, 404, 410, 413, 415, 503),
            parameters=(_KEY,),
        ),
        Operation(
            "POST",
            "/v1/keys/{key_id}/revoke",
            revoke_key,
            "Let a key in no more, at once.",
            response=revoked,
            errors=(400, 403, 404, 410, 503),
            parameters=(_KEY,),
        ),
    )
