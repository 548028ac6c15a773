"""The gate before an endpoint, shared through the database: one probe at a time, no attempt lost to waiting."""

from functools import partial
from typing import Any

import pytest

from server.credentials.endpoints import Endpoints
from server.credentials.vault import Vault
from server.outbox.claim import Claimed, Lease, Wanted, claim
from server.outbox.due import due_endpoints
from server.ports import Answer
from server.resilience.entry import Look
from server.storage.writer import Job
from sync.clock import decode_instant, encode_instant
from tests.outbox.outlet import Outlet, Scripted

HOUR_MS = 3_600_000
QUICK: dict[str, Any] = {"breaker_failures": 3, "breaker_pause": 2, "breaker_cap": 60}


async def take(outlet: Outlet, endpoint: str, limit: int = 8, owner: str = "one") -> list[Claimed]:
    """Claim for half a minute."""
    wanted = [Wanted(outlet.tenant_id, endpoint, limit)]
    return (await outlet.writer.submit(Job([], partial(claim, wanted, Lease(owner, 30_000))))).deliveries


async def ready_ms(outlet: Outlet, endpoint: str) -> int:
    """When the endpoint is looked at next."""
    look = Look(outlet.clock.ms, 30_000)
    due = {one.endpoint_id: one.due_at for one in await outlet.database.read(partial(due_endpoints, look=look))}
    return decode_instant(due[endpoint])


async def opened(outlet: Outlet, provider: Scripted, **limits: Any) -> str:
    """An endpoint whose breaker just opened, with rows left to send."""
    endpoint = await outlet.bind(**{**QUICK, **limits})
    await outlet.sell(20)
    provider.answer = lambda _call: Answer(503)
    await outlet.relay(provider, per_endpoint=3).drain()
    assert (await outlet.fetch("SELECT state FROM gates"))[0][0] == "open"
    return endpoint


async def test_an_open_breaker_lets_nothing_through_and_costs_no_attempt(outlet: Outlet) -> None:
    """What waits for it was not tried."""
    provider = Scripted()
    endpoint = await opened(outlet, provider)
    assert len(provider.calls) == 3
    outlet.clock.ms = await ready_ms(outlet, endpoint) - 1
    await outlet.relay(provider).drain()
    assert len(provider.calls) == 3
    assert sum(row.attempts for row in await outlet.rows()) == 3


async def test_after_the_pause_one_probe_closes_it_for_all(outlet: Outlet) -> None:
    """It worked, and what waited goes out."""
    provider = Scripted()
    endpoint = await opened(outlet, provider)
    provider.answer = provider.take
    outlet.clock.ms = await ready_ms(outlet, endpoint)
    (probe,) = await take(outlet, endpoint)
    assert await take(outlet, endpoint, owner="two") == []
    await outlet.relay(provider)._deliverer.deliver(probe)
    await outlet.relay(provider, owner="two").drain()
    assert len(provider.effects) >= 17  # the others have a pause of their own


async def test_a_breaker_that_closes_is_told_to_relays_elsewhere(outlet: Outlet) -> None:
    """They would wait for the probe's lease, for all they know: its close counts as a change of the tenant's."""
    provider = Scripted()
    endpoint = await opened(outlet, provider)
    provider.answer = provider.take
    outlet.clock.ms = await ready_ms(outlet, endpoint)
    (probe,) = await take(outlet, endpoint)
    ((before,),) = await outlet.fetch("SELECT revision FROM tenants")
    await outlet.relay(provider)._deliverer.deliver(probe)
    ((after,),) = await outlet.fetch("SELECT revision FROM tenants")
    assert after == before + 1


async def test_an_hour_of_outage_is_asked_about_once_a_minute(outlet: Outlet) -> None:
    """Not by twenty rows each on its own schedule."""
    provider = Scripted()
    endpoint = await opened(outlet, provider)
    begun_ms = outlet.clock.ms
    while outlet.clock.ms < begun_ms + HOUR_MS:
        before = len(provider.calls)
        outlet.clock.ms = await ready_ms(outlet, endpoint)
        await outlet.relay(provider).drain()
        assert len(provider.calls) == before + 1
    assert len(provider.calls) < 80


async def test_a_dead_prober_is_followed_by_another(outlet: Outlet) -> None:
    """When its lease is over; what it says later is not heard."""
    provider = Scripted()
    endpoint = await opened(outlet, provider)
    outlet.clock.ms = await ready_ms(outlet, endpoint)
    (first,) = await take(outlet, endpoint)
    outlet.clock.ms += 30_000
    (second,) = await take(outlet, endpoint, owner="two")
    assert second.endpoint.probe == (first.endpoint.probe or 0) + 1
    await outlet.relay(provider)._deliverer.deliver(first)
    ((state, fence),) = await outlet.fetch("SELECT state, fence FROM gates")
    assert (state, fence) == ("half_open", second.endpoint.probe)


async def test_a_probe_given_back_unsent_frees_its_place(outlet: Outlet) -> None:
    """A relay that stops hands it on at once."""
    provider = Scripted()
    endpoint = await opened(outlet, provider)
    outlet.clock.ms = await ready_ms(outlet, endpoint)
    (probe,) = await take(outlet, endpoint)
    await outlet.relay(provider)._deliverer.settler.release(probe, outlet.clock.ms, sent=False)
    assert len(await take(outlet, endpoint, owner="two")) == 1


async def test_what_ends_without_a_call_is_no_probe_and_no_contact(outlet: Outlet) -> None:
    """After a long outage the late ones end at once, and the live one behind them is the probe."""
    provider = Scripted()
    endpoint = await opened(outlet, provider)
    provider.answer = provider.take
    contact = "SELECT failed_at, succeeded_at, error FROM contacts"
    before = await outlet.fetch(contact)
    outlet.clock.ms = await ready_ms(outlet, endpoint)
    too_late = encode_instant(outlet.clock.ms - 1)
    await outlet.change_rows("UPDATE outbox SET ambiguous = false, not_after = :late", too_late)
    await outlet.relay(provider).drain()
    assert await outlet.fetch(contact) == before
    assert await outlet.states() == {"dead": 20}
    (live,) = await outlet.sell()
    await outlet.relay(provider).drain()
    assert [call.record_id for call in provider.calls[3:]] == [live]


async def test_a_refused_request_and_a_throttled_one_open_nothing(outlet: Outlet) -> None:
    """Twenty dead letters are twenty bad requests, not a bad provider."""
    await outlet.bind(**QUICK)
    for status in (400, 429):
        await outlet.sell(20)
        await outlet.relay(Scripted(lambda _call, status=status: Answer(status))).drain()  # type: ignore[misc]
    assert {row.attempts for row in await outlet.rows()} == {1}


async def test_a_claim_without_limits_asks_no_gate(outlet: Outlet) -> None:
    """While all is well there is no row, and neither claim nor settle says one statement more."""
    await outlet.bind()
    await outlet.sell(20)
    await outlet.relay(Scripted()).drain()
    assert await outlet.states() == {"delivered": 20}
    assert await outlet.fetch("SELECT state FROM gates") == []


async def test_a_list_of_accounts_shows_their_gates(outlet: Outlet) -> None:
    """Which breaker is open, how often it failed, and until when it holds."""
    endpoints = Endpoints(outlet.database, outlet.writer, Vault.of(b"\x07" * 32), {}, (), outlet.new_id)
    endpoint, well = await opened(outlet, Scripted()), await outlet.bind()
    lines = {line.endpoint_id: line for line in await endpoints.list(outlet.tenant_id)}
    assert (lines[endpoint].breaker, lines[endpoint].failures) == ("open", 1)
    assert lines[endpoint].not_before == encode_instant(await ready_ms(outlet, endpoint))
    assert (lines[well].breaker, lines[well].not_before) == ("closed", None)


DAY_MS = 24 * HOUR_MS


@pytest.mark.parametrize("limits", [{"rate": 10.0}, {"window_limit": 1, "window": 10}])
async def test_a_clock_that_is_set_back_holds_no_limited_endpoint_up(outlet: Outlet, limits: dict[str, Any]) -> None:
    """When it may be asked again was stored by the wrong clock; no limit of its makes anybody wait for a day."""
    await outlet.bind(**limits)
    provider = Scripted()
    outlet.clock.ms += DAY_MS
    await outlet.sell(2)
    await outlet.relay(provider, per_endpoint=1).drain()
    sent = len(provider.calls)
    outlet.clock.ms -= DAY_MS
    await outlet.sell(1)
    for _ in range(2):  # the limiter notes what it cut, and lets the next one through soon
        await outlet.relay(provider).drain()
        outlet.clock.ms += 200
    assert len(provider.calls) > sent


async def test_a_clock_that_is_set_back_keeps_no_breaker_open(outlet: Outlet) -> None:
    """Its pause was to end tomorrow: the next call is the probe."""
    provider = Scripted()
    outlet.clock.ms += DAY_MS
    await opened(outlet, provider)
    outlet.clock.ms -= DAY_MS
    provider.answer = provider.take
    await outlet.sell(1)
    await outlet.relay(provider).drain()
    assert (await outlet.fetch("SELECT state FROM gates"))[0][0] == "closed"
