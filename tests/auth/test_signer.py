"""Access tokens: who made them, when, for whom; nothing else is believed."""

import base64
import json
import random

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from server.auth.signer import ACCESS_S, Signer
from server.credentials.vault import Vault
from tests.support.shop import Clock, Ids

TENANT, SESSION, PERSON = (Ids(5)() for _ in range(3))
ISSUER = "https://shop.example"


def signer(clock: Clock, *masters: bytes, issuer: str = ISSUER) -> Signer:
    """A process with these master keys."""
    return Signer(Vault.of(*(masters or (b"m" * 32,))).derive, issuer, clock)


def test_what_one_process_signs_another_one_reads() -> None:
    """They share a master key and nothing else."""
    clock = Clock()
    token = signer(clock).make(TENANT, SESSION, PERSON)
    read = signer(clock).read(token)
    assert read is not None
    assert (read.tenant_id, read.session_id) == (TENANT, SESSION)
    assert read.expires_at_ms == clock.ms // 1000 * 1000 + ACCESS_S * 1000


def test_a_token_is_good_for_ten_minutes() -> None:
    """To the second; one from a clock a minute ahead is taken, from further ahead it is not."""
    clock = Clock()
    token = signer(clock).make(TENANT, SESSION, PERSON)
    seen = []
    for moved_s in (0, ACCESS_S - 1, ACCESS_S, -60, -61):
        at = Clock()
        at.ms = clock.ms + moved_s * 1000
        seen.append(signer(at).read(token) is not None)
    assert seen == [True, True, False, True, False]


def test_another_installation_issuer_or_purpose_is_not_believed() -> None:
    """The same claims signed by a key of another master, for another issuer, or with another audience."""
    clock = Clock()
    ours = signer(clock)
    assert ours.read(signer(clock, b"x" * 32).make(TENANT, SESSION, PERSON)) is None
    assert ours.read(signer(clock, issuer="https://other.example").make(TENANT, SESSION, PERSON)) is None
    token = ours.make(TENANT, SESSION, PERSON)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    key = next(key for key in _private(clock) if key.thumbprint() == json.loads(_part(token, 0))["kid"])
    for changed in ({"aud": "another"}, {"exp": claims["exp"] + 1}, {"tenant": 5}, {"session": None}, {"iat": "x"}):
        made = jwt.encode({"alg": "ES256", "kid": key.thumbprint()}, claims | changed, key)
        assert ours.read(made) is None
    assert ours.read(jwt.encode({"alg": "ES256", "kid": key.thumbprint()}, claims, key)) is not None


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384", "RS256", "es256", ""])
def test_no_other_algorithm_is_taken(algorithm: str) -> None:
    """Whatever the header says, and with whatever signature."""
    clock = Clock()
    token = signer(clock).make(TENANT, SESSION, PERSON)
    header = json.loads(_part(token, 0)) | {"alg": algorithm}
    forged = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    _, claims, signature = token.split(".")
    for text in (f"{forged}.{claims}.{signature}", f"{forged}.{claims}."):
        assert signer(clock).read(text) is None


@pytest.mark.parametrize("changed", [
    {"crit": 1}, {"crit": True}, {"crit": [1]}, {"crit": [[]]}, {"crit": {"a": 1}}, {"crit": None}, {"crit": "kid"},
    {"kid": []}, {"kid": {}}, {"b64": []}, {"typ": []}, {"jwk": 1}, {"zip": 1},
])  # fmt: skip
def test_a_header_of_odd_types_is_refused_like_any_other(changed: dict[str, object]) -> None:
    """Nobody needs a key to send one."""
    clock = Clock()
    token = signer(clock).make(TENANT, SESSION, PERSON)
    header = json.loads(_part(token, 0)) | changed
    forged = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    assert signer(clock).read(f"{forged}.{token.partition('.')[2]}") is None


def test_no_byte_of_a_token_can_be_another() -> None:
    """One character of it, by another one of its alphabet, a thousand times."""
    clock, chance = Clock(), random.Random(1)
    ours = signer(clock)
    token = ours.make(TENANT, SESSION, PERSON)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    believed = []
    for _ in range(1000):
        place = chance.randrange(len(token))
        other = chance.choice(alphabet)
        changed = token[:place] + other + token[place + 1 :]
        if changed != token and ours.read(changed) is not None:
            believed.append(place)
    assert believed == []


def test_the_keys_that_are_published_read_what_is_signed_now_and_over_the_turn_of_a_month() -> None:
    """Somebody who fetched them a fortnight ago verifies today's token."""
    clock = Clock()
    published = KeySet([ECKey.import_key(key) for key in signer(clock).key_set()["keys"]])
    for days in (0, 14, 28):
        later = Clock()
        later.ms = clock.ms + days * 24 * 3_600_000
        token = signer(later).make(TENANT, SESSION, PERSON)
        assert jwt.decode(token, published, algorithms=["ES256"]).claims["sub"] == PERSON
    assert all("d" not in key for key in signer(clock).key_set()["keys"])


def test_a_new_master_key_signs_and_the_old_one_is_read_until_it_is_dropped() -> None:
    """A rotation signs nobody out."""
    clock = Clock()
    old, both, new = signer(clock, b"m" * 32), signer(clock, b"n" * 32, b"m" * 32), signer(clock, b"n" * 32)
    before, after = old.make(TENANT, SESSION, PERSON), both.make(TENANT, SESSION, PERSON)
    assert [one.read(before) is not None for one in (old, both, new)] == [True, True, False]
    assert [one.read(after) is not None for one in (old, both, new)] == [False, True, True]


def _part(token: str, index: int) -> bytes:
    return base64.urlsafe_b64decode(token.split(".")[index] + "==")


def _private(clock: Clock) -> list[ECKey]:
    return list(signer(clock)._keys().values())
