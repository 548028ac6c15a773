"""Push subscriptions over HTTP: what a page does at every open, and what owners see."""

from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.app import open_core
from server.audit import OPERATOR
from server.auth.entrance import Place
from server.auth.invites import Taking
from server.auth.people import NewPerson
from server.settings import Settings
from server.storage.statement import Statement
from server.webpush.keys import from_base64, plain_base64
from tests.http.conftest import Api

ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/CANARY-ENDPOINT"
_STORED = Statement("SELECT count(*) FROM webpush_subscriptions WHERE tenant_id = :tenant_id")


def browser_keys() -> dict[str, str]:
    """What a browser makes for a subscription."""
    pair = ec.derive_private_key(7, ec.SECP256R1())
    point = pair.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {"p256dh": plain_base64(point), "auth": plain_base64(b"CANARY-AUTH-KEY!")}


async def subscribe(api: Api, role: str = "owner", **form: Any) -> httpx.Response:
    """A page subscribes by the key it was told."""
    key = (await api.http.get("/v1/webpush/key", headers=api.headers(role))).json()["public_key"]
    known = {"endpoint": ENDPOINT, "keys": browser_keys(), "public_key": key}
    return await api.http.put("/v1/webpush/subscription", json=known | form, headers=api.headers(role))


async def test_a_page_subscribes_compares_changes_and_unsubscribes(api: Api) -> None:
    """The whole life of a subscription; each step is noted once, by the device that took it."""
    answers = [
        await api.http.get(f"/v1/webpush/{what}", headers=api.headers("owner")) for what in ("key", "subscription")
    ]
    assert [answer.headers["cache-control"] for answer in answers] == ["no-store"] * 2
    key = answers[0].json()
    assert (len(from_base64(key["public_key"])), key["older"]) == (65, [])
    assert (key["kinds"], answers[1].json()) == (["invoice", "conflict", "closing", "died"], {"subscription": None})
    assert (await subscribe(api)).json() == {"status": "subscribed"}
    quiet = {"from": "22:00", "to": "07:00"}
    assert (await subscribe(api, lang="en", kinds=["died"], quiet=quiet)).status_code == 200
    mine = (await api.http.get("/v1/webpush/subscription", headers=api.headers("owner"))).json()["subscription"]
    shown = [mine[name] for name in ("endpoint", "public_key", "lang", "kinds", "quiet")]
    assert shown == [ENDPOINT, key["public_key"], "en", ["died"], quiet]
    assert mine.keys().isdisjoint({"keys", "auth", "p256dh"})
    for _ in range(2):
        gone = await api.http.delete("/v1/webpush/subscription", headers=api.headers("owner"))
        assert gone.json() == {"status": "unsubscribed"}
    audit = (await api.http.get("/v1/audit", headers=api.headers("owner"))).json()["audit"]
    noted = [entry["action"] for entry in audit if entry["action"].startswith("webpush")]
    assert noted == ["webpush.unsubscribe", "webpush.subscribe"]


async def test_an_owner_sees_who_is_subscribed_and_nothing_that_reaches_them(api: Api) -> None:
    """A clerk sees their own only; a till learns that conflicts are all it could be told."""
    await subscribe(api, "clerk")
    listed = await api.http.get("/v1/webpush/subscriptions", headers=api.headers("owner"))
    (one,) = listed.json()["subscriptions"]
    assert (one["device_name"], one["kinds"], "CANARY" in listed.text) == ("clerk", None, False)
    refused = await api.http.get("/v1/webpush/subscriptions", headers=api.headers("clerk"))
    till = await api.http.get("/v1/webpush/key", headers=api.headers("terminal"))
    other = await api.http.get("/v1/webpush/subscription", headers=api.headers("terminal"))
    assert (refused.status_code, till.json()["kinds"], other.json()) == (403, ["conflict"], {"subscription": None})


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "another site": ({"endpoint": "https://CANARY.example.org/x"}, 422, "bad_push_service"),
    "plain http": ({"endpoint": "http://fcm.googleapis.com/CANARY"}, 422, "bad_push_service"),
    "this network": ({"endpoint": "https://192.168.0.1/CANARY"}, 422, "bad_push_service"),
    "this machine": ({"endpoint": "http://127.0.0.1:8090/CANARY"}, 422, "bad_push_service"),
    "another key of ours": ({"public_key": "CANARY"}, 409, "unknown_push_key"),
    "keys that are none": ({"keys": {"p256dh": "CANARY", "auth": "CANARY"}}, 422, "bad_push_keys"),
    "an unknown kind": ({"kinds": ["CANARY"]}, 400, "malformed"),
    "an hour that is none": ({"quiet": {"from": "24:00", "to": "07:00"}}, 400, "malformed"),
    "more than was asked": ({"CANARY": 1}, 400, "malformed"),
}


async def test_what_is_no_subscription_is_refused_and_not_quoted(api: Api) -> None:
    """With a code; nothing of it is stored."""
    for name, (form, status, code) in REFUSED.items():
        answer = await subscribe(api, **form)
        assert (name, answer.status_code, answer.json()["code"]) == (name, status, code)
        assert "CANARY" not in answer.text or name == "more than was asked"  # a member's name is told, no value
    listed = await api.http.get("/v1/webpush/subscriptions", headers=api.headers("owner"))
    assert listed.json() == {"subscriptions": []}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_key_that_may_not_read_may_not_be_told(api: Api, method: str) -> None:
    """A program that only pushes sales has no notifications."""
    keys = (await api.http.get("/v1/keys", headers=api.headers("owner"))).json()["keys"]
    form = {"device_id": keys[0]["device_id"], "name": "x", "permissions": ["push"]}
    made = (await api.http.post("/v1/keys", json=form, headers=api.headers("owner"))).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    answer = await api.http.request(method, "/v1/webpush/subscription", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")


async def test_who_signs_out_is_told_no_more(api: Api, settings: Settings) -> None:
    """In that moment; the device itself stays, and may subscribe anew when somebody signs in."""
    async with open_core(settings, migrate=False) as core:
        person = await core.access.people.add(api.tenant_id, NewPerson("Anna", "owner", "centro", "anna"), OPERATOR)
        link = (await core.access.invites.make(api.tenant_id, person, OPERATOR)).link
        taking = Taking(password="a long word of mine")
        issued = await core.access.invites.take(link.partition("=")[2], taking, Place("Telefono"), OPERATOR)
    api.tokens["anna"] = issued.access_token
    assert (await subscribe(api, "anna")).status_code == 200
    listed = await api.http.get("/v1/webpush/subscriptions", headers=api.headers("owner"))
    (one,) = listed.json()["subscriptions"]
    assert (one["device_id"], one["person_id"]) == (issued.device_id, person)
    await api.http.post("/v1/auth/sign-out", json={"refresh_token": issued.refresh_token})
    async with open_core(settings, migrate=False) as core:
        rows = await core.database.read(lambda tx: tx.fetch(_STORED, (api.tenant_id,)))
    assert [tuple(row) for row in rows] == [(0,)]
