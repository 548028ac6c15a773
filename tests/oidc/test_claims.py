"""What a token must say to be believed, by keys of our own: signatures, claims, clocks."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any
from warnings import catch_warnings

import pytest
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from server.auth.oidc.cached import Cached
from server.auth.oidc.claims import (
    LONGEST_BEARER_S,
    SKEW_S,
    Asked,
    Opened,
    TokenRefusedError,
    check_bearer,
    check_id_token,
    names_issuer,
    open_token,
)
from server.auth.oidc.discovery import ALGORITHMS
from server.auth.oidc.keys import PublicKeys, Published, read_keys

NOW_S = 1_764_000_000
ISSUER, CLIENT, AUDIENCE = "https://id.example", "rientro", "https://shop.example/api"
ASKED = Asked(ISSUER, CLIENT, "n-1", "an access token")
RSA, EC, ED = (
    RSAKey.generate_key(2048, {"kid": "rsa"}),
    ECKey.generate_key("P-256", {"kid": "ec"}),
    OKPKey.generate_key("Ed25519", {"kid": "ed"}),
)
KEYS: dict[str, Key] = {"RS256": RSA, "PS512": RSA, "ES256": EC, "EdDSA": ED}


def id_claims(**more: Any) -> dict[str, Any]:
    """An ID token's, as it should be; None takes one away."""
    known = {"iss": ISSUER, "aud": CLIENT, "sub": "mario", "iat": NOW_S, "exp": NOW_S + 300, "nonce": "n-1"} | more
    return {name: value for name, value in known.items() if value is not None}


def bearer_claims(**more: Any) -> dict[str, Any]:
    """An access token's."""
    return id_claims(**({"aud": AUDIENCE, "nonce": None, "client_id": "kiosk"} | more))


def sign(claims: Any, key: Key = EC, algorithm: str = "ES256", **header: Any) -> str:
    """A token of these claims."""
    head = {"alg": algorithm, "kid": key.kid, **header}
    head = {name: value for name, value in head.items() if value is not None}
    with catch_warnings(action="ignore", category=SecurityWarning):  # of the name EdDSA
        return jws.serialize_compact(head, json.dumps(claims).encode(), key, [algorithm])


def by_hand(algorithm: str, kid: str | int, secret: bytes | None = None) -> str:
    """A token without a signature, or with an HMAC: the library makes none."""
    parts = [json.dumps(part).encode() for part in ({"alg": algorithm, "kid": kid}, id_claims())]
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    mac = b"" if secret is None else hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def keys_of(*keys: Key, **more: Any) -> PublicKeys:
    """A provider that publishes these."""
    document = {"keys": [{**key.as_dict(private=False), **more} for key in keys]}

    async def fetch() -> Sequence[Published]:
        return read_keys(document)

    return PublicKeys(Cached("keys", fetch, lambda: 0))


async def opened(text: str, keys: PublicKeys | None = None, algorithms: Sequence[str] = ALGORITHMS) -> Opened:
    """What is read of a token."""
    return await open_token(text, keys or keys_of(RSA, EC, ED), algorithms, ISSUER)


async def why(text: str, keys: PublicKeys | None = None, algorithms: Sequence[str] = ALGORITHMS) -> str | None:
    """The reason a token is not opened for."""
    try:
        await opened(text, keys, algorithms)
    except TokenRefusedError as error:
        return error.reason
    return None


def why_no_sign_in(claims: dict[str, Any], header: dict[str, Any] | None = None, asked: Asked = ASKED) -> str | None:
    """The reason an ID token is refused for."""
    try:
        check_id_token(Opened(header or {"alg": "ES256"}, claims), asked, NOW_S)
    except TokenRefusedError as error:
        return error.reason
    return None


def why_no_bearer(claims: dict[str, Any], **header: Any) -> str | None:
    """The reason an access token is refused for."""
    try:
        check_bearer(Opened({"alg": "ES256", **header}, claims), AUDIENCE, NOW_S)
    except TokenRefusedError as error:
        return error.reason
    return None


@pytest.mark.parametrize("algorithm", sorted(KEYS))
async def test_what_the_providers_key_signed_is_opened(algorithm: str) -> None:
    """By the key its header names."""
    assert (await opened(sign(id_claims(), KEYS[algorithm], algorithm))).claims["sub"] == "mario"


async def test_no_other_algorithm_is_taken() -> None:
    """None, a public key as the secret of an HMAC, or one the provider does not announce."""
    assert [
        await why(by_hand("none", "ec")),
        await why(by_hand("HS256", "rsa", RSA.as_pem(private=False))),
        await why(sign(id_claims(), EC), algorithms=["RS256"]),
    ] == ["algorithm"] * 3


async def test_a_key_signs_only_what_it_is_for() -> None:
    """A kid of another kind, another algorithm than its own, one for encryption, one of nobody."""
    rsa = sign(id_claims(), RSA, "RS256")
    with catch_warnings(action="ignore", category=SecurityWarning):
        small = RSAKey.generate_key(1024, {"kid": "rsa"})
    seen = [
        await why(sign(id_claims(), RSA, "RS256", kid="ec")),
        await why(rsa, keys_of(RSA, alg="PS256")),
        await why(rsa, keys_of(RSA, use="enc")),
        await why(rsa, keys_of(EC)),
        await why(sign(id_claims(), small, "RS256"), keys_of(small)),
        await why(sign(id_claims(), ECKey.generate_key("P-256", {"kid": "other"}))),
        await why(by_hand("ES256", 7)),
    ]
    assert seen == ["unknown_key"] * len(seen)


async def test_a_token_without_kid_needs_a_single_key() -> None:
    """Else nobody could say whose it is."""
    text = sign(id_claims(), kid=None)
    assert await why(text, keys_of(EC)) is None
    assert await why(text, keys_of(EC, ECKey.generate_key("P-256", {"kid": "other"}))) == "unknown_key"


async def test_what_was_changed_or_is_broken_is_refused() -> None:
    """A signature of another key under the right name, each part changed, what is no token at all."""
    other = sign(id_claims(), ECKey.generate_key("P-256", {"kid": "ec"}))
    head, body, signature = sign(id_claims()).split(".")
    changed = base64.urlsafe_b64encode(json.dumps(id_claims(sub="anna")).encode()).rstrip(b"=").decode()
    assert [await why(one) for one in (other, f"{head}.{changed}.{signature}")] == ["signature"] * 2
    broken = ["", ".", "..", "a.b", f"{head}.{body}", f"{head}.{body}.{signature}.x", "\u00e8.b.c", "a" * 20_000]
    assert [await why(one) for one in broken] == ["malformed"] * len(broken)
    assert await why(sign([1])) == "signature"
    assert await why(sign(id_claims(iss="https://id.example/"))) == "issuer"


async def test_a_header_that_brings_its_own_key_is_not_believed() -> None:
    """What signs is found among the issuer's, whatever the token says."""
    own = ECKey.generate_key("P-256", {"kid": "own"})
    text = sign(id_claims(), own, jwk=own.as_dict(private=False), kid="ec")
    assert await why(text) == "signature"
    assert await why(sign(id_claims(), own, jku="https://evil.example/keys")) == "unknown_key"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"aud": "another"}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": [CLIENT, 7]}, "audience"),
        ({"aud": [CLIENT, "another"]}, "audience"),
        ({"aud": [CLIENT, "another"], "azp": CLIENT}, None),
        ({"azp": "another"}, "audience"),
        ({"exp": NOW_S - SKEW_S}, "expired"),
        ({"exp": NOW_S - SKEW_S + 1}, None),
        ({"exp": None}, "expired"),
        ({"exp": "never"}, "expired"),
        ({"exp": True}, "expired"),
        ({"exp": float("nan")}, "expired"),
        ({"exp": float("inf")}, "expired"),
        ({"iat": None}, "not_yet"),
        ({"iat": NOW_S + SKEW_S + 1}, "not_yet"),
        ({"nbf": NOW_S + SKEW_S}, None),
        ({"nbf": NOW_S + SKEW_S + 1}, "not_yet"),
        ({"nbf": "soon"}, "not_yet"),
        ({"nonce": "n-2"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": ["n-1"]}, "nonce"),
        ({"sub": None}, "subject"),
        ({"sub": ""}, "subject"),
        ({"sub": "a\x00b"}, "subject"),
        ({"sub": "x" * 256}, "subject"),
        ({"at_hash": "another"}, "access_token"),
    ],
)
def test_an_id_token_answers_what_was_asked(changed: dict[str, Any], reason: str | None) -> None:
    """Each claim by itself."""
    assert why_no_sign_in(id_claims(**changed)) == reason


@pytest.mark.parametrize(
    ("algorithm", "name"), [("RS256", "sha256"), ("ES384", "sha384"), ("PS512", "sha512"), ("EdDSA", "sha512")]
)
def test_an_access_token_hash_is_the_algorithms(algorithm: str, name: str) -> None:
    """Its left half; one that is said of no access token is refused."""
    digest = hashlib.new(name, b"an access token").digest()
    at_hash = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    claims, header = id_claims(at_hash=at_hash), {"alg": algorithm}
    assert why_no_sign_in(claims, header) is None
    assert why_no_sign_in(claims, header, ASKED._replace(access_token=None)) == "access_token"


def test_a_sign_in_may_not_be_older_than_was_asked() -> None:
    """And must say how old it is, where that was asked."""
    asked = ASKED._replace(max_age_s=10)
    ages = {None: "sign_in_too_old", NOW_S - 10 - SKEW_S: None, NOW_S - 11 - SKEW_S: "sign_in_too_old"}
    assert {at: why_no_sign_in(id_claims(auth_time=at), asked=asked) for at in ages} == ages


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        ({"aud": [AUDIENCE, "https://id.example/userinfo"]}, None),
        ({"client_id": None, "azp": "kiosk"}, None),
        ({"client_id": None}, "client"),
        ({"client_id": "a\nb"}, "client"),
        ({"aud": CLIENT}, "audience"),
        ({"exp": NOW_S + LONGEST_BEARER_S}, None),
        ({"exp": NOW_S + LONGEST_BEARER_S + 1}, "lifetime"),
        ({"exp": NOW_S - SKEW_S}, "expired"),
        ({"nonce": "n-1"}, "type"),
        ({"at_hash": "x"}, "type"),
        ({"cnf": {"jkt": "x"}}, "bound"),
        ({"sub": 7}, "subject"),
    ],
)
def test_a_bearer_is_for_us_and_of_a_client(changed: dict[str, Any], reason: str | None) -> None:
    """Each claim by itself."""
    assert why_no_bearer(bearer_claims(**changed)) == reason


def test_a_tokens_type_is_looked_at() -> None:
    """A bearer is no ID token, and neither is a logout token."""
    types = ("at+jwt", "application/at+jwt", "AT+JWT", "JWT", "logout+jwt", 7)
    assert [why_no_bearer(bearer_claims(), typ=one) for one in types] == [None] * 4 + ["type"] * 2
    assert [why_no_sign_in(id_claims(), {"alg": "ES256", "typ": one}) for one in types] == [
        *("type", "type", "type", None, "type", "type"),
    ]


def test_whose_a_token_says_it_is_is_read_before_anything_is_asked() -> None:
    """What is none says nothing."""
    assert names_issuer(sign(id_claims()), ISSUER)
    others = [sign(id_claims(iss="https://other.example")), sign([1]), "", "a.b.c", "rnt_x", "\u00e8.b.c"]
    assert [names_issuer(one, ISSUER) for one in others] == [False] * len(others)
