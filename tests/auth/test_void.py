"""Codes and links that are open: whoever is thrown out comes in again by none that they made."""

import pytest

from server.audit import Actor
from server.auth.entrance import Place
from server.auth.errors import AccessError
from server.auth.invites import Taking
from server.auth.keys import Terms
from server.auth.pairing import Wanted
from server.auth.sessions import Issued
from tests.auth.desk import NOBODY, PASSWORD, Desk, token_of

ATTEMPTS = ("attempt-number-one-", "attempt-number-two-")


async def thief(desk: Desk) -> tuple[Issued, list[str]]:
    """Anna's session in wrong hands: a code for an owner's device, and links for Anna and for a friend."""
    anna, friend = await desk.person("Anna", "owner"), await desk.person("Bruno", "owner", password=None)
    device = await desk.shop.admin.add_device(desk.shop.tenant_id, "Telefono", "owner", "centro")
    issued = await desk.sign_in(device.device_id, anna)
    code = await shown(desk, issued.access_token)
    links = [await desk.access.invites.make(desk.shop.tenant_id, one, Actor("person", anna)) for one in (anna, friend)]
    return issued, [code, *(token_of(link.link) for link in links)]


async def shown(desk: Desk, bearer: str) -> str:
    """A code for an owner's device, shown to who bears this."""
    known = await desk.guard.now(bearer)
    assert known is not None
    return (await desk.access.pairing.make(known.principal, Wanted("owner"), NOBODY)).code


async def let_in(desk: Desk, ways: list[str]) -> list[bool]:
    """Whom of them it still lets in: the code, then links."""
    code, *links = ways

    async def ask(way: str) -> Issued:
        if way == code:
            return await desk.access.pairing.take(code, "x", None, NOBODY)
        return await desk.access.invites.take(way, Taking(), Place("x"), NOBODY)

    told = []
    for way in (code, *links):
        try:
            told.append(bool(await ask(way)))
        except AccessError:
            told.append(False)
    return told


@pytest.mark.parametrize("reason", ["another password", "a copied token", "ended by hand"])
async def test_who_is_thrown_out_made_no_way_back(desk: Desk, reason: str) -> None:
    """Neither a code, nor a link for themselves or for somebody else."""
    issued, ways = await thief(desk)
    tenant_id, person_id = desk.shop.tenant_id, issued.person_id
    assert person_id is not None
    if reason == "another password":
        at = (tenant_id, person_id, None)
        await desk.access.sign_in.change_password(at, PASSWORD, "una grappa barricata", NOBODY)
    elif reason == "a copied token":
        await desk.sessions.refresh(issued.refresh_token, ATTEMPTS[0], NOBODY)
        with pytest.raises(AccessError, match="two places"):
            await desk.sessions.refresh(issued.refresh_token, ATTEMPTS[1], NOBODY)
    else:
        await desk.sessions.end(tenant_id, issued.session_id, "ended", NOBODY)
    assert await let_in(desk, ways) == [False] * 3


async def test_who_only_signs_out_leaves_what_they_made(desk: Desk) -> None:
    """An owner who invited somebody and went home."""
    issued, ways = await thief(desk)
    await desk.sessions.sign_out(issued.refresh_token, NOBODY)
    assert await let_in(desk, ways) == [True] * 3


async def test_a_key_that_is_revoked_made_no_way_back(desk: Desk) -> None:
    """By a code, or by a link for somebody it let in; what another device made stays."""
    tenant_id, friend = desk.shop.tenant_id, await desk.person("Bruno", "owner", password=None)
    other = await desk.shop.admin.add_device(tenant_id, "Altro", "owner", "centro")
    theirs = await shown(desk, other.token)
    device = await desk.shop.admin.add_device(tenant_id, "Gestionale", "owner", "centro")
    key = await desk.keys.issue(tenant_id, device.device_id, "Gestionale", Terms(), NOBODY)
    code = await shown(desk, key.token)
    link = await desk.access.invites.make(tenant_id, friend, Actor("device", device.device_id))
    await desk.keys.revoke(tenant_id, key.key_id, NOBODY)
    assert await let_in(desk, [code, token_of(link.link)]) == [False, False]
    assert await let_in(desk, [theirs]) == [True]
