"""Who may ask for what: every operation is tried by every role, by narrowed keys, and by who was thrown out.

Refusal means 401 `unauthenticated`, or 403 with one of the codes below; anything else, a 404 for an id that is
nobody's too, means that they were let in. An operation that is not in the table fails.
"""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import pytest

from server.audit import OPERATOR
from server.auth.entrance import Place
from server.auth.invites import Taking
from server.auth.people import NewPerson
from server.collections import registry
from server.routes.api import operations
from server.settings import Settings
from tests.http.walls import World, open_world

ALL = frozenset(("owner", "clerk", "till", "pull key", "person"))
"""Who is signed in: devices by role, an owner's key that may pull only, and an owner by a session on a device."""
MANAGING = ALL - {"pull key"}
OWNER = frozenset(("owner", "person"))
PULLING = ALL
PAPERS = ALL - {"till"}

WHO: dict[str, Iterable[str]] = {
    "GET /v1/schema": PULLING,
    "GET /v1/live": PULLING,
    "POST /v1/sync": PULLING,
    "GET /v1/rejected": PULLING,
    "GET /v1/superseded": PULLING,
    "POST /v1/rejected/{uid}/resend": OWNER,
    "POST /v1/rejected/{uid}/dismiss": OWNER,
    "GET /v1/auth/me": PULLING,
    "POST /v1/auth/password/change": MANAGING,
    "POST /v1/auth/pairings": OWNER,
    "POST /v1/auth/passkeys/options": MANAGING,
    "POST /v1/auth/passkeys": MANAGING,
    "GET /v1/auth/passkeys": MANAGING,
    "DELETE /v1/auth/passkeys/{credential_id}": MANAGING,
    "GET /v1/people": OWNER,
    "POST /v1/people": OWNER,
    "PATCH /v1/people/{person_id}": OWNER,
    "POST /v1/people/{person_id}/invite": OWNER,
    "GET /v1/people/{person_id}/sessions": OWNER,
    "DELETE /v1/people/{person_id}/sessions/{session_id}": OWNER,
    "GET /v1/devices": OWNER,
    "DELETE /v1/devices/{device_id}": OWNER,
    "GET /v1/keys": OWNER,
    "POST /v1/keys": OWNER,
    "POST /v1/keys/{key_id}/rotate": OWNER,
    "POST /v1/keys/{key_id}/revoke": OWNER,
    "GET /v1/audit": OWNER,
    "GET /v1/customers/{customer_id}/export": OWNER,
    "POST /v1/customers/{customer_id}/erase": OWNER,
    "GET /v1/webpush/key": PULLING,
    "GET /v1/webpush/subscription": PULLING,
    "PUT /v1/webpush/subscription": PULLING,
    "DELETE /v1/webpush/subscription": PULLING,
    "GET /v1/webpush/subscriptions": OWNER,
    "GET /v1/invoices/{invoice_id}/view": PAPERS,
    "GET /v1/invoices/{invoice_id}/file": PAPERS,
    "GET /v1/invoices/{invoice_id}/attachments/{sha256}": PAPERS,
    "GET /health/integrations": MANAGING,
    "GET /health/integrations/{name}": MANAGING,
    "GET /v1/operations/deliveries": OWNER,
    "GET /v1/operations/events": OWNER,
    "GET /v1/operations/depths": OWNER,
    "POST /v1/operations/deliveries/redrive": OWNER,
    "POST /v1/operations/deliveries/{delivery_id}/let-pass": OWNER,
    "POST /v1/operations/events/replay": OWNER,
    "GET /metrics": (),
}
"""Whom each operation lets in, of those who bring something; the public ones are not here."""
REFUSING = frozenset(("forbidden", "not_permitted", "not_yours_to_pair"))
ELSEWHERE = {"x-forwarded-for": "203.0.113.9"}
"""As from another machine: from this one the operator may look at what is the installation's."""


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    """Two tenants, with a person signed in who is an owner, a key that may pull only, and those who were thrown out."""
    async with open_world(settings) as built:
        await _let_in(built)
        yield built


async def _let_in(world: World) -> None:
    """`person`, `pull key`; and `revoked device`, `revoked key`, `ended session`, `disabled person`, which were."""
    access, tenant_id, owner = world.core.access, world.tenant_id, world.devices["owner"]
    for name in ("person", "ended session", "disabled person"):
        person = await access.people.add(
            tenant_id, NewPerson(name, "owner", "centro", name.replace(" ", "-")), OPERATOR
        )
        link = (await access.invites.make(tenant_id, person, OPERATOR)).link
        taking = Taking(password="a long word of mine")
        issued = await access.invites.take(link.partition("=")[2], taking, Place(name), OPERATOR)
        world.tokens[name] = issued.access_token
        if name == "ended session":
            await access.sessions.sign_out(issued.refresh_token, OPERATOR)
        elif name == "disabled person":
            await _asked(world, "owner", "PATCH", f"/v1/people/{person}", {"disabled": True}, 200)
    for name, form in (("pull key", {"permissions": ["pull"]}), ("revoked key", {})):
        key = await _asked(world, "owner", "POST", "/v1/keys", {"device_id": owner, "name": name, **form}, 200)
        world.tokens[name] = key["token"]
        if name == "revoked key":
            await _asked(world, "owner", "POST", f"/v1/keys/{key['key_id']}/revoke", {}, 200)
    device = await world.core.admin.add_device(tenant_id, "revoked", "owner", "centro")
    world.tokens["revoked device"] = device.token
    await world.core.admin.revoke_device(tenant_id, device.device_id)


async def _asked(world: World, who: str, method: str, path: str, form: dict[str, Any], status: int) -> dict[str, Any]:
    answer = await world.http.request(method, path, json=form, headers=_bearer(world, who))
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    return told


def _bearer(world: World, who: str) -> dict[str, str]:
    return ELSEWHERE | {"Authorization": f"Bearer {world.tokens[who]}"}


async def _try(world: World, who: str, operation: str) -> str:
    """`in`, or the code of the refusal; of a stream only its beginning."""
    method, path = operation.split(" ")
    filled = path.format_map(_Ids(world))
    body: dict[str, Any] | None = None if method == "GET" else {}
    async with world.http.stream(method, filled, json=body, headers=_bearer(world, who)) as answer:
        if answer.status_code == httpx.codes.OK:
            return "in"
        if answer.status_code not in {401, 403}:
            return "in"
        code: str = json.loads(await answer.aread())["code"]
        return code


class _Ids(dict[str, str]):
    """Any name in a path: an id that is nobody's."""

    def __init__(self, world: World) -> None:
        super().__init__(name="pos", credential_id="AAAA")
        self._world = world

    def __missing__(self, name: str) -> str:
        return self._world.new_id()


async def test_each_operation_lets_in_whom_it_is_for_and_refuses_all_others(world: World) -> None:
    """Owner, clerk, till, a narrowed key and a signed-in owner ask for everything that wants a bearer."""
    asked = [f"{one.method} {one.path}" for one in operations(registry()) if not one.public]
    assert sorted(asked) == sorted(WHO)
    for operation in asked:
        told = {who: await _try(world, who, operation) for who in sorted(ALL)}
        assert {who for who, code in told.items() if code == "in"} == set(WHO[operation]), (operation, told)
        refusals = {code for code in told.values() if code != "in"}
        assert refusals <= (REFUSING if operation != "GET /metrics" else {"unauthenticated"}), (operation, told)


async def test_who_was_thrown_out_is_let_in_nowhere(world: World) -> None:
    """A revoked device, a revoked key, an ended session and a disabled person get one answer, whatever they ask."""
    for operation in WHO:
        for who in ("revoked device", "revoked key", "ended session", "disabled person"):
            assert (operation, who, await _try(world, who, operation)) == (operation, who, "unauthenticated")
