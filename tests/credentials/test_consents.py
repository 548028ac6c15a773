"""Connecting an account: what is refused, and by which words."""

import re
import socket
from urllib.parse import parse_qs, urlsplit

import pytest

from server.credentials import consents
from server.credentials.consents import CALLBACK, LIFETIME_MS, ConsentError
from server.credentials.tokens import Place
from tests.credentials.authorizer import Authorizer
from tests.credentials.keeping import Keeper, oauth
from tests.support.shop import Ids

HERE = "https://shop.example"


async def begun(keeper: Keeper, provider: Authorizer, **settings: str) -> tuple[Place, dict[str, str]]:
    """An account, and the parameters its person was sent away with."""
    place = await keeper.endpoint(**oauth(provider.url), **settings)
    url = await keeper.consents.begin(place, HERE)
    return place, {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def test_a_code_becomes_tokens(keeper: Keeper, provider: Authorizer) -> None:
    """Its verifier is what the challenge was made of, and the address the same."""
    place, asked = await begun(keeper, provider)
    assert (asked["code_challenge_method"], asked["redirect_uri"]) == ("S256", HERE + CALLBACK)
    ended = await keeper.consents.end({"state": asked["state"], "code": "c"}, keeper.outbound, keeper.clock)
    (sent,) = provider.asked
    assert (ended, sent["code"], sent["redirect_uri"]) == (place, "c", HERE + CALLBACK)
    assert re.fullmatch(r"[A-Za-z0-9_-]{64}", sent["code_verifier"])
    assert await keeper.access.token(await keeper.account(place)) == "access-2"


async def test_a_state_is_good_once_and_for_a_short_time(keeper: Keeper, provider: Authorizer) -> None:
    """Whatever came of it; an unknown merchant's is no better than none."""
    _, asked = await begun(keeper, provider)
    _, late = await begun(keeper, provider)
    with pytest.raises(ConsentError, match="was not given"):
        await keeper.consents.end({"state": asked["state"], "error": "denied"}, keeper.outbound, keeper.clock)
    keeper.clock.ms += LIFETIME_MS
    nobody = Ids(9)().replace("-", "")
    for state in (asked["state"], late["state"], "", "x.y", f"{nobody}.x", asked["state"] + "x"):
        with pytest.raises(ConsentError) as refused:
            await keeper.consents.end({"state": state, "code": "c"}, keeper.outbound, keeper.clock)
        assert refused.value.code == "unknown_state"
    assert provider.asked == []


async def test_a_state_of_one_merchant_is_no_use_under_anothers_name(lite: Keeper, provider: Authorizer) -> None:
    """The tenant is part of what is hashed."""
    _, asked = await begun(lite, provider)
    _, _, secret = asked["state"].partition(".")
    moved = f"{'0' * 32}.{secret}"
    with pytest.raises(ConsentError, match="is not known"):
        await lite.consents.end({"state": moved, "code": "c"}, lite.outbound, lite.clock)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"code": "c"}, "wrong_issuer"),
        ({"code": "c", "iss": "https://evil.example"}, "wrong_issuer"),
        ({"iss": "https://id.example"}, "no_code"),
        ({"iss": "https://id.example", "error": "access_denied"}, "denied"),
    ],
)
async def test_an_answer_must_come_from_who_was_asked(
    lite: Keeper, provider: Authorizer, answer: dict[str, str], code: str
) -> None:
    """Where the account says who that is."""
    _, asked = await begun(lite, provider, oauth_issuer="https://id.example")
    with pytest.raises(ConsentError) as refused:
        await lite.consents.end({"state": asked["state"], **answer}, lite.outbound, lite.clock)
    assert (refused.value.code, provider.asked) == (code, [])


async def test_what_cannot_be_begun_says_why(lite: Keeper, provider: Authorizer) -> None:
    """No such account, none that consents, nowhere to come back to."""
    plain, asking = await lite.endpoint(), await lite.endpoint(**oauth(provider.url))
    for place, url, code in (
        (plain, HERE, "not_oauth"),
        (Place(lite.tenant_id, Ids(9)()), HERE, "not_oauth"),
        (asking, None, "no_public_url"),
        (asking, "http://shop.example", "no_public_url"),
    ):
        with pytest.raises(ConsentError) as refused:
            await lite.consents.begin(place, url)
        assert refused.value.code == code


async def test_a_provider_that_gives_no_tokens_is_told_of(lite: Keeper, provider: Authorizer) -> None:
    """With its own word, and nothing of ours."""
    _, asked = await begun(lite, provider)
    provider.script = [500]
    with pytest.raises(ConsentError, match=r"no tokens for the code.*\(status_500\)"):
        await lite.consents.end({"state": asked["state"], "code": "geheim"}, lite.outbound, lite.clock)


async def test_a_provider_that_never_answers_keeps_nobody_waiting(
    lite: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person sees so in the browser; the exchange as a whole has an end, however slowly its bytes come."""
    monkeypatch.setattr(consents, "EXCHANGE_S", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        place = await lite.endpoint(**oauth(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        state = parse_qs(urlsplit(await lite.consents.begin(place, HERE)).query)["state"][0]
        with pytest.raises(ConsentError, match=r"no tokens for the code.*\(timeout\)"):
            await lite.consents.end({"state": state, "code": "c"}, lite.outbound, lite.clock)
