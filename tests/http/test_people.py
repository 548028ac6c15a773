"""People over HTTP: from the link that setup prints to a lost phone, and what an owner sees and decides."""

import io
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from server.app import create_app, open_core
from server.audit import OPERATOR
from server.auth.people import NewPerson
from server.settings import Settings
from tests.http.conftest import Api
from tests.ops.canaries import ALL, EMAIL, SECRET, WORD, found_in
from tests.support.authenticator import Authenticator
from tests.support.serving import in_process
from tests.support.shop import Ids

PASSWORD = "un caffè lungo"
ORIGIN = "https://shop.example"


@dataclass
class Counter:
    """The application, and what somebody is signed in by."""

    api: Api
    link: str

    async def ask(self, method: str, path: str, bearer: str | None = None, **form: Any) -> httpx.Response:
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        content = form if method in {"POST", "PATCH"} else None
        return await self.api.http.request(method, path, headers=headers, json=content)

    async def told(self, method: str, path: str, bearer: str | None = None, **form: Any) -> dict[str, Any]:
        """What a request is answered with that is granted."""
        answer = await self.ask(method, path, bearer, **form)
        assert answer.status_code == 200, answer.text
        parsed: dict[str, Any] = answer.json()
        return parsed

    async def set_up(self) -> dict[str, Any]:
        """The first owner, signed in on their phone."""
        taking = {"name": "Anna", "login": "anna", "password": PASSWORD, "device_name": "Telefono"}
        return await self.told("POST", "/v1/auth/setup", token=self.link, **taking)

    async def status(self, bearer: str) -> int:
        return (await self.ask("GET", "/v1/auth/me", bearer)).status_code


@pytest.fixture
async def counter(settings: Settings) -> AsyncIterator[Counter]:
    """A merchant that was just set up, at an address of its own."""
    known = settings.model_copy(update={"public_url": ORIGIN})
    async with open_core(known, migrate=False) as core:
        tenant_id = await core.admin.add_tenant("Bar Centrale", "bar-centrale")
        person_id = await core.access.people.add(tenant_id, NewPerson("Owner", "owner", "centro"), OPERATOR)
        link = (await core.access.invites.make(tenant_id, person_id, OPERATOR)).link
    async with in_process(create_app(known, migrate=False), raise_app_exceptions=False) as http:
        yield Counter(Api(http, tenant_id, {}, Ids(7)), link.partition("=")[2])


async def test_a_shop_begins_with_a_link_and_survives_a_lost_phone(counter: Counter) -> None:
    """Setup, a passkey, a till by a code; then the phone is gone, and the owner comes back by the passkey alone."""
    phone = await counter.set_up()
    bearer, keys = phone["access_token"], Authenticator(ORIGIN)
    made = keys.create(await counter.told("POST", "/v1/auth/passkeys/options", bearer))
    await counter.told("POST", "/v1/auth/passkeys", bearer, name="Telefono", credential=made)
    code = await counter.told("POST", "/v1/auth/pairings", bearer, role="terminal", shop="centro")
    assert code["link"].startswith(f"{ORIGIN}/#pair=")
    till = await counter.told("POST", "/v1/auth/pair", code=code["code"], device_name="Cassa 1")
    seen = (await counter.told("GET", "/v1/devices", bearer))["devices"]
    assert [(one["name"], one["role"], one["last_used_at"] is not None) for one in seen] == [
        *(("Telefono", "owner", True), ("Cassa 1", "terminal", True)),
    ]
    given = keys.get(await counter.told("POST", "/v1/auth/passkey/options"))
    new = await counter.told("POST", "/v1/auth/passkey/sign-in", credential=given, device_name="Telefono nuovo")
    await counter.told("DELETE", f"/v1/devices/{phone['device_id']}", new["access_token"])
    assert [await counter.status(one["access_token"]) for one in (phone, till, new)] == [401, 200, 200]
    assert (await counter.ask("POST", "/v1/auth/setup", token=counter.link, password=PASSWORD)).status_code == 410


async def test_who_asks_is_told_who_they_are(counter: Counter) -> None:
    """The merchant, the device, the person."""
    told = await counter.told("GET", "/v1/auth/me", (await counter.set_up())["access_token"])
    assert (told["merchant"]["handle"], told["device"]["name"], told["person"]["login"]) == (
        *("bar-centrale", "Telefono", "anna"),
    )
    assert (told["role"], told["shop"], told["shops"], told["permissions"]) == ("owner", "centro", ["centro"], None)


@pytest.mark.parametrize("merchant", [None, "bar-centrale", "BAR-CENTRALE", "id"])
async def test_a_merchant_is_named_by_handle_or_id_or_not_at_all(counter: Counter, merchant: str | None) -> None:
    """Where there is only one here."""
    await counter.set_up()
    named = {"merchant": counter.api.tenant_id if merchant == "id" else merchant}
    told = await counter.told("POST", "/v1/auth/password", login="anna", password=PASSWORD, **named)
    assert await counter.status(told["access_token"]) == 200


async def test_an_owner_lets_people_in_and_out(counter: Counter) -> None:
    """By a link; they are changed, seen where they are signed in, signed out, disabled at once."""
    boss = (await counter.set_up())["access_token"]
    new = {"name": "Bruno", "role": "clerk", "shop": "centro", "login": "bruno"}
    invite = await counter.told("POST", "/v1/people", boss, **new)
    path, token = f"/v1/people/{invite['person_id']}", invite["link"].partition("#setup=")[2]
    first, second = [
        await counter.told("POST", "/v1/auth/setup", token=token, password=PASSWORD),
        await counter.told("POST", "/v1/auth/password", login="bruno", password=PASSWORD),
    ]
    sessions = (await counter.told("GET", f"{path}/sessions", second["access_token"]))["sessions"]
    assert [one["session_id"] for one in sessions] == [first["session_id"], second["session_id"]]
    await counter.told("DELETE", f"{path}/sessions/{first['session_id']}", second["access_token"])
    assert [await counter.status(one["access_token"]) for one in (first, second)] == [401, 200]
    assert (await counter.ask("DELETE", f"{path}/sessions/{first['session_id']}", boss)).status_code == 404
    changed = await counter.told("PATCH", path, boss, name="Bruno B.", disabled=True)
    assert (changed["name"], changed["disabled_at"] is not None) == ("Bruno B.", True)
    assert await counter.status(second["access_token"]) == 401
    people = (await counter.told("GET", "/v1/people", boss))["people"]
    assert [(one["name"], one["has_password"]) for one in people] == [("Anna", True), ("Bruno B.", True)]
    mine = next(one["person_id"] for one in people if one["name"] == "Anna")
    answer = await counter.ask("PATCH", f"/v1/people/{mine}", boss, role="clerk")
    assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")


async def test_a_clerk_sees_and_decides_nothing_of_it(counter: Counter) -> None:
    """Nor a till; of themselves a person may see."""
    boss = (await counter.set_up())["access_token"]
    new = {"name": "Bruno", "role": "clerk", "shop": "centro", "login": "bruno"}
    invite = await counter.told("POST", "/v1/people", boss, **new)
    token = invite["link"].partition("#setup=")[2]
    clerk = (await counter.told("POST", "/v1/auth/setup", token=token, password=PASSWORD))["access_token"]
    anna = (await counter.told("GET", "/v1/people", boss))["people"][0]["person_id"]
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/v1/people", {}),
        ("POST", "/v1/people", new),
        ("PATCH", f"/v1/people/{anna}", {"disabled": True}),
        ("POST", f"/v1/people/{anna}/invite", {}),
        ("GET", f"/v1/people/{anna}/sessions", {}),
        ("GET", "/v1/devices", {}),
        ("DELETE", f"/v1/devices/{counter.api.new_id()}", {}),
        ("POST", "/v1/auth/pairings", {"role": "owner", "shop": "centro"}),
    ]
    assert [(await counter.ask(method, path, clerk, **form)).status_code for method, path, form in asked] == [403] * 8


async def test_a_password_is_changed_by_who_knows_it(counter: Counter) -> None:
    """The session it is changed in goes on."""
    bearer = (await counter.set_up())["access_token"]
    other = await counter.told("POST", "/v1/auth/password", login="anna", password=PASSWORD)
    await counter.told("POST", "/v1/auth/password/change", bearer, old=PASSWORD, new="una grappa barricata")
    assert [await counter.status(one) for one in (bearer, other["access_token"])] == [200, 401]


async def test_a_browser_asks_for_its_cookie_from_our_own_page(counter: Counter) -> None:
    """Another site can have nobody signed in, as themselves or as somebody else."""
    await counter.set_up()
    form = {"login": "anna", "password": PASSWORD, "cookie": True}
    refused = await counter.api.http.post("/v1/auth/password", json=form)
    assert (refused.status_code, refused.json()["code"]) == (403, "cross_site")
    answer = await counter.api.http.post("/v1/auth/password", json=form, headers={"X-Rientro": "1"})
    assert (answer.status_code, answer.json()["refresh_token"], "set-cookie" in answer.headers) == (200, None, True)


async def test_nothing_of_what_lets_in_stays_in_a_log(counter: Counter, lines: io.StringIO) -> None:
    """Passwords, names, codes, links and tokens, right and wrong."""
    phone = await counter.set_up()
    code = await counter.told("POST", "/v1/auth/pairings", phone["access_token"], role="terminal", shop="centro")
    canaries = [
        await counter.ask("POST", "/v1/auth/password", merchant=WORD[:40], login=EMAIL, password=" ".join(ALL)),
        await counter.ask("POST", "/v1/auth/setup", token=SECRET, name=WORD, login=EMAIL, password=WORD),
        await counter.ask("POST", "/v1/auth/pair", code=WORD, device_name=WORD),
        await counter.ask("POST", "/v1/auth/passkey/sign-in", credential={WORD: EMAIL}),
        await counter.ask("PATCH", f"/v1/people/{counter.api.new_id()}", phone["access_token"], name=WORD, login=EMAIL),
        await counter.ask("POST", "/v1/auth/password", **{WORD: EMAIL}),
    ]
    assert [found_in(answer.text) for answer in canaries] == [[]] * len(canaries)
    secrets = [PASSWORD, counter.link, phone["access_token"], phone["refresh_token"], code["code"], "anna", "Telefono"]
    logged = lines.getvalue()
    assert (found_in(logged), [one for one in secrets if re.search(re.escape(one), logged)]) == ([], [])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/auth/password", b'{"login": "a\\u0000b", "password": "x"}'),
        ("/v1/auth/password", b'{"login": "anna", "password": "\\ud800"}'),
        ("/v1/auth/password", b'{"login": "anna", "password": 5}'),
        ("/v1/auth/setup", b'{"token": 5}'),
        ("/v1/auth/pair", b'{"code": "x", "device_name": "a\\u0007b"}'),
        ("/v1/auth/passkey/sign-in", b'{"credential": []}'),
        ("/v1/auth/passkey/sign-in", b'{"credential": {}, "device_id": "x"}'),
    ],
)
async def test_what_is_not_of_its_form_is_refused_plainly(counter: Counter, path: str, body: bytes) -> None:
    """Without quoting what came, and without asking the database."""
    answer = await counter.api.http.post(path, content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_a_host_or_an_origin_that_is_none_is_no_defect_of_ours(counter: Counter) -> None:
    """Anybody can send one, by any way in, and by the operator's."""
    form: dict[str, Any] = {"login": "anna", "password": PASSWORD, "cookie": True}
    asked: list[tuple[str, dict[str, Any], dict[str, str]]] = [
        ("/v1/auth/passkey/sign-in", {"credential": {}}, {"Host": "["}),
        ("/v1/auth/refresh", {"attempt": "attempt-number-one-"}, {"Host": "["}),
        ("/v1/auth/password", form, {"Origin": "http://[", "X-Rientro": "1"}),
    ]
    answers = [await counter.api.http.post(path, json=body, headers=headers) for path, body, headers in asked]
    assert [answer.status_code for answer in answers] == [401, 401, 403]
    assert (await counter.api.http.get("/metrics", headers={"Host": "["})).status_code < 500
