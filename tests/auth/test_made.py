"""What an owner made: it lets in as long as they are one."""

import pytest

from server.audit import Actor
from server.auth.keys import DAY_MS, Terms
from server.auth.pairing import Wanted
from server.auth.people import Change
from tests.auth.desk import NOBODY, Desk


async def pair(desk: Desk, bearer: str, wanted: Wanted) -> str:
    """The bearer of a device that was paired by a code of whoever bears this."""
    known = await desk.guard.now(bearer)
    assert known is not None
    code = await desk.access.pairing.make(known.principal, wanted, NOBODY)
    return (await desk.access.pairing.take(code.code, "Cassa", None, NOBODY)).access_token


@pytest.mark.parametrize("how", ["disabled", "a clerk"])
async def test_an_owner_who_is_one_no_more_left_no_way_in(desk: Desk, how: str) -> None:
    """By a key, its successor, a key that it made, or an owner's device; a till and others' keys go on."""
    tenant_id = desk.shop.tenant_id
    anna, _ = await desk.person("Anna", "owner"), await desk.person("Carla", "owner")
    by_anna = Actor("person", anna)
    phone = await desk.shop.admin.add_device(tenant_id, "Telefono", "owner", "centro")
    bearer = (await desk.sign_in(phone.device_id, anna)).access_token
    key = await desk.keys.issue(tenant_id, phone.device_id, "Gestionale", Terms(), by_anna)
    following = await desk.keys.rotate(tenant_id, key.key_id, DAY_MS, Actor("device", phone.device_id))
    further = await desk.keys.issue(tenant_id, phone.device_id, "Altro", Terms(), Actor("device", phone.device_id))
    owners, till = await pair(desk, bearer, Wanted("owner")), await pair(desk, bearer, Wanted())
    theirs = [key.token, following.token, further.token, owners]
    assert [await desk.is_let_in(one) for one in (*theirs, till, phone.token)] == [True] * 6
    if how == "disabled":
        await desk.people.disable(tenant_id, anna, NOBODY)
    else:
        await desk.people.change(tenant_id, anna, Change(role="clerk"), NOBODY)
    assert [await desk.is_let_in(one) for one in theirs] == [False] * 4
    assert [await desk.is_let_in(one) for one in (till, phone.token)] == [True, True]


async def test_an_owner_pairs_a_till_unless_told(desk: Desk) -> None:
    """Their own device is of their own role."""
    anna = await desk.person("Anna", "owner")
    phone = await desk.shop.admin.add_device(desk.shop.tenant_id, "Telefono", "owner", "centro")
    bearer = (await desk.sign_in(phone.device_id, anna)).access_token
    roles = []
    for wanted in (Wanted(), Wanted(mine=True)):
        known = await desk.guard.now(await pair(desk, bearer, wanted))
        assert known is not None
        roles.append(known.principal.role)
    assert roles == ["terminal", "owner"]
