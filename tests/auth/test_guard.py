"""The guard: who bears what, as of when; revoked is out at the very next request."""

import anyio

from server.auth.guard import Guard, Known
from server.auth.keys import Terms
from server.storage.writer import Job, Writing
from tests.auth.desk import NOBODY, Desk, desk_of
from tests.support.counted_database import CountedDatabase


async def test_a_token_is_looked_up_once_however_many_ask(desk: Desk) -> None:
    """And not again at the same revision of its tenant, whatever the clock says."""
    shop = desk.shop
    till = await shop.admin.add_device(shop.tenant_id, "Cassa", "terminal", "centro")
    counted = CountedDatabase(shop.database)
    guard = Guard(counted, desk.signer, desk.keys, shop.clock)
    found: list[Known | None] = []

    async def ask() -> None:
        found.append(await guard.remembered(till.token))

    async with anyio.create_task_group() as tasks:
        for _ in range(40):
            tasks.start_soon(ask)
    assert (len(found), {one and one.principal.device_id for one in found}, counted.reads) == (40, {till.device_id}, 1)
    shop.clock.ms += 3_600_000
    assert await guard.as_of(till.token, 1) is not None
    assert counted.reads == 1
    found.clear()

    async def ask_anew() -> None:
        found.append(await guard.now(till.token))

    async with anyio.create_task_group() as tasks:
        for _ in range(40):
            tasks.start_soon(ask_anew)
    assert (len(found), {one and one.principal.device_id for one in found}) == (40, {till.device_id})
    assert counted.reads <= 3
    counted.reads = 2
    await shop.admin.revoke_device(shop.tenant_id, till.device_id)
    assert await guard.as_of(till.token, 1) is not None
    assert await guard.as_of(till.token, 2) is None
    assert await guard.remembered(till.token) is None


async def test_what_was_looked_up_at_a_later_revision_does_not_hold_at_an_earlier_one(desk: Desk) -> None:
    """A backup that is put back takes the revisions back: a device revoked after that is out at once."""
    shop = desk.shop
    till = await shop.admin.add_device(shop.tenant_id, "Cassa", "terminal", "centro")
    for name in ("Tablet", "Telefono"):
        await shop.admin.add_device(shop.tenant_id, name, "clerk", "centro")
    assert await desk.guard.now(till.token) is not None

    async def put_back(writing: Writing) -> None:
        writing.tenant(shop.tenant_id).revision = 1

    await shop.writer.submit(Job([shop.tenant_id], put_back))
    await shop.admin.revoke_device(shop.tenant_id, till.device_id)
    assert await desk.guard.as_of(till.token, 2) is None


async def test_an_access_token_lets_in_until_its_end_and_no_longer(desk: Desk) -> None:
    """Also where it is remembered."""
    shop = desk.shop
    till = await shop.admin.add_device(shop.tenant_id, "Cassa", "terminal", "centro")
    issued = await desk.sign_in(till.device_id)
    known = await desk.guard.remembered(issued.access_token)
    assert known is not None
    assert (known.principal.device_id, known.principal.role) == (till.device_id, "terminal")
    shop.clock.ms += 10 * 60 * 1000
    assert await desk.guard.remembered(issued.access_token) is None
    assert await desk.guard.remembered(till.token) is not None


async def test_another_process_learns_of_a_sign_out_by_the_revision(desk: Desk) -> None:
    """It remembers the session, and looks again because the tenant moved."""
    shop, other = desk.shop, desk_of(desk.shop)
    till = await shop.admin.add_device(shop.tenant_id, "Cassa", "terminal", "centro")
    issued = await desk.sign_in(till.device_id)
    known = await other.guard.remembered(issued.access_token)
    assert known is not None
    await desk.sessions.sign_out(issued.refresh_token, NOBODY)
    revision = (known.principal.revision or 0) + 1
    assert await other.guard.as_of(issued.access_token, revision) is None


async def test_a_key_may_what_it_was_given(desk: Desk) -> None:
    """Narrowed at its birth; its role is the device's."""
    shop = desk.shop
    till = await shop.admin.add_device(shop.tenant_id, "Cassa", "owner", "centro")
    made = await desk.keys.issue(shop.tenant_id, till.device_id, "Gestionale", Terms(["pull"]), NOBODY)
    known = await desk.guard.now(made.token)
    assert known is not None
    assert [known.principal.may(one) for one in ("push", "pull", "watch", "manage")] == [False, True, False, False]
    assert known.principal.role == "owner"
