"""Passkeys: both ceremonies, and every way in which an answer can be another than it should be."""

from typing import Any

import pytest

from server.audit import Actor
from server.auth.ceremonies import Owner
from server.auth.challenges import LIFE_MS
from server.auth.entrance import Place
from server.auth.errors import AccessError
from server.auth.lockout import FREE
from server.auth.sessions import Issued
from server.auth.sign_in import Shown
from tests.auth.desk import NOBODY, PASSWORD, Desk, desk_of
from tests.support.authenticator import PRESENT, VERIFIED, Authenticator, Bent, encode

ORIGIN = "https://shop.example"
ANYWHERE = "https://localhost"
PHONE = Place("Telefono")


async def register(desk: Desk, phone: Authenticator, person_id: str, bent: Bent | None = None) -> str:
    """A passkey's id, or the code it is refused with."""
    owner = Owner(desk.shop.tenant_id, person_id)
    credential = phone.create(await desk.access.passkeys.begin(owner), bent)
    return await keep(desk, owner, credential)


async def keep(desk: Desk, owner: Owner, credential: dict[str, Any]) -> str:
    """The same, of what was made."""
    actor = Actor("person", owner.person_id)
    try:
        return await desk.access.passkeys.register(owner, "Telefono", credential, ANYWHERE, actor)
    except AccessError as error:
        return error.code


async def sign_in(desk: Desk, credential: dict[str, Any]) -> Issued | str:
    """A session, or the code it is refused with."""
    try:
        return await desk.access.passkeys.sign_in(credential, ANYWHERE, PHONE, NOBODY)
    except AccessError as error:
        return error.code


async def answer(desk: Desk, phone: Authenticator, bent: Bent | None = None) -> Issued | str:
    """A whole sign-in."""
    return await sign_in(desk, phone.get(desk.access.passkeys.options(), bent))


@pytest.mark.parametrize("attestation", ["none", "packed"])
async def test_a_passkey_is_enough_on_a_device_that_knows_nothing(desk: Desk, attestation: str) -> None:
    """It says whose it is; the options of a sign-in name nobody."""
    person_id, phone = await desk.person("Anna", password=None), Authenticator(ORIGIN, attestation=attestation)
    credential_id = await register(desk, phone, person_id)
    assert "allowCredentials" not in {k for k, v in desk.access.passkeys.options().items() if v}
    for _ in range(2):
        issued = await answer(desk, phone)
        assert isinstance(issued, Issued)
        assert (issued.person_id, await desk.is_let_in(issued.access_token)) == (person_id, True)
    (kept,) = await desk.access.passkeys.list(Owner(desk.shop.tenant_id, person_id))
    assert (kept.credential_id, kept.name, kept.used_at is not None) == (credential_id, "Telefono", True)


LIES = {
    "a page of another site": Bent(origin="https://evil.example"),
    "a page of this site without TLS": Bent(origin="http://shop.example"),
    "a passkey for another site": Bent(rp_id="evil.example"),
    "a challenge of nobody": Bent(challenge=encode(bytes(48))),
    "a challenge that is short": Bent(challenge=encode(b"x")),
    "the other ceremony": Bent(kind="payment.get"),
    "nobody was there": Bent(flags=VERIFIED),
    "nobody was verified": Bent(flags=PRESENT),
}


@pytest.mark.parametrize("lie", LIES)
async def test_an_answer_that_says_anything_else_is_refused(desk: Desk, lie: str) -> None:
    """In either ceremony; and the passkey goes on when it says the truth."""
    person_id, phone = await desk.person("Anna"), Authenticator(ORIGIN)
    assert await register(desk, phone, person_id, LIES[lie]) == "bad_passkey"
    await register(desk, phone, person_id)
    assert await answer(desk, phone, LIES[lie]) == "bad_passkey"
    assert isinstance(await answer(desk, phone), Issued)


async def test_a_signature_that_is_another_is_refused_and_noted(desk: Desk) -> None:
    """A packed attestation's too."""
    person_id, phone = await desk.person("Anna"), Authenticator(ORIGIN, attestation="packed")
    assert await register(desk, phone, person_id, Bent(break_signature=True)) == "bad_passkey"
    await register(desk, phone, person_id)
    assert await answer(desk, phone, Bent(break_signature=True)) == "bad_passkey"
    assert (await desk.audit())[-1] == ("session.open", "refused", "signature")


async def test_a_challenge_is_for_one_answer_one_ceremony_and_one_person(desk: Desk) -> None:
    """And for five minutes, in whichever process."""
    anna, bruno = await desk.person("Anna"), await desk.person("Bruno")
    phone, owner = Authenticator(ORIGIN), Owner(desk.shop.tenant_id, anna)
    options = await desk.access.passkeys.begin(owner)
    made = phone.create(options)
    assert await keep(desk, Owner(desk.shop.tenant_id, bruno), made) == "bad_passkey"
    assert await keep(desk_of(desk.shop), owner, made) == encode(phone.passkeys[-1].credential_id)
    assert await keep(desk, owner, phone.create(options)) == "bad_passkey"
    phone.passkeys.pop()
    given = phone.get(desk.access.passkeys.options())
    assert [isinstance(await sign_in(desk, given), Issued) for _ in range(2)] == [True, False]
    assert (await desk.audit())[-1] == ("session.open", "refused", "reused")
    lent = Bent(challenge=(await desk.access.passkeys.begin(owner))["challenge"])
    assert await answer(desk, phone, lent) == "bad_passkey"
    old = phone.get(desk.access.passkeys.options())
    desk.shop.clock.ms += LIFE_MS
    assert await sign_in(desk, old) == "bad_passkey"
    assert isinstance(await answer(desk, phone), Issued)


async def test_a_passkey_is_its_own_persons(desk: Desk) -> None:
    """Not another's of the same merchant, nor of another one, nor of nobody; nobody else can register it again."""
    anna, bruno = await desk.person("Anna"), await desk.person("Bruno")
    phone, other = Authenticator(ORIGIN), Authenticator(ORIGIN, seed=2)
    await register(desk, phone, anna)
    await register(desk, other, bruno)
    for handle in (other.passkeys[0].handle, phone.passkeys[0].handle[16:] * 2, b"", b"x" * 64):
        assert await answer(desk, phone, Bent(handle=handle)) == "bad_passkey"
    borrowed = Bent(credential_id=phone.passkeys[0].credential_id)
    assert await answer(desk, other, borrowed) == "bad_passkey"
    assert await register(desk, Authenticator(ORIGIN, seed=3), bruno, borrowed) == "bad_passkey"


async def test_a_counter_that_did_not_grow_is_a_copy(desk: Desk) -> None:
    """Refused and noted, though the signature is right; what never counts is let in."""
    person_id, phone = await desk.person("Anna"), Authenticator(ORIGIN)
    await register(desk, phone, person_id)
    assert isinstance(await answer(desk, phone, Bent(counter=7)), Issued)
    for counter in (7, 6, 0):
        assert await answer(desk, phone, Bent(counter=counter)) == "bad_passkey"
        assert (await desk.audit())[-1] == ("session.open", "refused", "counter")
    assert isinstance(await answer(desk, phone, Bent(counter=8)), Issued)
    synced = Authenticator(ORIGIN, seed=2, counts=False)
    await register(desk, synced, person_id)
    assert [isinstance(await answer(desk, synced), Issued) for _ in range(2)] == [True, True]


async def test_the_last_way_in_is_not_removed(desk: Desk) -> None:
    """One of two passkeys is, and the last one where there is a password; what is removed lets in no more."""
    nobody_else = await desk.person("Anna", password=None)
    owner, phones = Owner(desk.shop.tenant_id, nobody_else), [Authenticator(ORIGIN, seed=seed) for seed in (1, 2)]
    first, last = [await register(desk, phone, nobody_else) for phone in phones]
    passkeys = desk.access.passkeys
    await passkeys.remove(owner, first, NOBODY)
    assert await answer(desk, phones[0]) == "bad_passkey"
    with pytest.raises(AccessError, match="last way in"):
        await passkeys.remove(owner, last, NOBODY)
    assert isinstance(await answer(desk, phones[1]), Issued)
    bruno = Owner(desk.shop.tenant_id, await desk.person("Bruno"))
    with pytest.raises(AccessError, match="no such passkey"):
        await passkeys.remove(bruno, last, NOBODY)
    await passkeys.remove(bruno, await register(desk, Authenticator(ORIGIN, seed=3), bruno.person_id), NOBODY)


async def test_a_passkey_opens_where_a_password_is_locked(desk: Desk) -> None:
    """Whoever guesses passwords keeps nobody out; who is disabled stays out."""
    person_id, phone = await desk.person("Anna"), Authenticator(ORIGIN)
    await desk.person("Carla", "owner")
    await register(desk, phone, person_id)
    for _ in range(FREE + 2):
        with pytest.raises(AccessError):
            await desk.access.sign_in.by_password(desk.shop.tenant_id, Shown("anna", PASSWORD + "!"), PHONE, NOBODY)
    assert isinstance(await answer(desk, phone), Issued)
    await desk.people.disable(desk.shop.tenant_id, person_id, NOBODY)
    assert await answer(desk, phone) == "disabled"


@pytest.mark.parametrize(
    "broken",
    [{}, {"response": None}, {"id": 5}, {"response": {"clientDataJSON": "e30", "userHandle": "AA"}}, {"id": "é"}],
)
async def test_what_is_no_answer_at_all_is_refused_alike(desk: Desk, broken: dict[str, Any]) -> None:
    """Whatever part is missing or of another kind, also where the rest is right."""
    person_id, phone = await desk.person("Anna"), Authenticator(ORIGIN)
    await register(desk, phone, person_id)
    right = phone.get(desk.access.passkeys.options())
    owner = Owner(desk.shop.tenant_id, person_id)
    made = phone.create(await desk.access.passkeys.begin(owner))
    for credential in (broken, right | broken) if broken else (broken,):
        assert await sign_in(desk, credential) == "bad_passkey"
    for credential in (broken, made | broken) if broken else (broken,):
        assert await keep(desk, owner, credential) == "bad_passkey"
