"""An owner's keys over HTTP; and what a key's requests must show beside it."""

import re
import ssl

import httpx
import pytest
import trustme

from server import meters
from server.collections import registry
from server.routes.api import operations
from sync.client.signing import RequestSigner
from tests.http.conftest import Api


async def made(api: Api, role: str = "terminal", **form: object) -> dict[str, str | None]:
    """A further key of a device, as an owner makes it."""
    device_id = await device_of(api, role)
    answer = await api.http.post(
        "/v1/keys", json={"device_id": device_id, "name": "Gestionale", **form}, headers=api.headers("owner")
    )
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    key: dict[str, str | None] = answer.json()
    return key


async def device_of(api: Api, role: str) -> str:
    """A device's id."""
    listed = (await api.http.get("/v1/keys", headers=api.headers("owner"))).json()["keys"]
    device_id: str = next(key["device_id"] for key in listed if key["name"] == role)
    return device_id


def bearing(key: dict[str, str | None]) -> dict[str, str]:
    """The header of a key."""
    return {"Authorization": f"Bearer {key['token']}"}


async def test_an_owner_makes_lists_replaces_and_revokes(api: Api) -> None:
    """The whole life of a key."""
    key = await made(api, permissions=["pull"], rotate_days=90)
    assert (await api.http.get("/v1/schema", headers=bearing(key))).status_code == 200
    new = (
        await api.http.post(f"/v1/keys/{key['key_id']}/rotate", json={"overlap_hours": 1}, headers=api.headers("owner"))
    ).json()
    listed = (await api.http.get("/v1/keys", headers=api.headers("owner"))).json()["keys"]
    states = {one["key_id"]: (one["state"], one["permissions"], one["due"]) for one in listed}
    assert states[key["key_id"]] == ("leaving", ["pull"], True)
    assert states[new["key_id"]] == ("good", ["pull"], False)
    assert not any("token" in one or "secret_hash" in one for one in listed)
    revoked = await api.http.post(f"/v1/keys/{new['key_id']}/revoke", headers=api.headers("owner"))
    assert revoked.json() == {"key_id": new["key_id"], "status": "revoked"}
    assert [(await api.http.get("/v1/schema", headers=bearing(one))).status_code for one in (key, new)] == [200, 401]


@pytest.mark.parametrize("role", ["clerk", "terminal"])
async def test_only_an_owner_sees_or_makes_keys(api: Api, role: str) -> None:
    """Not for their own device, either."""
    form = {"device_id": await device_of(api, role), "name": "x"}
    for method, path in (("GET", "/v1/keys"), ("POST", "/v1/keys")):
        answer = await api.http.request(method, path, json=form, headers=api.headers(role))
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_narrowed_key_gives_no_more_than_it_was_given(api: Api) -> None:
    """By no new key, and by no other key's successor."""
    manager = bearing(await made(api, "owner", permissions=["manage", "pull"]))
    form = {"device_id": await device_of(api, "terminal"), "name": "x"}
    codes = []
    for permissions in (None, ["push"], ["pull"]):
        answer = await api.http.post("/v1/keys", json={**form, "permissions": permissions}, headers=manager)
        codes.append(answer.json().get("code"))
    assert codes == ["not_permitted", "not_permitted", None]
    wide, narrow = await made(api), await made(api, permissions=["pull"])
    answers = [await api.http.post(f"/v1/keys/{key['key_id']}/rotate", json={}, headers=manager)
               for key in (wide, narrow)]  # fmt: skip
    assert [answer.status_code for answer in answers] == [403, 200]


async def test_a_narrowed_key_becomes_no_full_owner(api: Api) -> None:
    """By a code, a person or a link it would be let in as one; nor does it read or write by another way."""
    manager = bearing(await made(api, "owner", permissions=["manage"]))
    new, person, customer = {"name": "Bruno", "role": "owner", "shop": "centro"}, api.new_id(), api.new_id()
    asked: list[tuple[str, str, object]] = [
        ("POST", "/v1/auth/pairings", {"role": "owner"}),
        ("POST", "/v1/people", new),
        ("PATCH", f"/v1/people/{person}", {"role": "owner"}),
        ("POST", f"/v1/people/{person}/invite", {}),
        ("GET", f"/v1/customers/{customer}/export", None),
        ("POST", f"/v1/customers/{customer}/erase", {"reason": "asked"}),
        ("POST", f"/v1/rejected/{api.new_id()}/resend", {"fields": {}}),
    ]
    answers = [await api.http.request(method, path, json=form, headers=manager) for method, path, form in asked]
    assert [answer.json()["code"] for answer in answers] == ["not_permitted"] * len(asked)
    whole = bearing(await made(api, "owner", permissions=["manage", "pull", "push", "watch"]))
    assert (await api.http.post("/v1/people", json=new, headers=whole)).status_code == 200


async def test_a_key_that_signs_is_let_in_by_its_signature_only(api: Api) -> None:
    """On every route, over the bytes that are sent; the same request twice is refused, and counted."""
    key = await made(api, signed=True)
    secret = key["signing_secret"]
    assert secret is not None
    signer = RequestSigner(secret)
    body = api.request(api.sale())
    plain = await api.http.post("/v1/sync", json=body, headers=bearing(key))
    assert (plain.status_code, plain.json()["code"]) == (401, "unsigned")
    signed = await api.http.post("/v1/sync", json=body, headers=bearing(key), auth=signer)
    assert signed.json()["verdicts"][0]["status"] == "applied"
    asked = await api.http.get("/v1/rejected?limit=5", headers=bearing(key), auth=signer)
    assert asked.status_code == 200
    before = meters.REFUSALS.labels("replayed")._value.get()
    again = httpx.Request("GET", asked.request.url, headers=asked.request.headers)
    replayed = await api.http.send(again)
    assert (replayed.status_code, replayed.json()["code"]) == (401, "replayed")
    assert meters.REFUSALS.labels("replayed")._value.get() == before + 1


async def test_the_bytes_are_what_is_signed(api: Api) -> None:
    """One byte of a pushed body changed on the way: nothing of it is applied."""
    key = await made(api, signed=True)
    secret = key["signing_secret"]
    assert secret is not None
    request = api.http.build_request("POST", "/v1/sync", json=api.request(api.sale()), headers=bearing(key))
    request = next(RequestSigner(secret).auth_flow(request))
    changed = httpx.Request("POST", request.url, headers=request.headers, content=request.content + b" ")
    del changed.headers["content-length"]
    refused = await api.http.send(changed)
    assert (refused.status_code, refused.json()["code"]) == (401, "bad_signature")
    assert (await api.http.send(request)).status_code == 200


async def test_a_key_tied_to_a_certificate_needs_it(api: Api) -> None:
    """The header of a proxy that is not ours counts for nothing."""
    answer = await api.http.post(
        "/v1/keys",
        json={"device_id": await device_of(api, "terminal"), "name": "x", "certificate": "no PEM"},
        headers=api.headers("owner"),
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "not_a_certificate")


async def test_no_route_forgets_to_ask_for_the_signature(api: Api) -> None:
    """Whatever asks for a device refuses the bare token of a key that signs; a route added later, too."""
    key = await made(api, "owner", signed=True)
    asked = [one for one in operations(registry()) if not one.public and "device" in one.schemes]
    codes = {}
    for operation in asked:
        path = re.sub(r"\{\w+\}", api.tenant_id, operation.path)
        answer = await api.http.request(operation.method, path, json={}, headers=bearing(key))
        codes[operation.method, operation.path] = (answer.status_code, answer.json()["code"])
    assert {route: told for route, told in codes.items() if told != (401, "unsigned")} == {}
    assert len(codes) > 10


def of_version_four() -> str:
    """A certificate that says it is of a version there is none of."""
    der = ssl.PEM_cert_to_DER_cert(trustme.CA().issue_cert("till.example").cert_chain_pems[0].bytes().decode())
    return ssl.DER_cert_to_PEM_cert(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03", 1))


async def test_a_name_or_a_certificate_that_is_none_is_refused_plainly(api: Api) -> None:
    """Before the database is asked."""
    form = {"device_id": await device_of(api, "terminal"), "name": "x"}
    told = []
    for odd in ({"name": "a\x00b"}, {"certificate": of_version_four()}):
        answer = await api.http.post("/v1/keys", json={**form, **odd}, headers=api.headers("owner"))
        told.append((answer.status_code, answer.json()["code"]))
    assert told == [(400, "malformed"), (422, "not_a_certificate")]
