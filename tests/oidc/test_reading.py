"""What is read of a provider's documents and claims, of the browser's cookie, and of the settings."""

from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey
from pydantic import SecretStr

from server.auth.entrance import Place, Proven
from server.auth.errors import AccessError
from server.auth.oidc.begun import Begun, checked_path
from server.auth.oidc.discovery import read_metadata
from server.auth.oidc.exchange import authenticate
from server.auth.oidc.fetching import FetchError, read_document
from server.auth.oidc.form import ClaimNames, Provider
from server.auth.oidc.keys import read_keys
from server.auth.oidc.mapping import Words, read_words
from server.settings import Settings

ISSUER = "https://id.example"
DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks",
    "id_token_signing_alg_values_supported": ["none", "HS256", "ES256", "RS256"],
    "code_challenge_methods_supported": ["plain", "S256"],
}


def test_of_the_algorithms_announced_only_asymmetric_ones_are_taken() -> None:
    """And where nothing is said of PKCE, it is done all the same."""
    metadata = read_metadata(DOCUMENT, ISSUER, allow_loopback=False)
    assert (metadata.algorithms, metadata.auth_methods) == (("RS256", "ES256"), ("client_secret_basic",))
    silent = {name: value for name, value in DOCUMENT.items() if name != "code_challenge_methods_supported"}
    assert read_metadata(silent, ISSUER, allow_loopback=False) == metadata


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"issuer": f"{ISSUER}/"}, "another_issuer"),
        ({"issuer": None}, "another_issuer"),
        ({"token_endpoint": None}, "no_endpoint"),
        ({"token_endpoint": "http://id.example/token"}, "insecure_url"),
        ({"jwks_uri": "https://127.0.0.1/jwks"}, "private_address"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "bad_url"),
        ({"id_token_signing_alg_values_supported": ["none", "HS256"]}, "no_algorithm"),
        ({"id_token_signing_alg_values_supported": "RS256"}, "no_algorithm"),
        ({"code_challenge_methods_supported": ["plain"]}, "no_pkce"),
    ],
)
def test_a_document_that_is_not_right_is_refused(changed: dict[str, Any], reason: str) -> None:
    """By one word, for the log."""
    with pytest.raises(FetchError, match=reason):
        read_metadata(DOCUMENT | changed, ISSUER, allow_loopback=False)


@pytest.mark.parametrize("body", [None, b"", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_document_is_refused(body: bytes | None) -> None:
    """Also where there was more than is read."""
    with pytest.raises(FetchError, match="unreadable"):
        read_document(body)


def test_keys_that_are_none_are_passed_over() -> None:
    """The others are good."""
    good = ECKey.generate_key("P-256", {"kid": "good"})
    odd = [7, {}, {"kty": "EC"}, {"kty": "EC", "crv": 7}, OctKey.generate_key(256).as_dict(private=True)]
    private = ECKey.generate_key("P-256", {"kid": "private"}).as_dict(private=True)
    assert [one.kid for one in read_keys({"keys": [*odd, private, good.as_dict(private=False)]})] == ["good"]
    with pytest.raises(FetchError, match="no_keys"):
        read_keys({"keys": {}})


def test_claims_are_found_where_providers_put_them() -> None:
    """Flat, under an address, or deep in an object among roles that are none of ours."""
    claims = {
        "https://shop.example/merchant": "bar",
        "realm_access": {"roles": ["offline_access", "clerk", "uma_authorization"]},
        "shop": ["centro"],
        "name": " Anna Bianchi ",
    }
    names = ClaimNames("https://shop.example/merchant", "realm_access.roles")
    assert read_words(claims, names, "s-1") == Words("bar", "clerk", "centro", "Anna Bianchi")
    assert read_words({**claims, "name": "a\x00b"}, names, "s-1").name == "s-1"
    assert read_words({"role": "owner", "shop": "centro"}, ClaimNames(), "s-1") == Words(None, "owner", "centro", "s-1")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"role": None}, "unknown_role"),
        ({"role": ["owner", "clerk"]}, "unknown_role"),
        ({"role": {"owner": True}}, "unknown_role"),
        ({"role": "Owner"}, "unknown_role"),
        ({"shop": ["centro", "porto"]}, "unknown_shop"),
        ({"shop": ""}, "unknown_shop"),
        ({"shop": "a\x00b"}, "unknown_shop"),
        ({"merchant": ["a", "b"]}, "unknown_merchant"),
        ({"merchant": None}, "unknown_merchant"),
    ],
)
def test_what_is_not_one_word_is_refused(changed: dict[str, Any], code: str) -> None:
    """And never guessed."""
    claims = {"merchant": "bar", "role": "clerk", "shop": "centro"} | changed
    with pytest.raises(AccessError) as refusal:
        read_words(claims, ClaimNames("merchant"), "s-1")
    assert refusal.value.code == code
    assert refusal.value.status == 403


def test_the_client_shows_itself_as_the_provider_takes_it() -> None:
    """In the header, form-encoded; in the form, where that is all it takes; by its name, where it has no secret."""
    metadata = read_metadata(DOCUMENT, ISSUER, allow_loopback=False)
    provider = Provider(ISSUER, "a client", None, "https://shop.example/back")
    secret = provider._replace(client_secret=SecretStr("s:e+c="))
    assert authenticate(provider, metadata) == ({"client_id": "a client"}, {})
    assert authenticate(secret, metadata) == ({}, {"Authorization": "Basic YStjbGllbnQ6cyUzQWUlMkJjJTNE"})
    posting = metadata._replace(auth_methods=("client_secret_post",))
    assert authenticate(secret, posting) == ({"client_id": "a client", "client_secret": "s:e+c="}, {})


@pytest.mark.parametrize("path", ["/", "/cassa?x=1#y", "/a/../b"])
def test_a_path_of_this_server_may_follow(path: str) -> None:
    """As it stands."""
    assert checked_path(path) == path


@pytest.mark.parametrize("path", ["", "x", "//x", "/\\x", "/a\\b", "https://x", "/a\r\nb", "/\t/x", "/" + "a" * 500])
def test_what_a_browser_might_take_for_another_host_may_not(path: str) -> None:
    """Also where it is only odd."""
    with pytest.raises(AccessError, match="only a path"):
        checked_path(path)


def test_what_a_browser_keeps_comes_back_whole() -> None:
    """With everything in it, and with nothing."""
    for begun in (
        Begun("n", "v", 7, Place("Telefono di \u00c8va", Proven("t", "d"), "n"), "/x", 0),
        Begun("n", "v", 7, Place("Browser")),
    ):
        assert Begun.read(begun.values()) == begun


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"oidc_client_id": None}, "RIENTRO_OIDC_CLIENT_ID"),
        ({"oidc_issuer": "http://id.example"}, "RIENTRO_OIDC_ISSUER"),
        ({"public_url": None}, "RIENTRO_PUBLIC_URL"),
        ({"oidc_scope": "profile"}, "RIENTRO_OIDC_SCOPE"),
        ({"oidc_audience": "rientro"}, "RIENTRO_OIDC_AUDIENCE"),
    ],
)
def test_settings_that_cannot_work_are_refused(changed: dict[str, Any], says: str) -> None:
    """At the start, by name."""
    good: dict[str, Any] = {"oidc_issuer": ISSUER, "oidc_client_id": "rientro", "public_url": "https://shop.example"}
    assert Settings(**good).oidc_issuer == ISSUER
    with pytest.raises(ValueError, match=says):
        Settings(**{**good, **changed})
