"""Passwords: slow to guess, the same for who is nobody, and never a reason for the shop to stand still."""

import anyio
import pytest
from argon2 import PasswordHasher

from server.auth.entrance import Place, Proven
from server.auth.errors import AccessError
from server.auth.lockout import FREE, delay_s
from server.auth.passwords import MOST_WAITING, Passwords
from server.auth.sessions import Issued
from server.auth.sign_in import Shown
from server.storage.database import Tx
from server.storage.statement import Statement
from tests.auth.desk import NOBODY, PASSWORD, Desk, desk_of

_STORED = Statement("SELECT password, failures FROM people WHERE tenant_id = :tenant_id")
WRONG = "un caffè corto"


async def sign_in(
    desk: Desk, password: str = PASSWORD, login: str = "anna", place: Place | None = None
) -> Issued | str:
    """A session, or the code it is refused with."""
    tenant_id = desk.shop.tenant_id
    try:
        shown = Shown(login, password)
        return await desk.access.sign_in.by_password(tenant_id, shown, place or Place("Telefono"), NOBODY)
    except AccessError as error:
        return error.code


async def stored(desk: Desk) -> tuple[str, int]:
    """The one person's hash and count."""

    async def work(tx: Tx) -> tuple[str, int]:
        ((password, failures),) = await tx.fetch(_STORED, (desk.shop.tenant_id,))
        return password, failures

    return await desk.shop.database.read(work)


async def wrong(desk: Desk) -> int:
    """How many passwords were compared, and wrong, by the audit."""
    return (await desk.audit()).count(("session.open", "refused", "wrong_password"))


async def test_a_right_password_gives_a_device_of_ones_own_and_a_session(desk: Desk) -> None:
    """Of one's role and shop; however the login is typed."""
    person_id = await desk.person("Anna", shop="porto")
    issued = await sign_in(desk, login=" ANNA")
    assert isinstance(issued, Issued)
    known = await desk.guard.now(issued.access_token)
    assert known is not None
    assert (known.principal.person_id, known.principal.role, known.principal.shop) == (person_id, "clerk", "porto")
    (device,) = [one for one in await desk.shop.admin.devices(desk.shop.tenant_id) if one.device_id == issued.device_id]
    assert (device.name, device.role, device.shop) == ("Telefono", "clerk", "porto")


async def test_what_is_wrong_is_not_told(desk: Desk) -> None:
    """A wrong password, a name and a merchant that are nobody's, somebody disabled, somebody without a password."""
    await desk.person("Anna", "owner")
    await desk.person("Bruno", password=None)
    carla = await desk.person("Carla")
    await desk.people.disable(desk.shop.tenant_id, carla, NOBODY)
    codes = [await sign_in(desk, WRONG)]
    codes += [await sign_in(desk, login=login) for login in ("bruno", "carla", "nobody", "an\u0430")]
    for tenant_id in (None, desk.shop.new_id()):
        with pytest.raises(AccessError) as refusal:
            await desk.access.sign_in.by_password(tenant_id, Shown("anna", PASSWORD), Place("Telefono"), NOBODY)
        codes.append(refusal.value.code)
    assert codes == ["not_signed_in"] * 7
    assert await wrong(desk) == 2


async def test_who_guesses_waits_longer_each_time(desk: Desk) -> None:
    """A right password during that time is refused too, and whoever comes after it is let in and begins anew."""
    await desk.person("Anna")
    assert [delay_s(count) for count in (1, FREE, FREE + 1, FREE + 2, FREE + 11, FREE + 12, 10**6)] == [
        *(0, 0, 2, 4, 2048, 3600, 3600),
    ]
    for _ in range(FREE + 1):
        assert await sign_in(desk, WRONG) == "not_signed_in"
    assert await sign_in(desk) == "not_signed_in"
    desk.shop.clock.ms += 2000 - 1
    assert await sign_in(desk) == "not_signed_in"
    desk.shop.clock.ms += 1
    assert isinstance(await sign_in(desk), Issued)
    assert (await stored(desk))[1] == 0


async def test_a_clock_that_was_ahead_locks_nobody_out_for_years(desk: Desk) -> None:
    """When it is right again, so is the lock."""
    await desk.person("Anna")
    ahead_ms = 3 * 365 * 24 * 3_600_000
    desk.shop.clock.ms += ahead_ms
    for _ in range(FREE + 1):
        assert await sign_in(desk, WRONG) == "not_signed_in"
    desk.shop.clock.ms -= ahead_ms
    assert isinstance(await sign_in(desk), Issued)


async def test_a_right_password_is_no_wrong_try_on_a_device_that_is_not_ones_own(desk: Desk) -> None:
    """A browser that names a device of before is told so, as often as it comes, and is not locked out."""
    await desk.person("Anna")
    elsewhere = Place("Telefono", named=desk.shop.new_id())
    for _ in range(FREE + 2):
        assert await sign_in(desk, place=elsewhere) == "not_this_device"
    assert (await stored(desk))[1] == 0
    assert isinstance(await sign_in(desk), Issued)


async def test_guesses_that_come_at_once_are_counted_like_guesses_in_a_row(desk: Desk) -> None:
    """In two processes: of thirty at once no more are looked at than of thirty one after the other."""
    await desk.person("Anna")
    processes = (desk, desk_of(desk.shop))
    async with anyio.create_task_group() as tasks:
        for number in range(30):
            tasks.start_soon(sign_in, processes[number % 2], WRONG)
    assert await wrong(desk) == FREE + 1
    assert await sign_in(processes[1]) == "not_signed_in"


async def test_one_signs_in_on_a_device_that_is_proven_or_was_ones_own(desk: Desk) -> None:
    """Not on one that is only named, not on another shop's, not on another merchant's."""
    tenant_id = desk.shop.tenant_id
    await desk.person("Anna")
    till = await desk.shop.admin.add_device(tenant_id, "Cassa", "terminal", "centro")
    porto = await desk.shop.admin.add_device(tenant_id, "Cassa", "terminal", "porto")

    def at(device_id: str, tenant: str = tenant_id) -> Place:
        return Place("x", proven=Proven(tenant, device_id))

    assert await sign_in(desk, place=Place("x", named=till.device_id)) == "not_this_device"
    assert await sign_in(desk, place=at(porto.device_id)) == "other_shop"
    assert await sign_in(desk, place=at(till.device_id, desk.shop.new_id())) == "not_this_device"
    assert await sign_in(desk, place=at(till.device_id)._replace(named=porto.device_id)) == "not_this_device"
    issued = await sign_in(desk, place=at(till.device_id))
    assert isinstance(issued, Issued)
    assert issued.device_id == till.device_id
    again = await sign_in(desk, place=Place("x", named=till.device_id))
    assert isinstance(again, Issued)
    assert again.device_id == till.device_id
    await desk.shop.admin.revoke_device(tenant_id, till.device_id)
    assert await sign_in(desk, place=Place("x", named=till.device_id)) == "not_this_device"


async def test_another_password_ends_the_other_sessions(desk: Desk) -> None:
    """The old one is needed, and is none from then on."""
    person_id = await desk.person("Anna")
    here, elsewhere = [await sign_in(desk) for _ in range(2)]
    assert isinstance(here, Issued)
    assert isinstance(elsewhere, Issued)
    at = (desk.shop.tenant_id, person_id, here.session_id)
    with pytest.raises(AccessError, match="not right"):
        await desk.access.sign_in.change_password(at, WRONG, "una grappa barricata", NOBODY)
    await desk.access.sign_in.change_password(at, PASSWORD, "una grappa barricata", NOBODY)
    assert [await desk.is_let_in(one.access_token) for one in (here, elsewhere)] == [True, False]
    assert await sign_in(desk) == "not_signed_in"
    assert isinstance(await sign_in(desk, "una grappa barricata"), Issued)


@pytest.mark.parametrize("weak", ["corta", "Password123", "x" * 201, "1234567890"])
async def test_a_weak_password_is_refused(weak: str) -> None:
    """Short, huge, or one that everybody tries first; nothing else is asked of it."""
    with pytest.raises(AccessError) as refusal:
        await Passwords().hash(weak)
    assert refusal.value.code == "weak_password"


async def test_a_password_that_was_hashed_otherwise_is_hashed_anew(desk: Desk) -> None:
    """When it is next shown to be right."""
    await desk.person("Anna")
    before, _ = await stored(desk)
    dearer = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    desk.access.sign_in._passwords = dearer
    assert isinstance(await sign_in(desk), Issued)
    after, _ = await stored(desk)
    assert (after != before, "m=16,t=2" in after) == (True, True)
    assert isinstance(await sign_in(desk), Issued)
    assert (await stored(desk))[0] == after


async def test_a_flood_of_sign_ins_is_told_to_come_again() -> None:
    """A line is served, the rest is refused at once; what is served is what was asked."""
    passwords, told = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)), list[bool | str]()

    async def ask() -> None:
        try:
            told.append((await passwords.verify(None, PASSWORD)).good)
        except AccessError as error:
            told.append(error.code)

    async with anyio.create_task_group() as tasks:
        for _ in range(MOST_WAITING + 5):
            tasks.start_soon(ask)
    assert (told.count("busy"), told.count(False)) == (5, MOST_WAITING)
