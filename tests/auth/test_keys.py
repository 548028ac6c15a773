"""API keys: narrowed, replaced with an overlap, due by a schedule, used, revoked."""

import pytest

from server.auth.errors import AccessError
from server.auth.keys import DAY_MS, HOUR_MS, Terms
from sync.clock import encode_instant
from tests.auth.desk import NOBODY, Desk


async def device(desk: Desk) -> str:
    """A till's id."""
    return (await desk.shop.admin.add_device(desk.shop.tenant_id, "Cassa 1", "terminal", "centro")).device_id


async def states(desk: Desk) -> dict[str, str]:
    """How each key stands."""
    return {key.name: key.state(desk.shop.clock.ms) for key in await desk.keys.list(desk.shop.tenant_id)}


async def test_a_rotated_key_and_its_successor_are_both_good_for_the_overlap(desk: Desk) -> None:
    """Then the old one is out, whoever forgot to change it."""
    tenant_id, device_id = desk.shop.tenant_id, await device(desk)
    old = await desk.keys.issue(tenant_id, device_id, "Gestionale", Terms(["push"], rotate_days=90), NOBODY)
    desk.shop.clock.ms += 91 * DAY_MS
    assert (await states(desk))["Gestionale"] == "due"
    new = await desk.keys.rotate(tenant_id, old.key_id, 7 * DAY_MS, NOBODY)
    assert [await desk.is_let_in(one.token) for one in (old, new)] == [True, True]
    listed = {key.key_id: key for key in await desk.keys.list(tenant_id)}
    assert [listed[one.key_id].state(desk.shop.clock.ms) for one in (old, new)] == ["leaving", "good"]
    assert listed[new.key_id].permissions == listed[old.key_id].permissions == '["push"]'
    desk.shop.clock.ms += 7 * DAY_MS
    assert [await desk.is_let_in(one.token) for one in (old, new)] == [False, True]
    desk.shop.clock.ms += 84 * DAY_MS
    assert {key.key_id: key.state(desk.shop.clock.ms) for key in await desk.keys.list(tenant_id)}[new.key_id] == "due"


async def test_a_key_is_rotated_once_and_an_expiry_is_never_put_off(desk: Desk) -> None:
    """Its successor is what is rotated next; a key that has a day left keeps that day."""
    tenant_id, device_id = desk.shop.tenant_id, await device(desk)
    old = await desk.keys.issue(tenant_id, device_id, "Gestionale", Terms(expires_days=1), NOBODY)
    await desk.keys.rotate(tenant_id, old.key_id, 7 * DAY_MS, NOBODY)
    with pytest.raises(AccessError, match="replaced or revoked"):
        await desk.keys.rotate(tenant_id, old.key_id, 7 * DAY_MS, NOBODY)
    desk.shop.clock.ms += DAY_MS
    assert not await desk.is_let_in(old.token)


async def test_a_successor_expires_after_as_long_as_its_predecessor_was_to(desk: Desk) -> None:
    """A key for a month is one for a month, however often it is replaced."""
    tenant_id, device_id = desk.shop.tenant_id, await device(desk)
    key = await desk.keys.issue(tenant_id, device_id, "Gestionale", Terms(expires_days=30), NOBODY)
    for _ in range(2):
        desk.shop.clock.ms += 20 * DAY_MS
        key = await desk.keys.rotate(tenant_id, key.key_id, DAY_MS, NOBODY)
        assert key.expires_at == encode_instant(desk.shop.clock.ms + 30 * DAY_MS)
    assert await desk.is_let_in(key.token)
    desk.shop.clock.ms += 30 * DAY_MS
    assert not await desk.is_let_in(key.token)


async def test_a_revoked_key_is_out_at_once_and_its_device_goes_on(desk: Desk) -> None:
    """With another key."""
    shop = desk.shop
    till = await shop.admin.add_device(shop.tenant_id, "Cassa 1", "terminal", "centro")
    other = await desk.keys.issue(shop.tenant_id, till.device_id, "Gestionale", Terms(), NOBODY)
    await desk.keys.revoke(shop.tenant_id, other.key_id, NOBODY)
    assert [await desk.is_let_in(one) for one in (other.token, till.token)] == [False, True]
    with pytest.raises(AccessError, match="revoked before"):
        await desk.keys.revoke(shop.tenant_id, other.key_id, NOBODY)
    assert ("key.revoke", "done", None) in await desk.audit()


async def test_the_last_use_is_kept_to_the_hour(desk: Desk) -> None:
    """One write an hour, however often it is used."""
    tenant_id, device_id = desk.shop.tenant_id, await device(desk)
    key = await desk.keys.issue(tenant_id, device_id, "Gestionale", Terms(), NOBODY)
    seen = []
    for moved_ms in (0, HOUR_MS - 1, 1):
        desk.shop.clock.ms += moved_ms
        await desk.is_let_in(key.token)
        (listed,) = [one for one in await desk.keys.list(tenant_id) if one.key_id == key.key_id]
        seen.append(listed.last_used_at)
    assert seen[0] == seen[1] != seen[2]


async def test_what_cannot_be_given_is_refused_by_name(desk: Desk) -> None:
    """An unknown permission, an unknown device, an unknown merchant."""
    shop, device_id = desk.shop, await device(desk)
    for tenant, owner, terms, code in (
        (shop.tenant_id, device_id, Terms(["fly"]), "unknown_permission"),
        (shop.tenant_id, shop.new_id(), Terms(), "no_such_device"),
        (shop.new_id(), device_id, Terms(), "no_such_tenant"),
    ):
        with pytest.raises(AccessError) as refusal:
            await desk.keys.issue(tenant, owner, "Gestionale", terms, NOBODY)
        assert refusal.value.code == code


async def test_a_key_opens_no_other_merchants_door(desk: Desk) -> None:
    """Its text names its merchant: with another's name in it, it is nobody's."""
    shop = desk.shop
    till = await shop.admin.add_device(shop.tenant_id, "Cassa 1", "terminal", "centro")
    other = await shop.admin.add_tenant("Un altro")
    assert not await desk.is_let_in(till.token.replace(shop.tenant_id.replace("-", ""), other.replace("-", "")))


async def test_a_successor_signs_by_a_secret_of_its_own_and_shows_the_same_certificate(desk: Desk) -> None:
    """On the same terms; secrets are shown once and stored sealed."""
    tenant_id, device_id = desk.shop.tenant_id, await device(desk)
    old = await desk.keys.issue(tenant_id, device_id, "Gestionale", Terms(signed=True, certificate="a" * 64), NOBODY)
    new = await desk.keys.rotate(tenant_id, old.key_id, DAY_MS, NOBODY)
    assert None not in {old.signing_secret, new.signing_secret}
    assert old.signing_secret != new.signing_secret
    listed = await desk.keys.list(tenant_id)
    assert [(key.signed, key.certificate) for key in listed if key.name == "Gestionale"] == [(True, "a" * 64)] * 2
    known = [await desk.guard.now(one.token) for one in (old, new)]
    assert all(one and one.signing and one.signing.startswith("v2.") for one in known)


async def test_what_is_pressing_is_told_of(desk: Desk) -> None:
    """Due, soon to expire, or leaving and still used; not what is good, gone, or left alone."""
    tenant_id, device_id = desk.shop.tenant_id, await device(desk)
    made = {
        name: await desk.keys.issue(tenant_id, device_id, name, terms, NOBODY)
        for name, terms in {
            "good": Terms(expires_days=90, rotate_days=90),
            "due": Terms(rotate_days=20),
            "ends": Terms(expires_days=30),
            "ended": Terms(expires_days=20),
            "used": Terms(),
            "left": Terms(),
        }.items()
    }
    desk.shop.clock.ms += 20 * DAY_MS
    for name in ("used", "left"):
        await desk.keys.rotate(tenant_id, made[name].key_id, 7 * DAY_MS, NOBODY)
    await desk.is_let_in(made["used"].token)
    listed = {key.key_id: key for key in await desk.keys.list(tenant_id)}
    pressing = {name for name, one in made.items() if listed[one.key_id].is_pressing(desk.shop.clock.ms)}
    assert pressing == {"due", "ends", "used"}
