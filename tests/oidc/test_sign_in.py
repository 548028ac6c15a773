"""Signing in by a certified provider, over HTTP: the whole way, and every way off it."""

import io

import httpx

from server.auth.people import Change
from tests.auth.desk import NOBODY
from tests.oidc.conftest import House
from tests.oidc.provider import consent

BACK = "/v1/auth/oidc/callback"


async def test_a_person_signs_in_and_is_who_the_provider_says(each_house: House) -> None:
    """PKCE, state, nonce and issuer are what the provider expects; the session is a browser's like any other."""
    answer = await each_house.sign_in("mario")
    assert (answer.status_code, answer.text) == (200, "Signed in. This page can be closed.\n")
    assert answer.headers["cache-control"] == "no-store"
    issued = (await each_house.refresh()).json()
    me = (await each_house.me(issued["access_token"])).json()
    assert (me["person"]["name"], me["role"], me["shop"], me["device"]["name"]) == (
        *("Mario", "clerk", "centro", "Browser"),
    )
    (person,) = await each_house.people()
    assert (person.issuer, person.person_id) == (each_house.identity.url, issued["person_id"])
    assert [entry for entry in await each_house.audit() if entry[0] != "device.add"][-2:] == [
        ("person.add", "done", None),
        ("session.open", "done", "oidc"),
    ]


async def test_nothing_of_a_token_is_in_a_log_or_a_page(house: House, lines: io.StringIO) -> None:
    """Nor the code, the state, or the client's secret."""
    answer = await consent(await house.begin(then="/cassa?x=1"), "mario")
    told = await house.end(answer)
    assert (told.status_code, told.headers["location"]) == (303, "/cassa?x=1")
    assert "rientro_refresh" in house.http.cookies
    assert "rientro_oidc" not in house.http.cookies
    again = await house.end(answer)
    seen = lines.getvalue() + told.text + again.text
    for secret in (answer["code"], answer["state"], "secret", "eyJ", house.http.cookies["rientro_refresh"]):
        assert secret not in seen


async def test_a_state_is_good_once_and_in_its_browser_only(each_house: House) -> None:
    """The second use is refused before anything is asked, and so is another browser's answer."""
    url = await each_house.begin()
    kept = each_house.http.cookies["rientro_oidc"]
    answer = await consent(url, "mario")
    each_house.http.cookies.clear()
    assert (await each_house.end(answer)).json()["code"] == "unknown_state"
    cookie = {"Cookie": f"rientro_oidc={kept}"}
    assert (await each_house.http.get(BACK, params=answer | {"state": "x"}, headers=cookie)).status_code == 400
    assert (await each_house.http.get(BACK, params=answer, headers=cookie)).status_code == 200
    replayed = await each_house.http.get(BACK, params=answer, headers=cookie)
    assert (replayed.status_code, replayed.json()["code"]) == (400, "unknown_state")


async def test_a_preview_uses_nothing_up(house: House) -> None:
    """Somebody's HEAD of the address leaves the sign-in as it was."""
    answer = await consent(await house.begin(), "mario")
    assert (await house.http.head(BACK, params=answer)).status_code == 200
    assert (await house.end(answer)).status_code == 200


async def test_an_answer_that_is_not_right_lets_nobody_in(house: House) -> None:
    """Whoever sent it; and it makes nothing."""
    for changed, code in (
        ({"iss": "https://evil.example"}, "wrong_issuer"),
        ({"code": ""}, "no_code"),
        ({"code": "made-up"}, "exchange_failed"),
        ({"error": "access_denied"}, "denied"),
    ):
        state = httpx.URL(await house.begin()).params["state"]
        refused = await house.end({"state": state, "code": "c", "iss": house.identity.url} | changed)
        assert refused.json()["code"] == code
    assert "rientro_refresh" not in house.http.cookies
    assert await house.people() == []


async def test_an_answer_that_does_not_name_its_issuer_is_refused(house: House) -> None:
    """Where the provider says that it always does (RFC 9207)."""
    state = httpx.URL(await house.begin()).params["state"]
    assert (await house.end({"state": state, "code": "c"})).json()["code"] == "wrong_issuer"


async def test_a_token_for_another_nonce_is_refused(house: House) -> None:
    """Though the provider signed it, and gave it for our code."""
    url = httpx.URL(await house.begin()).copy_set_param("nonce", "another")
    refused = await house.end(await consent(str(url), "mario"))
    assert (refused.status_code, refused.json()["code"]) == (502, "id_token_refused")
    assert "(nonce)" in refused.json()["detail"]


async def test_a_code_of_another_challenge_gives_nothing(house: House) -> None:
    """The provider holds us to our verifier."""
    url = httpx.URL(await house.begin()).copy_set_param("code_challenge", "A" * 43)
    assert (await house.end(await consent(str(url), "mario"))).json()["code"] == "exchange_failed"


async def test_who_is_nobody_here_is_refused(house: House) -> None:
    """What is missing or unknown is never guessed, and makes nothing."""
    for claims, code in (
        ({"role": None}, "unknown_role"),
        ({"role": ["owner", "clerk"]}, "unknown_role"),
        ({"shop": "nowhere"}, "unknown_shop"),
        ({"merchant": None}, "unknown_merchant"),
        ({"merchant": house.new_id()}, "unknown_merchant"),
    ):
        house.identity.accounts.pop("luigi", None)
        await house.identity.say("luigi", **({"merchant": "bar-centrale"} | claims))
        refused = await house.sign_in("luigi")
        assert (refused.status_code, refused.json()["code"]) == (403, code)
    assert await house.people() == []


async def test_a_role_that_is_taken_away_there_is_taken_away_here(each_house: House) -> None:
    """At the next sign-in, for sessions that were open before too, and also from the last owner."""
    await each_house.sign_in("anna")
    bearer = (await each_house.refresh()).json()["access_token"]
    assert (await each_house.me(bearer)).json()["role"] == "owner"
    await each_house.identity.say("anna", role="clerk")
    assert (await each_house.sign_in("anna")).status_code == 200
    assert (await each_house.me(bearer)).json()["role"] == "clerk"
    await each_house.identity.say("anna", role=None)
    assert (await each_house.sign_in("anna")).status_code == 403
    assert (await each_house.me(bearer)).status_code == 401
    assert (await each_house.audit())[-2:] == [
        ("session.end", "done", "provider"),
        ("session.open", "refused", "unknown_role"),
    ]


async def test_who_moves_to_another_merchant_leaves_the_first(each_house: House) -> None:
    """What was open there ends; the browser becomes a device of the other one."""
    await each_house.sign_in("mario")
    bearer = (await each_house.refresh()).json()["access_token"]
    await each_house.identity.say("mario", merchant=each_house.other_id)
    assert (await each_house.sign_in("mario")).status_code == 200
    assert (await each_house.me(bearer)).status_code == 401
    issued = (await each_house.refresh()).json()
    assert issued["tenant_id"] == each_house.other_id


async def test_who_was_disabled_here_stays_out(house: House) -> None:
    """Whatever the provider says."""
    await house.sign_in("mario")
    await house.sign_in("anna")
    mario = next(one for one in await house.people() if one.name == "Mario")
    await house.core.access.people.disable(house.tenant_id, mario.person_id, NOBODY)
    refused = await house.sign_in("mario")
    assert (refused.status_code, refused.json()["code"]) == (403, "disabled")
    assert (await house.audit())[-1] == ("session.open", "refused", "disabled")


async def test_a_browser_stays_the_device_it_is(house: House) -> None:
    """Whoever signs in on it: its queue and its numbers are the device's. A browser that lost its session names it."""
    await house.sign_in("mario")
    first = (await house.refresh()).json()
    await house.sign_in("anna")
    second = (await house.refresh()).json()
    assert (second["device_id"], second["person_id"] == first["person_id"]) == (first["device_id"], False)
    house.http.cookies.clear()
    await house.sign_in("anna", device_id=first["device_id"])
    assert (await house.refresh()).json()["device_id"] == first["device_id"]
    house.http.cookies.clear()
    await house.identity.say("carla", merchant="bar-centrale")
    refused = await house.sign_in("carla", device_id=first["device_id"])
    assert refused.json()["code"] == "not_this_device"


async def test_a_fresh_sign_in_can_be_asked_for(house: House) -> None:
    """`prompt` and `max_age` go to the provider; its answer is held to the age."""
    url = httpx.URL(await house.begin(prompt="login", max_age=0))
    assert (url.params["prompt"], url.params["max_age"]) == ("login", "0")
    assert (await house.end(await consent(str(url), "mario"))).status_code == 200
    stale = httpx.URL(await house.begin(max_age=5)).copy_remove_param("max_age")
    refused = await house.end(await consent(str(stale), "mario"))
    assert "(sign_in_too_old)" in refused.json()["detail"]


async def test_nobody_is_sent_anywhere_else(house: House) -> None:
    """Only to a path of this server."""
    for then in ("https://evil.example", "//evil.example", "/\\evil.example", "cassa", "/a\nb", "/\u00e8"):
        answer = await house.http.get("/v1/auth/oidc/start", params={"then": then})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_path")


async def test_the_ways_in_are_told(house: House) -> None:
    """To whom is not signed in."""
    told = (await house.http.get("/v1/auth/ways")).json()
    assert told["oidc"] == {"issuer": house.identity.url, "start": "/v1/auth/oidc/start"}


async def test_names_change_with_the_provider_and_roles_not_here(house: House) -> None:
    """What an owner changes here lasts where the provider has no say."""
    await house.sign_in("mario")
    (person,) = await house.people()
    await house.core.access.people.change(house.tenant_id, person.person_id, Change(login="mario"), NOBODY)
    await house.identity.say("mario", name="Mario Rossi", shop="porto")
    house.http.cookies.clear()
    await house.sign_in("mario")
    (person,) = await house.people()
    assert (person.name, person.shop, person.login) == ("Mario Rossi", "porto", "mario")
