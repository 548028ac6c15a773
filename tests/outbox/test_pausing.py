"""A paused account: what waits, waits; resumed, it goes on at once, at the account's rate."""

import anyio
import pytest

from server.credentials.endpoints import EndpointError, pick
from server.credentials.pausing import pause, resume
from server.ports import Answer, Call
from server.storage.writer import UnknownTenantError
from tests.outbox.outlet import Outlet, Scripted

NOBODY = "00000000-0000-7000-8000-000000000000"


async def test_what_is_for_a_paused_account_waits(outlet: Outlet) -> None:
    """And what is for another goes out as ever."""
    paused, _awake = await outlet.bind(), await outlet.bind()
    assert await pause(outlet.writer, outlet.tenant_id, paused)
    await outlet.sell(3)
    provider = Scripted()
    await outlet.relay(provider).drain()
    assert await outlet.states() == {"delivered": 3, "pending": 3}
    assert {call.account.endpoint_id for call in provider.calls} == {_awake}


async def test_resumed_it_goes_on_at_once(outlet: Outlet) -> None:
    """A relay that rests is woken by it, wherever the command ran."""
    endpoint = await outlet.bind()
    await pause(outlet.writer, outlet.tenant_id, endpoint)
    await outlet.sell()
    delivered = anyio.Event()

    def answer(_call: Call) -> Answer:
        delivered.set()
        return Answer(200)

    relay = outlet.relay(Scripted(answer), watch=True)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(relay.run)
            with anyio.move_on_after(0.05) as waiting:
                await delivered.wait()
            assert waiting.cancelled_caught
            await resume(outlet.writer, outlet.tenant_id, endpoint)
            await delivered.wait()
            relay.stop()
    assert await outlet.states() == {"delivered": 1}


async def test_the_backlog_goes_out_at_the_rate(outlet: Outlet) -> None:
    """And not in a herd: two a second, as before the pause."""
    endpoint = await outlet.bind(rate=2, burst=1)
    await pause(outlet.writer, outlet.tenant_id, endpoint)
    await outlet.sell(6)
    await resume(outlet.writer, outlet.tenant_id, endpoint)
    provider, sent = Scripted(), list[int]()
    for _half_second in range(4):
        await outlet.relay(provider).drain()
        sent.append(len(provider.calls))
        outlet.clock.ms += 500
    assert sent == [1, 2, 3, 4]


async def test_a_pause_costs_nobody_his_schedule(outlet: Outlet) -> None:
    """What had failed before it is tried anew, and not given up because the pause was long."""
    endpoint = await outlet.bind()
    await outlet.sell()
    provider = Scripted(lambda _call: Answer(503))
    await outlet.relay(provider).drain()
    await pause(outlet.writer, outlet.tenant_id, endpoint)
    outlet.clock.ms += 5 * 86_400_000
    await resume(outlet.writer, outlet.tenant_id, endpoint)
    await outlet.relay(provider).drain()
    (row,) = await outlet.rows()
    assert (row.state, row.failures, len(provider.calls)) == ("pending", 1, 2)


async def test_the_wish_to_be_left_alone_outlives_a_pause(outlet: Outlet) -> None:
    """Somebody else said so."""
    endpoint = await outlet.bind()
    await outlet.sell()
    provider = Scripted(lambda _call: Answer(429, retry_after="60"))
    await outlet.relay(provider).drain()
    await pause(outlet.writer, outlet.tenant_id, endpoint)
    await resume(outlet.writer, outlet.tenant_id, endpoint)
    await outlet.relay(provider).drain()
    assert len(provider.calls) == 1


async def test_twice_is_once_and_another_tenants_is_nobodys(outlet: Outlet) -> None:
    """Neither changes anything."""
    endpoint = await outlet.bind()
    assert await pause(outlet.writer, outlet.tenant_id, endpoint)
    assert not await pause(outlet.writer, outlet.tenant_id, endpoint)
    with pytest.raises(UnknownTenantError):
        await resume(outlet.writer, NOBODY, endpoint)
    assert await resume(outlet.writer, outlet.tenant_id, endpoint)
    assert not await resume(outlet.writer, outlet.tenant_id, endpoint)


async def test_an_account_is_called_by_name_or_id(outlet: Outlet) -> None:
    """A name that several have is none."""
    first = await outlet.bind()
    assert (await pick(outlet.database, outlet.tenant_id, "test")).endpoint_id == first
    assert (await pick(outlet.database, outlet.tenant_id, first.upper())).endpoint_id == first
    await outlet.bind()
    for called, says in (("test", "several accounts"), ("nobody", "there is no account")):
        with pytest.raises(EndpointError, match=says):
            await pick(outlet.database, outlet.tenant_id, called)
    with pytest.raises(EndpointError):
        await pick(outlet.database, NOBODY, first)
