"""People: added, changed, let in no more; and that there is always an owner who can come in."""

import pytest

from server.auth.errors import AccessError
from server.auth.people import Change, NewPerson, Person
from server.storage.writer import Job, Writing
from tests.auth.desk import NOBODY, Desk

ISSUER = "https://id.example"


async def external(desk: Desk, subject: str, role: str = "clerk") -> Person:
    """A person of an OpenID provider, as they sign in."""

    async def job(writing: Writing) -> Person:
        new = NewPerson("Gianni", role, "centro")
        return await desk.people.put_external(writing, desk.shop.tenant_id, ISSUER, subject, new, NOBODY)

    return await desk.shop.writer.submit(Job([desk.shop.tenant_id], job))


async def test_who_was_added_is_listed(desk: Desk) -> None:
    """With what they may, and that they cannot sign in yet."""
    person_id = await desk.person("Anna", password=None)
    (listed,) = await desk.people.list(desk.shop.tenant_id)
    assert listed == await desk.people.find(desk.shop.tenant_id, person_id)
    assert (listed.name, listed.role, listed.shop, listed.has_password) == ("Anna", "clerk", "centro", False)
    assert ("person.add", "done", None) in await desk.audit()


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (NewPerson("Anna", "clerk", "centro", "anna"), "login_taken"),
        (NewPerson("Anna", "king", "centro"), "unknown_role"),
        (NewPerson("A\x00", "clerk", "centro"), "bad_name"),
        (NewPerson("Anna", "clerk", "role:owner"), "bad_shop"),
        (NewPerson("Anna", "clerk", "centro", "\u0430nna"), "bad_login"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(desk: Desk, new: NewPerson, code: str) -> None:
    """A login is one person's, and looks like no other one."""
    await desk.person("Anna")
    with pytest.raises(AccessError) as refusal:
        await desk.people.add(desk.shop.tenant_id, new, NOBODY)
    assert refusal.value.code == code
    assert len(await desk.people.list(desk.shop.tenant_id)) == 1


async def test_the_last_owner_who_can_come_in_stays_one(desk: Desk) -> None:
    """One who was only invited does not count, nor one who is disabled; a second one who can come in does."""
    tenant_id = desk.shop.tenant_id
    anna = await desk.person("Anna", "owner")
    await desk.person("Bruno", "owner", password=None)
    for ask in (
        lambda: desk.people.disable(tenant_id, anna, NOBODY),
        lambda: desk.people.change(tenant_id, anna, Change(role="clerk"), NOBODY),
    ):
        with pytest.raises(AccessError, match="as an owner"):
            await ask()
    carla = await desk.person("Carla", "owner")
    await desk.people.disable(tenant_id, carla, NOBODY)
    with pytest.raises(AccessError, match="as an owner"):
        await desk.people.disable(tenant_id, anna, NOBODY)
    await desk.people.enable(tenant_id, carla, NOBODY)
    await desk.people.disable(tenant_id, anna, NOBODY)
    assert [one.disabled_at is not None for one in await desk.people.list(tenant_id)] == [True, False, False]


async def test_who_is_disabled_is_out_everywhere_at_once(desk: Desk) -> None:
    """And comes back by signing in anew, not by what was left open."""
    tenant_id, person_id = desk.shop.tenant_id, await desk.person("Anna")
    till = await desk.shop.admin.add_device(tenant_id, "Cassa", "terminal", "centro")
    issued = [await desk.sign_in(till.device_id, person_id) for _ in range(2)]
    assert [await desk.is_let_in(one.access_token) for one in issued] == [True, True]
    await desk.people.disable(tenant_id, person_id, NOBODY)
    await desk.people.enable(tenant_id, person_id, NOBODY)
    assert [await desk.is_let_in(one.access_token) for one in issued] == [False, False]
    assert await desk.is_let_in(till.token)


async def test_a_change_of_role_or_shop_holds_at_the_very_next_request(desk: Desk) -> None:
    """Open sessions included: a clerk of another shop is out on this one's till."""
    tenant_id, person_id = desk.shop.tenant_id, await desk.person("Anna")
    await desk.person("Carla", "owner")
    till = await desk.shop.admin.add_device(tenant_id, "Cassa", "terminal", "centro")
    issued = await desk.sign_in(till.device_id, person_id)
    await desk.people.change(tenant_id, person_id, Change(role="owner", name="Anna B."), NOBODY)
    known = await desk.guard.now(issued.access_token)
    assert known is not None
    assert known.principal.role == "owner"
    await desk.people.change(tenant_id, person_id, Change(role="clerk", shop="porto"), NOBODY)
    assert not await desk.is_let_in(issued.access_token)


async def test_a_person_of_a_provider_is_made_once(desk: Desk) -> None:
    """And what they may do is not changed here, where it would not last."""
    first = await external(desk, "s-1")
    for change in (Change(shop="porto"), Change(role="owner")):
        with pytest.raises(AccessError) as refusal:
            await desk.people.change(desk.shop.tenant_id, first.person_id, change, NOBODY)
        assert refusal.value.code == "kept_by_provider"
    await desk.people.change(desk.shop.tenant_id, first.person_id, Change(name="Gio", role="clerk"), NOBODY)
    again, other = await external(desk, "s-1"), await external(desk, "s-2")
    assert (again.person_id, again.role, again.shop, again.name) == (first.person_id, "clerk", "centro", "Gio")
    assert other.person_id != first.person_id
    await desk.people.disable(desk.shop.tenant_id, first.person_id, NOBODY)
    with pytest.raises(AccessError, match="let in no more"):
        await external(desk, "s-1")


async def test_another_merchants_people_are_nobody_here(desk: Desk) -> None:
    """They are not found, changed or disabled; a login may be the same."""
    other, person_id = await desk.shop.admin.add_tenant("Un altro"), await desk.person("Anna")
    await desk.people.add(other, NewPerson("Anna", "clerk", "centro", "anna"), NOBODY)
    assert await desk.people.find(other, person_id) is None
    with pytest.raises(AccessError, match="no such person"):
        await desk.people.disable(other, person_id, NOBODY)


async def test_two_merchants_do_not_share_a_handle(desk: Desk) -> None:
    """However it is written; each is found by its own, by its id, and without a name only where it is alone."""
    admin, only = desk.shop.admin, desk.shop.tenant_id
    assert await admin.find_tenant(None) == only
    other = await admin.add_tenant("Un altro", "Un-Altro")
    with pytest.raises(AccessError, match="has this handle"):
        await admin.add_tenant("Un terzo", " un-altro ")
    assert [await admin.find_tenant(name) for name in ("UN-ALTRO", only.upper(), None, "nobody")] == [
        *(other, only, None, None),
    ]
    for handle in ("", "-x", "x_y", "caffè", "x" * 49):
        with pytest.raises(AccessError, match="A handle is"):
            await admin.add_tenant("Bar", handle)
