"""The provider's access tokens on the API: a certified provider's own, and those it never gave, by its own key."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import anyio

from server.audit import OPERATOR
from tests.auth.desk import NOBODY
from tests.oidc.conftest import House
from tests.oidc.provider import CLIENT_ID, Identity, new_key
from tests.support.shop import TIMESTAMP, sale_fields


async def status(house: House, bearer: str) -> int:
    """What this bearer is answered with."""
    return (await house.me(bearer)).status_code


async def push(house: House, bearer: str, client_id: str, number: int = 1) -> Any:
    """A sale of a client; what is answered."""
    sale = {
        "mutation_id": number,
        "uid": house.new_id(),
        "collection": "sales",
        "record_id": house.new_id(),
        "op": "create",
        "timestamp": TIMESTAMP,
        "fields": sale_fields(),
    }
    body = {"protocol": 1, "client_id": client_id, "mutations": [sale]}
    return await house.http.post("/v1/sync", json=body, headers={"Authorization": f"Bearer {bearer}"})


def unsigned(identity: Identity, algorithm: str, secret: bytes | None = None) -> str:
    """A token without a signature, or with an HMAC."""
    now_s = int(time.time())
    said = {"iss": identity.url, "aud": "https://shop.example/api", "sub": "mario", "iat": now_s, "exp": now_s + 600}
    header = {"alg": algorithm, "kid": identity.key.kid, "typ": "at+jwt"}
    claims = said | identity.accounts["mario"] | {"client_id": "kiosk"}
    head, body = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signed = b"" if secret is None else hmac.new(secret, head + b"." + body, hashlib.sha256).digest()
    return (head + b"." + body + b"." + base64.urlsafe_b64encode(signed).rstrip(b"=")).decode()


async def test_an_access_token_of_the_provider_sells(each_house: House) -> None:
    """Its bearer is the person, on a device of its client's: the same at the next token, so its queue is its own."""
    first, client_id = await each_house.identity.bearer("mario"), each_house.new_id()
    me = (await each_house.me(first)).json()
    assert (me["person"]["name"], me["role"], me["shop"], me["device"]["name"]) == ("Mario", "clerk", "centro", "kiosk")
    answer = await push(each_house, first, client_id)
    assert [one["status"] for one in answer.json()["verdicts"]] == ["applied"]
    second = await each_house.identity.bearer("mario")
    assert second != first
    assert (await each_house.me(second)).json()["device"] == me["device"]
    assert (await push(each_house, second, client_id, 2)).status_code == 200
    assert len(await each_house.people()) == 1


async def test_another_persons_client_is_not_theirs(house: House) -> None:
    """Though it is the same program: queues belong to a device, and a device to a person and a client."""
    client_id = house.new_id()
    assert (await push(house, house.identity.made_up("mario"), client_id)).status_code == 200
    refused = await push(house, house.identity.made_up("anna"), client_id, 2)
    assert (refused.status_code, refused.json()["code"]) == (403, "foreign_client")


async def test_what_the_provider_never_gave_lets_nobody_in(house: House) -> None:
    """Not even where its own key signed it; and it makes nobody."""
    identity, now_s, stranger = house.identity, int(time.time()), new_key("stranger")
    public = identity.key.as_pem(private=False)
    refused = {
        "expired": identity.made_up("mario", iat=now_s - 700, exp=now_s - 61),
        "not yet": identity.made_up("mario", nbf=now_s + 120),
        "too long": identity.made_up("mario", exp=now_s + 40 * 86_400),
        "for another": identity.made_up("mario", aud="https://other.example"),
        "an ID token": identity.made_up("mario", aud=CLIENT_ID, header={"typ": "JWT"}),
        "an ID token for us": identity.made_up("mario", nonce="n", header={"typ": "JWT"}),
        "of another issuer": identity.made_up("mario", iss="https://evil.example"),
        "tied to a key": identity.made_up("mario", cnf={"jkt": "x"}),
        "of a stranger's key": identity.made_up("mario", stranger, {"kid": identity.key.kid}),
        "of an unknown key": identity.made_up("mario", stranger, {"kid": "stranger"}),
        "of no client": identity.made_up("mario", client_id=None),
        "of a role that is none": identity.made_up("mario", role="king"),
        "of no merchant": identity.made_up("mario", merchant=None),
        "unsigned": unsigned(identity, "none"),
        "by the public key as a secret": unsigned(identity, "HS256", public),
        "nothing": "a.b.c",
    }
    seen = {name: await status(house, bearer) for name, bearer in refused.items()}
    assert seen == dict.fromkeys(refused, 401)
    assert await house.people() == []
    assert await status(house, identity.made_up("mario")) == 200


async def test_unknown_keys_cost_the_provider_nothing(house: House) -> None:
    """However many are made up."""
    await status(house, house.identity.made_up("mario"))
    before = await house.identity.counts()
    stranger = new_key("stranger")
    for number in range(5):
        assert await status(house, house.identity.made_up("mario", stranger, {"kid": f"k{number}"})) == 401
    after = await house.identity.counts()
    assert after["keys"] - before["keys"] <= 1
    assert after["discovery"] == before["discovery"]


async def test_the_newest_token_says_what_somebody_is(each_house: House) -> None:
    """An older one that comes later brings no role back."""
    identity, now_s = each_house.identity, int(time.time())
    old = identity.made_up("anna", iat=now_s - 20)
    new = identity.made_up("anna", iat=now_s - 10, role="clerk")
    assert (await each_house.me(old)).json()["role"] == "owner"
    assert (await each_house.me(new)).json()["role"] == "clerk"
    assert (await each_house.me(old)).json()["role"] == "clerk"
    for client in ("kiosk", "tablet"):  # one that is known, and one that has to be made
        between = identity.made_up("anna", iat=now_s - 15, client_id=client)
        assert (await each_house.me(between)).json()["role"] == "clerk"


async def test_who_left_has_no_bearer_left(each_house: House) -> None:
    """Though it has minutes to go: a sign-in showed that nobody knows a role of theirs. What is given later is good."""
    house, now_s = each_house, int(time.time())
    bearer = house.identity.made_up("mario", iat=now_s - 10)
    assert await status(house, bearer) == 200
    await house.identity.say("mario", role=None)
    assert (await house.sign_in("mario")).json()["code"] == "unknown_role"
    assert await status(house, bearer) == 401
    assert (await push(house, bearer, house.new_id())).status_code == 401
    await house.identity.say("mario", role="clerk")
    assert await status(house, house.identity.made_up("mario", iat=now_s + 30)) == 200


async def test_who_comes_twice_at_once_is_made_once(each_house: House) -> None:
    """By two tokens, so that neither waits for the other."""
    tokens = [each_house.identity.made_up("mario", jti=str(number)) for number in range(4)]
    seen: list[str] = []

    async def come(bearer: str) -> None:
        seen.append((await each_house.me(bearer)).json()["device"]["device_id"])

    async with anyio.create_task_group() as tasks:
        for token in tokens:
            tasks.start_soon(come, token)
    assert (len(seen), len(set(seen)), len(await each_house.people())) == (4, 1, 1)


async def test_who_is_revoked_or_disabled_is_out_at_once(each_house: House) -> None:
    """The device, for one client; the person, for all of them."""
    bearer, other = each_house.identity.made_up("mario"), each_house.identity.made_up("mario", client_id="tablet")
    device_id = (await each_house.me(bearer)).json()["device"]["device_id"]
    assert await status(each_house, other) == 200
    await each_house.core.admin.revoke_device(each_house.tenant_id, device_id, OPERATOR)
    assert [await status(each_house, one) for one in (bearer, other)] == [401, 200]
    assert (await push(each_house, bearer, each_house.new_id())).status_code == 401
    (person,) = await each_house.people()
    await each_house.core.access.people.disable(each_house.tenant_id, person.person_id, NOBODY)
    assert [await status(each_house, one) for one in (bearer, other)] == [401, 401]


async def test_another_shop_is_another_device(house: House) -> None:
    """Who moves is let in there, and what they were here is no longer theirs."""
    now_s = int(time.time())
    here = house.identity.made_up("mario", iat=now_s - 10)
    there = house.identity.made_up("mario", shop="porto")
    devices = [(await house.me(one)).json()["device"]["device_id"] for one in (here, there)]
    assert len(set(devices)) == 2
    assert (await house.me(here)).json()["shop"] == "porto"


async def test_everything_is_noted_by_whom_it_was_done(house: House) -> None:
    """Once: a person and a device are made at first sight."""
    bearer = house.identity.made_up("mario")
    for _ in range(3):
        assert await status(house, bearer) == 200
    made = [entry for entry in await house.audit() if entry[1] == "done"]
    assert made[-2:] == [("person.add", "done", None), ("device.add", "done", None)]
