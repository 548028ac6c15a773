"""Another account of the same provider: only for what is proven absent at the first, never for money, with its key."""

from dataclasses import replace

import pytest

from server.credentials.endpoints import EndpointError, Named
from server.credentials.standby import fall_back, fall_back_nowhere
from server.outbound import OutboundError
from server.outbox.absence import prove_absent
from server.outbox.call import Caller
from server.outbox.fallback import Fallback, _named
from server.outbox.listing import OutboxError
from server.outbox.rerouting import redirect
from server.ports import Answer, Call, Route
from server.resilience.backoff import Schedule, Schedules
from server.resilience.errors import TransientError
from server.storage.statement import Statement
from server.storage.writer import Job, Writing
from sync.clock import encode_instant
from tests.outbox.outlet import OpenSecrets, Outlet, Scripted

PATIENCE_S = 900
_UNBIND = Statement("DELETE FROM bindings WHERE tenant_id = :tenant_id AND endpoint_id = :endpoint_id")


async def pair(outlet: Outlet, provider: str = "http") -> tuple[str, str]:
    """An account and its standby."""
    first, standby = await outlet.bind(), await outlet.bind(provider=provider)

    async def job(writing: Writing) -> None:
        await writing.tx.execute(_UNBIND, (outlet.tenant_id, standby))
        writing.tenant(outlet.tenant_id).revision += 1

    await outlet.writer.submit(Job([outlet.tenant_id], job))
    return first, standby


async def named(outlet: Outlet) -> tuple[str, str]:
    """An account that falls back on a standby after a quarter of an hour."""
    first, standby = await pair(outlet)
    await fall_back(outlet.writer, outlet.tenant_id, account(first), account(standby), PATIENCE_S)
    return first, standby


def account(endpoint_id: str, provider: str = "http") -> Named:
    """An account as it is picked."""
    return Named(endpoint_id, provider, f"conto {endpoint_id[-2:]}")


def fallback(outlet: Outlet) -> Fallback:
    """What looks now and then."""
    return Fallback(outlet.database, outlet.writer, {route.name: route for route in outlet.routes}, outlet.clock)


class Town(Scripted):
    """Two accounts, one of which is away."""

    def __init__(self, away: str, error: Exception | Answer | None = None) -> None:
        super().__init__(self.said)
        self.away: str | None = away
        self.error = error or OutboundError("connect")

    def said(self, call: Call) -> Answer:
        if call.account.endpoint_id == self.away:
            if isinstance(self.error, Answer):
                return self.error
            raise self.error
        return self.take(call)


async def pass_away(outlet: Outlet, town: Town, seconds: int = PATIENCE_S) -> None:
    """Time goes by in which the relay tries and tries."""
    for _ in range(seconds // 60 + 1):
        await outlet.relay(town).drain()
        outlet.clock.ms += 60_000


async def test_what_waits_too_long_goes_another_way_with_its_key(outlet: Outlet) -> None:
    """The head of the queue, which was tried in vain, and what was never tried behind it."""
    first, standby = await named(outlet)
    await outlet.sell(12)
    keys = {row.idempotency_key for row in await outlet.rows()}
    town = Town(first)
    await pass_away(outlet, town)
    assert await fallback(outlet).once() == 12
    await outlet.relay(town).drain()
    rows = await outlet.rows()
    assert {(row.state, row.endpoint_id, row.origin_id) for row in rows} == {("delivered", standby, first)}
    assert set(town.effects) == keys == {row.idempotency_key for row in rows}


async def test_nothing_goes_before_its_time(outlet: Outlet) -> None:
    """Neither what is younger than the patience, nor anything while the account was reached within it."""
    first, _ = await named(outlet)
    town = Town(first)
    town.away = None
    await outlet.sell()
    await outlet.relay(town).drain()
    town.away = first
    await outlet.sell(2)
    await pass_away(outlet, town, PATIENCE_S - 120)
    assert await fallback(outlet).once() == 0
    await pass_away(outlet, town, 180)
    await outlet.sell()
    assert await fallback(outlet).once() == 2
    assert await outlet.states() == {"delivered": 1, "pending": 3}


@pytest.mark.parametrize("error", [OutboundError("read"), Answer(503), TimeoutError()])
async def test_what_may_be_there_stays(outlet: Outlet, error: Exception | Answer) -> None:
    """An answer that was lost may have been a yes: sent elsewhere too, it would be two sales."""
    first, _ = await named(outlet)
    await outlet.sell(3)
    await pass_away(outlet, Town(first, error))
    tried = {row.delivery_id for row in await outlet.rows() if row.attempts}
    await outlet.sell(2)
    outlet.clock.ms += PATIENCE_S * 1000
    assert await fallback(outlet).once() == 2
    assert {row.delivery_id for row in await outlet.rows() if row.endpoint_id == first} == tried


async def test_a_lane_goes_whole_or_not_at_all(outlet: Outlet) -> None:
    """A void does not overtake the sale it voids."""
    first, standby = await named(outlet)
    doubtful, sure = await outlet.sell(2)
    town = Town(first)
    town.answer = lambda call: Answer(503) if call.record_id == doubtful else town.said(call)
    await pass_away(outlet, town, 60)
    for sale in (doubtful, sure):
        await outlet.void(sale)
    outlet.clock.ms += PATIENCE_S * 1000
    assert await fallback(outlet).once() == 2
    assert {(row.record_id, row.endpoint_id) for row in await outlet.rows()} == {(doubtful, first), (sure, standby)}
    town.answer = town.said
    await outlet.relay(town).drain()
    gone = [call.payload for call in town.calls if call.account.endpoint_id == standby]
    assert ["sales.created" in gone[0], "sales.voided" in gone[1], len(gone)] == [True, True, 2]


async def test_what_a_route_does_not_allow_stays(outlet: Outlet) -> None:
    """Money never goes another way; unless a route says otherwise, nothing does."""
    first, standby = await named(outlet)
    await outlet.sell()
    outlet.routes = [replace(route, may_fall_back=False) for route in outlet.routes]
    await pass_away(outlet, Town(first))
    assert await fallback(outlet).once() == 0
    (row,) = await outlet.rows()
    with pytest.raises(OutboxError, match="does not allow") as raised:
        await by_hand(outlet, row.delivery_id, standby)
    assert raised.value.code == "may_not_fall_back"


async def test_a_limit_or_a_wish_is_no_absence(outlet: Outlet) -> None:
    """An account that is throttled answers: it is asked again when it wants to be."""
    first, _ = await named(outlet)
    await outlet.sell(3)
    await pass_away(outlet, Town(first, Answer(429)))
    assert await fallback(outlet).once() == 0
    outlet.clock.ms += 86_400_000
    assert await fallback(outlet).once() == 0


async def test_what_died_of_it_goes_too(outlet: Outlet) -> None:
    """And what died of anything else is a person's."""
    first, standby = await named(outlet)
    refused, unreached = await outlet.sell(2)
    town = Town(first)
    town.answer = lambda call: Answer(422) if call.record_id == refused else town.said(call)
    await pass_away(outlet, town, 60)
    outlet.clock.ms += 2 * 86_400_000  # SCHEDULES last a day
    await outlet.relay(town).drain()
    assert await outlet.states() == {"dead": 2}
    await outlet.sell()
    await outlet.relay(town).drain()
    assert await fallback(outlet).once() == 1
    assert {(row.record_id, row.state) for row in await outlet.rows(endpoint_id=standby)} == {(unreached, "pending")}


async def test_an_account_that_is_back_keeps_what_is_its_own(outlet: Outlet) -> None:
    """And gets what is accepted from then on."""
    first, standby = await named(outlet)
    town = Town(first)
    await outlet.sell()
    await pass_away(outlet, town)
    await fallback(outlet).once()
    town.away = None
    await outlet.sell()
    await outlet.relay(town).drain()
    outlet.clock.ms += 60_000
    await outlet.relay(town).drain()
    assert await fallback(outlet).once() == 0
    assert sorted(row.endpoint_id for row in await outlet.rows(states=["delivered"])) == sorted((first, standby))


async def test_what_died_in_an_outage_that_is_over_says_nothing(outlet: Outlet) -> None:
    """Weeks later the account asks to be left alone after a quiet hour: it is not away, and its sales stay its own."""
    first, _ = await named(outlet)
    await outlet.sell()
    town = Town(first)
    short = Schedules(Schedule(base_s=1, cap_s=60, lasts_s=100), Schedule(base_s=10, cap_s=60, lasts_s=100))
    for _ in range(5):
        await outlet.relay(town, schedules=short).drain()
        outlet.clock.ms += 60_000
    await outlet.change_rows("UPDATE outbox SET ambiguous = true")  # so it stayed
    assert await outlet.states() == {"dead": 1}
    town.away, outlet.clock.ms = None, outlet.clock.ms + 60 * 86_400_000
    await outlet.sell()
    await outlet.relay(town).drain()
    outlet.clock.ms += 3_600_000
    town.answer = lambda _call: Answer(429, retry_after="7200")
    await outlet.sell(3)
    await outlet.relay(town).drain()
    outlet.clock.ms += PATIENCE_S * 1000 + 1000
    assert await fallback(outlet).once() == 0


async def test_an_account_that_came_back_meanwhile_is_looked_at_again(outlet: Outlet) -> None:
    """Between finding it away and moving its sales a delivery got through."""
    first, _ = await named(outlet)
    await outlet.sell(3)
    await pass_away(outlet, Town(first))
    one = fallback(outlet)
    (found,) = await outlet.database.read(_named)
    succeeded = "UPDATE contacts SET succeeded_at = :now WHERE endpoint_id = :endpoint_id"
    await outlet.change_rows(succeeded, encode_instant(outlet.clock.ms), first)
    assert await one._move(found, encode_instant(outlet.clock.ms - PATIENCE_S * 1000)) == 0
    assert {row.endpoint_id for row in await outlet.rows()} == {first}


async def test_two_processes_move_nothing_twice(outlet: Outlet) -> None:
    """The second finds what the first left: nothing."""
    first, _ = await named(outlet)
    await outlet.sell(2)
    await pass_away(outlet, Town(first))
    assert [await fallback(outlet).once(), await fallback(outlet).once()] == [2, 0]


async def by_hand(outlet: Outlet, delivery_id: str, to: str, *, look: Scripted | None = None) -> int:
    """As `rientro outbox redirect` does it."""
    proof = None
    if look is not None:
        caller = Caller({"http": look}, OpenSecrets(), outlet.clock, 5)
        proof = await prove_absent(outlet.database, caller, (outlet.tenant_id, delivery_id))
    routes = {route.name: route for route in outlet.routes}
    return await redirect(outlet.writer, routes, outlet.tenant_id, delivery_id, to, proof)


async def test_by_hand_it_goes_at_once_and_comes_back(outlet: Outlet) -> None:
    """What waits behind it goes along; sent back, it is as it was."""
    first, standby = await pair(outlet)
    (sale,) = await outlet.sell()
    await outlet.void(sale)
    created, voided = await outlet.rows()
    assert await by_hand(outlet, created.delivery_id, standby) == 2
    assert {(row.endpoint_id, row.origin_id) for row in await outlet.rows()} == {(standby, first)}
    assert await by_hand(outlet, voided.delivery_id, first) == 2
    assert [(row.endpoint_id, row.origin_id) for row in await outlet.rows()] == [(first, None)] * 2


async def test_a_look_up_proves_absence(outlet: Outlet) -> None:
    """Found there, it stays; not to be asked, it stays; looked up and not found, it goes."""
    first, standby = await pair(outlet)
    await outlet.sell()
    await outlet.relay(Town(first, Answer(503))).drain()
    (row,) = await outlet.rows()
    look = Scripted(promise="lookup")
    look.known = lambda _call: Answer(200)
    with pytest.raises(OutboxError, match="could have two"):
        await by_hand(outlet, row.delivery_id, standby, look=look)

    def away(_call: Call) -> Answer | None:
        raise TransientError("looking_failed")

    look.known = away
    with pytest.raises(OutboxError, match="looking_failed") as raised:
        await by_hand(outlet, row.delivery_id, standby, look=look)
    assert raised.value.code == "not_provable"
    look.known = lambda _call: None
    assert await by_hand(outlet, row.delivery_id, standby, look=look) == 1
    await outlet.relay(Scripted()).drain()
    assert (await outlet.rows())[0].state == "delivered"


async def test_a_proof_is_worth_nothing_once_somebody_tried_again(outlet: Outlet) -> None:
    """The relay was quicker: what it did is not known."""
    first, standby = await pair(outlet)
    await outlet.sell()
    await outlet.relay(Town(first, Answer(503))).drain()
    (row,) = await outlet.rows()
    caller = Caller({"http": Scripted(promise="lookup")}, OpenSecrets(), outlet.clock, 5)
    proof = await prove_absent(outlet.database, caller, (outlet.tenant_id, row.delivery_id))
    assert proof is not None
    outlet.clock.ms += 60_000
    await outlet.relay(Town(first, Answer(503))).drain()
    routes = {route.name: route for route in outlet.routes}
    with pytest.raises(OutboxError) as raised:
        await redirect(outlet.writer, routes, outlet.tenant_id, row.delivery_id, standby, proof)
    assert raised.value.code == "maybe_there"


async def test_what_cannot_be_meant_is_refused(outlet: Outlet) -> None:
    """By a stable code each."""
    first, standby = await pair(outlet)
    elsewhere = await outlet.bind(provider="pos")
    await outlet.sell()
    (row,) = await outlet.rows()
    cases = ((first, "unknown_endpoint"), (row.record_id, "unknown_endpoint"), (elsewhere, "another_provider"))
    for to, code in cases:
        with pytest.raises(OutboxError) as raised:
            await by_hand(outlet, row.delivery_id, to)
        assert raised.value.code == code
    await outlet.relay(Scripted()).drain()
    for delivery_id, code in ((row.delivery_id, "not_waiting"), (row.record_id, "unknown_delivery")):
        with pytest.raises(OutboxError) as raised:
            await by_hand(outlet, delivery_id, standby)
        assert raised.value.code == code


async def test_a_fallback_gets_nothing_of_its_own_and_does_not_chain(outlet: Outlet) -> None:
    """Else it would have two effects of what comes to it twice."""
    first, standby = await named(outlet)
    bound = await outlet.bind()
    writer, tenant_id = outlet.writer, outlet.tenant_id
    for source, to, says in (
        (first, bound, "changes of its own"),
        (bound, first, "changes of its own"),
        (standby, first, "changes of its own"),
        (first, first, "no fallback for itself"),
    ):
        with pytest.raises(EndpointError, match=says):
            await fall_back(writer, tenant_id, account(source), account(to), PATIENCE_S)
    _, other = await pair(outlet)
    with pytest.raises(EndpointError, match="do not chain"):
        await fall_back(writer, tenant_id, account(standby), account(other), PATIENCE_S)
    with pytest.raises(EndpointError, match="not at http"):
        await fall_back(writer, tenant_id, account(first), account(other, "pos"), PATIENCE_S)
    await fall_back_nowhere(writer, tenant_id, account(first))
    await outlet.sell()
    await pass_away(outlet, Town(first))
    assert await fallback(outlet).once() == 0


async def test_after_a_restore_nothing_goes_before_it_is_doubted(outlet: Outlet) -> None:
    """What was waiting may have been sent in the history that was lost: its account's next claim finds that out."""
    first, standby = await named(outlet)
    town = Town(first)
    await outlet.sell()
    await pass_away(outlet, town)
    await outlet.begin_epoch()
    (row,) = await outlet.rows()
    assert await fallback(outlet).once() == 0
    with pytest.raises(OutboxError, match="since the restore") as raised:
        await by_hand(outlet, row.delivery_id, standby)
    assert raised.value.code == "new_epoch"
    outlet.clock.ms += 60_000
    await outlet.relay(town).drain()
    assert await fallback(outlet).once() == 0
    with pytest.raises(OutboxError, match="could have two"):
        await by_hand(outlet, row.delivery_id, standby)


async def test_a_look_up_proves_nothing_within_the_providers_lag(outlet: Outlet) -> None:
    """What the last attempt made may show only later."""
    first, standby = await pair(outlet)
    await outlet.sell()
    await outlet.relay(Town(first, Answer(503))).drain()
    (row,) = await outlet.rows()
    look = Scripted(promise="lookup")
    slow = replace(look.operations()["post"], lag_s=30)
    look.operations = lambda: {"post": slow}  # type: ignore[method-assign]
    with pytest.raises(OutboxError, match="30 s after") as raised:
        await by_hand(outlet, row.delivery_id, standby, look=look)
    assert raised.value.code == "not_provable"
    outlet.clock.ms += 30_001
    assert await by_hand(outlet, row.delivery_id, standby, look=look) == 1


def test_a_route_that_needs_its_account_may_not_fall_back() -> None:
    """Nor may one of money: said where it is declared."""
    plain = Route("r", "sales", "http", "post", when=lambda _before, _after: True, may_fall_back=True)
    assert not replace(plain, may_fall_back=False, money=True).may_fall_back
    for terms in ({"money": True}, {"create": "make"}, {"after": lambda _fields: ()}):
        with pytest.raises(TypeError):
            replace(plain, **terms)
