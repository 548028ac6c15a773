"""Pairing: a code for ten minutes, once, for who may, and hard to guess."""

import anyio
import pytest

from server.auth.codes import ALPHABET, SIGNS
from server.auth.errors import AccessError
from server.auth.guesses import OF_ALL, OF_ONE, STRETCH_MS
from server.auth.pairing import LIFE_MS, MOST_LIVE, MOST_OF_MAKER, MOST_OF_ONE, Code, Wanted
from server.auth.sessions import Issued
from server.ports import Principal
from tests.auth.desk import NOBODY, Desk, desk_of, token_of

ADDRESS = "192.0.2.7"


async def signed_in(desk: Desk, person_id: str | None, role: str = "terminal") -> Principal:
    """Somebody, or nobody, on a device of the shop."""
    device = await desk.shop.admin.add_device(desk.shop.tenant_id, "Cassa", role, "centro")
    known = await desk.guard.now((await desk.sign_in(device.device_id, person_id)).access_token)
    assert known is not None
    return known.principal


async def make(desk: Desk, who: Principal, wanted: Wanted) -> Code | str:
    """A code, or the code of its refusal."""
    try:
        return await desk.access.pairing.make(who, wanted, NOBODY)
    except AccessError as error:
        return error.code


async def code_of(desk: Desk, wanted: Wanted = Wanted("terminal", "porto")) -> Code:  # noqa: B008  # it is frozen
    """A code that an owner's device shows."""
    code = await make(desk, await signed_in(desk, None, "owner"), wanted)
    assert isinstance(code, Code)
    return code


async def take(desk: Desk, given: str, address: str = ADDRESS) -> Issued | str:
    """A session, or the code it is refused with."""
    try:
        return await desk.access.pairing.take(given, "Cassa 2", address, NOBODY)
    except AccessError as error:
        return error.code


@pytest.mark.parametrize("way", ["typed", "typed badly", "scanned"])
async def test_a_code_makes_a_device_once(desk: Desk, way: str) -> None:
    """Of the role and shop it was made for; of many who use it at once, one is let in."""
    code = await code_of(desk)
    given = {
        "typed": code.code,
        "typed badly": f" {code.code.lower().replace('-', ' ')}",
        "scanned": token_of(code.link),
    }
    told: list[Issued | str] = []

    async def ask(one: Desk) -> None:
        told.append(await take(one, given[way]))

    async with anyio.create_task_group() as tasks:
        for one in (desk, desk_of(desk.shop)) * 3:
            tasks.start_soon(ask, one)
    (issued,) = [one for one in told if isinstance(one, Issued)]
    assert [one for one in told if not isinstance(one, Issued)] == ["code_over"] * 5
    known = await desk.guard.now(issued.access_token)
    assert known is not None
    assert (known.principal.role, known.principal.shop, known.principal.person_id) == ("terminal", "porto", None)


async def test_a_code_is_over_after_ten_minutes(desk: Desk) -> None:
    """Typed or scanned."""
    code = await code_of(desk)
    desk.shop.clock.ms += LIFE_MS
    assert [await take(desk, given) for given in (code.code, token_of(code.link))] == ["code_over"] * 2


async def test_who_pairs_what(desk: Desk) -> None:
    """An owner everything; a clerk a device of their own, in their own shop; a till on which nobody is, nothing."""
    owner = await signed_in(desk, await desk.person("Anna", "owner"))
    clerk = await signed_in(desk, await desk.person("Bruno"))
    till, shared = await signed_in(desk, None), await signed_in(desk, None, "clerk")
    asked = [
        (owner, Wanted("terminal", "porto"), None),
        (owner, Wanted("owner", mine=True), None),
        (clerk, Wanted(mine=True), None),
        (clerk, Wanted("clerk", "porto", mine=True), "not_yours_to_pair"),
        (clerk, Wanted("owner", mine=True), "not_yours_to_pair"),
        (clerk, Wanted("clerk"), "not_yours_to_pair"),
        (till, Wanted(), "not_yours_to_pair"),
        (shared, Wanted(), "not_yours_to_pair"),
        (shared, Wanted(mine=True), "nobody_signed_in"),
        (owner, Wanted("king"), "unknown_role"),
    ]
    for who, wanted, code in asked:
        made = await make(desk, who, wanted)
        assert (None if isinstance(made, Code) else made) == code, (who.role, wanted)


async def test_ones_own_device_is_ones_own(desk: Desk) -> None:
    """It is out when they are; and who is out lets nobody in by a code that was made before."""
    person_id = await desk.person("Bruno")
    await desk.person("Anna", "owner")
    clerk = await signed_in(desk, person_id)
    first, second = [await make(desk, clerk, Wanted(mine=True)) for _ in range(2)]
    assert isinstance(first, Code)
    assert isinstance(second, Code)
    issued = await take(desk, first.code)
    assert isinstance(issued, Issued)
    assert issued.person_id == person_id
    await desk.people.disable(desk.shop.tenant_id, person_id, NOBODY)
    assert not await desk.is_let_in(issued.access_token)
    await desk.people.enable(desk.shop.tenant_id, person_id, NOBODY)
    assert await take(desk, second.code) == "code_over"


async def test_a_device_that_was_revoked_lets_nobody_in_any_more(desk: Desk) -> None:
    """The code it showed is void."""
    who = await signed_in(desk, None, "owner")
    code = await make(desk, who, Wanted())
    assert isinstance(code, Code)
    await desk.shop.admin.revoke_device(desk.shop.tenant_id, who.device_id)
    assert [await take(desk, given) for given in (code.code, token_of(code.link))] == ["code_over"] * 2


async def test_guesses_are_few_from_one_address_and_from_all(desk: Desk) -> None:
    """In all processes together, also when they come at once; scanned links go on, and so does typing, later."""
    codes = [await code_of(desk) for _ in range(3)]
    told: list[Issued | str] = []

    async def guess(one: Desk, number: int) -> None:
        address = f"2001:db8:0:{number // (OF_ONE + 2)}::{number:x}"
        told.append(await take(one, f"{number:08}", address))

    async with anyio.create_task_group() as tasks:
        for number in range(6 * (OF_ONE + 2)):
            tasks.start_soon(guess, (desk, desk_of(desk.shop))[number % 2], number)
    assert (told.count("code_over"), told.count("too_many_guesses")) == (OF_ALL, 6 * (OF_ONE + 2) - OF_ALL)
    assert await take(desk, codes[0].code) == "too_many_guesses"
    assert isinstance(await take(desk, token_of(codes[1].link)), Issued)
    desk.shop.clock.ms += STRETCH_MS - desk.shop.clock.ms % STRETCH_MS
    fresh = await code_of(desk)
    assert isinstance(await take(desk, fresh.code), Issued)


async def test_an_address_is_what_a_line_has(desk: Desk) -> None:
    """A whole short one, 64 bits of a long one, and one for all who have none; others go on."""
    code = await code_of(desk)
    for line in ("2001:db8::{:x}", "192.0.2.9", "testclient"):
        told = [await take(desk, "0000-0000", line.format(number)) for number in range(OF_ONE + 1)]
        assert (told[:OF_ONE], told[OF_ONE]) == (["code_over"] * OF_ONE, "too_many_guesses")
    assert isinstance(await take(desk, code.code, "192.0.2.10"), Issued)


async def test_right_codes_are_no_guesses(desk: Desk) -> None:
    """A shop pairs more tills in ten minutes than anybody may guess."""
    for _ in range(OF_ONE + 1):
        assert isinstance(await take(desk, (await code_of(desk)).code), Issued)


def test_nobody_hits_a_code_in_a_lifetime() -> None:
    """What the rules promise, from the very numbers that are enforced."""
    guesses_a_day = 24 * 3_600_000 // STRETCH_MS * OF_ALL
    assert guesses_a_day * MOST_LIVE / len(ALPHABET) ** SIGNS < 1e-6


async def test_few_codes_are_live_at_a_time(desk: Desk) -> None:
    """One merchant's; they are forgotten when they are too old."""
    makers = [await signed_in(desk, None, "owner") for _ in range(MOST_OF_ONE // MOST_OF_MAKER + 1)]
    asking = [who for who in makers for _ in range(MOST_OF_MAKER)][: MOST_OF_ONE + 1]
    made = [await make(desk, who, Wanted()) for who in asking]
    assert (made[-1], made.count("too_many_codes")) == ("too_many_codes", 1)
    who = makers[0]
    desk.shop.clock.ms += LIFE_MS
    assert isinstance(await make(desk, who, Wanted()), Code)


async def test_nobody_keeps_others_from_pairing(desk: Desk) -> None:
    """A clerk's newer code voids their oldest, from whatever device; the owner's is made, and good."""
    person_id, owner = await desk.person("Bruno"), await signed_in(desk, None, "owner")
    tills = [await signed_in(desk, person_id) for _ in range(2)]
    made = []
    for number in range(MOST_OF_ONE + 1):
        desk.shop.clock.ms += 1
        made.append(await make(desk, tills[number % 2], Wanted(mine=True)))
    code = await make(desk, owner, Wanted())
    assert isinstance(code, Code)
    assert isinstance(await take(desk, code.code), Issued)
    told = [await take(desk, token_of(one.link)) for one in made if isinstance(one, Code)]
    assert [isinstance(one, Issued) for one in told] == [False] * (MOST_OF_ONE - 2) + [True] * MOST_OF_MAKER


async def test_a_link_of_another_installation_is_nobodys(desk: Desk) -> None:
    """Nor one whose hash was changed by hand; what is no link is a code that is wrong."""
    code, other = await code_of(desk), desk_of(desk.shop, b"x" * 32)
    token = token_of(code.link)
    swapped = token[:40] + ("0" if token[40] != "0" else "1") + token[41:]
    for given in (swapped, token[:-1], "", "U" * 8):
        assert await take(desk, given) == "code_over"
    assert await take(other, token) == "code_over"
    assert await take(other, code.code) == "code_over"


async def test_a_till_that_comes_back_is_the_device_it_was(desk: Desk) -> None:
    """An owner pairs it as itself, revoked or not, so its queue is let in; what let it in before does so no more."""
    lost = await desk.shop.admin.add_device(desk.shop.tenant_id, "Cassa 1", "terminal", "porto")
    was_in = await desk.sign_in(lost.device_id)
    await desk.shop.admin.revoke_device(desk.shop.tenant_id, lost.device_id)
    issued = await take(desk, (await code_of(desk, Wanted(device_id=lost.device_id))).code)
    assert isinstance(issued, Issued)
    known = await desk.guard.now(issued.access_token)
    assert known is not None
    assert known.principal[:4] == (desk.shop.tenant_id, lost.device_id, "terminal", "porto")
    assert [await desk.is_let_in(bearer) for bearer in (lost.token, was_in.access_token)] == [False, False]
    assert ("device.readmit", "done", None) in await desk.audit()


async def test_only_an_owner_lets_a_device_come_back(desk: Desk) -> None:
    """And only one of their own merchant's."""
    clerk, owner = await signed_in(desk, await desk.person("Bruno")), await signed_in(desk, None, "owner")
    other = await desk.shop.admin.add_device(
        await desk.shop.admin.add_tenant("Un altro"), "Cassa", "terminal", "centro"
    )
    assert await make(desk, clerk, Wanted(mine=True, device_id=clerk.device_id)) == "not_yours_to_pair"
    assert await make(desk, owner, Wanted(device_id=other.device_id)) == "no_such_device"
