"""One-time links: the first owner, further people, a password that was forgotten."""

import anyio
import pytest

from server.audit import Actor
from server.auth.entrance import Place
from server.auth.errors import AccessError
from server.auth.invites import LIFE_MS, Taking
from server.auth.sessions import Issued
from server.auth.sign_in import Shown
from tests.auth.desk import NOBODY, PASSWORD, Desk, desk_of, token_of

HERE = Place("Telefono")
NEW = "una grappa barricata"


async def invite(desk: Desk, person_id: str) -> str:
    """A link's token."""
    made = await desk.access.invites.make(desk.shop.tenant_id, person_id, Actor("operator"))
    return token_of(made.link)


async def take(desk: Desk, token: str, taking: Taking) -> Issued | str:
    """A session, or the code it is refused with."""
    try:
        return await desk.access.invites.take(token, taking, HERE, NOBODY)
    except AccessError as error:
        return error.code


async def test_a_link_makes_somebody_who_signs_in_by_password(desk: Desk) -> None:
    """It is good once, also among many who take it at the same moment."""
    person_id = await desk.person("Anna", "owner", password=None)
    token, told = await invite(desk, person_id), list[Issued | str]()
    taking = Taking("Anna Bianchi", "anna.b", PASSWORD)

    async def ask(one: Desk) -> None:
        told.append(await take(one, token, taking))

    async with anyio.create_task_group() as tasks:
        for one in (desk, desk_of(desk.shop)) * 4:
            tasks.start_soon(ask, one)
    assert sorted("let in" if isinstance(one, Issued) else one for one in told) == ["let in"] + ["link_over"] * 7
    person = await desk.people.find(desk.shop.tenant_id, person_id)
    assert person is not None
    assert (person.name, person.login, person.has_password) == ("Anna Bianchi", "anna.b", True)
    shown = Shown("anna.b", PASSWORD)
    assert await desk.access.sign_in.by_password(desk.shop.tenant_id, shown, HERE, NOBODY)


async def test_a_link_that_could_not_be_taken_is_not_spent(desk: Desk) -> None:
    """A login that is taken, a weak password, a password without a login."""
    await desk.person("Anna")
    nameless = await desk.person("Bruno", password=None)
    token = await invite(desk, nameless)
    assert await take(desk, token, Taking(login="anna", password=NEW)) == "login_taken"
    assert await take(desk, token, Taking(login="bruno", password="corta")) == "weak_password"
    assert isinstance(await take(desk, token, Taking(password=NEW)), Issued)


async def test_a_link_is_over_after_a_day_or_when_a_newer_one_was_made(desk: Desk) -> None:
    """And is nobody's in another installation or with another merchant's name in it."""
    person_id = await desk.person("Anna", password=None)
    older, newer = await invite(desk, person_id), await invite(desk, person_id)
    other = await desk.shop.admin.add_tenant("Un altro")
    moved = newer.replace(desk.shop.tenant_id.replace("-", ""), other.replace("-", ""))
    for token in (older, moved, "", "x", newer[:-1]):
        assert await take(desk, token, Taking(password=NEW)) == "link_over"
    assert await take(desk_of(desk.shop, b"x" * 32), newer, Taking(password=NEW)) == "link_over"
    desk.shop.clock.ms += LIFE_MS
    assert await take(desk, newer, Taking(password=NEW)) == "link_over"


async def test_a_forgotten_password_is_set_anew_and_whoever_knew_it_is_out(desk: Desk) -> None:
    """Everywhere, and without waiting for a lock to open."""
    person_id = await desk.person("Anna")
    old = await desk.sign_in((await desk.shop.admin.devices(desk.shop.tenant_id))[0].device_id, person_id)
    issued = await take(desk, await invite(desk, person_id), Taking(password=NEW))
    assert isinstance(issued, Issued)
    assert [await desk.is_let_in(one.access_token) for one in (old, issued)] == [False, True]
    with pytest.raises(AccessError):
        await desk.access.sign_in.by_password(desk.shop.tenant_id, Shown("anna", PASSWORD), HERE, NOBODY)


async def test_who_is_disabled_is_let_in_by_no_link(desk: Desk) -> None:
    """Neither by one made before, nor when they are enabled again."""
    await desk.person("Anna", "owner")
    person_id = await desk.person("Bruno", password=None)
    token = await invite(desk, person_id)
    await desk.people.disable(desk.shop.tenant_id, person_id, NOBODY)
    with pytest.raises(AccessError, match="enable them first"):
        await invite(desk, person_id)
    await desk.people.enable(desk.shop.tenant_id, person_id, NOBODY)
    assert await take(desk, token, Taking(password=NEW)) == "link_over"
