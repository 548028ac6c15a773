"""What a person may see of the outbox and do to it."""

import pytest

from server.outbox.admin import cancel, let_pass, redrive
from server.outbox.listing import Filter, OutboxError, list_deliveries, show_delivery
from server.ports import Answer
from server.storage.writer import UnknownTenantError
from tests.outbox.outlet import Outlet, Scripted

NOBODY = "00000000-0000-7000-8000-000000000000"


async def failed(outlet: Outlet, count: int, status: int = 400) -> list[str]:
    """So many sales whose deliveries failed with a status; the deliveries' ids."""
    await outlet.sell(count)
    await outlet.relay(Scripted(lambda _call: Answer(status, request_id="req-9"))).drain()
    return [row.delivery_id for row in await outlet.rows()]


async def test_lists_are_filtered_and_paged(outlet: Outlet) -> None:
    """By state, endpoint, route, record and id; a page goes on after the last delivery of the one before."""
    first = await outlet.bind()
    await failed(outlet, 3)
    second = await outlet.bind()
    waiting, _ = await outlet.sell(2)
    counted = {
        "all": Filter(),
        "dead": Filter(states=["dead"]),
        "stuck": Filter(states=["dead", "in_doubt"]),
        "first": Filter(endpoint_id=first),
        "second": Filter(endpoint_id=second),
        "record": Filter(record_id=waiting),
        "route": Filter(route="sales.forward", states=["pending"]),
        "other route": Filter(route="other"),
        "none": Filter(ids=[]),
    }
    found = {name: len(await list_deliveries(outlet.database, outlet.tenant_id, f)) for name, f in counted.items()}
    assert found == {
        "all": 7, "dead": 3, "stuck": 3, "first": 5, "second": 2, "record": 2, "route": 4, "other route": 0, "none": 0,
    }  # fmt: skip
    everything = [row.delivery_id for row in await outlet.rows()]
    paged: list[str] = []
    last: str | None = None
    while page := await list_deliveries(outlet.database, outlet.tenant_id, Filter(after=last, limit=3)):
        last = page[-1].delivery_id
        paged += [row.delivery_id for row in page]
    assert paged == everything


async def test_a_delivery_is_shown_with_every_attempt(outlet: Outlet) -> None:
    """Class, status and the provider's name for the request, so that both sides can be asked about it."""
    await outlet.bind()
    (delivery,) = await failed(outlet, 1, status=503)
    outlet.clock.ms += 60_000
    await outlet.relay(Scripted()).drain()
    shown = await show_delivery(outlet.database, outlet.tenant_id, delivery)
    assert shown.delivery.state == "delivered"
    assert "caffè" in shown.payload
    assert [(a.attempt, a.outcome, a.code, a.status, a.request_id) for a in shown.attempts] == [
        (1, "transient", "server_error", 503, "req-9"),
        (2, "delivered", "ok", 200, None),
    ]
    assert all(attempt.ended_at for attempt in shown.attempts)


async def test_another_tenants_deliveries_do_not_exist(outlet: Outlet) -> None:
    """Neither to look at nor to touch."""
    await outlet.bind()
    (delivery,) = await failed(outlet, 1)
    with pytest.raises(OutboxError, match="no such delivery"):
        await show_delivery(outlet.database, NOBODY, delivery)
    assert await list_deliveries(outlet.database, NOBODY, Filter()) == []
    with pytest.raises(UnknownTenantError):
        await redrive(outlet.writer, NOBODY, Filter())
    assert await outlet.states() == {"dead": 1}


async def test_what_is_redriven_is_delivered_with_the_same_key(outlet: Outlet) -> None:
    """As it was accepted, under a key the provider may know, and the record learns of it."""
    await outlet.bind()
    one, other, third = await failed(outlet, 3)
    assert await redrive(outlet.writer, outlet.tenant_id, Filter(ids=[one])) == 1
    provider = Scripted()
    await outlet.relay(provider).drain()
    assert await outlet.states() == {"dead": 2, "delivered": 1}
    assert await redrive(outlet.writer, outlet.tenant_id, Filter(states=["dead"])) == 2
    await outlet.relay(provider).drain()
    rows = await outlet.rows()
    assert [row.delivery_id for row in rows] == [one, other, third]
    assert {call.idempotency_key for call in provider.calls} == {row.idempotency_key for row in rows}
    assert {(await outlet.sale(row.record_id)).fields["forward_status"] for row in rows} == {"delivered"}


async def test_redriving_starts_the_schedule_anew(outlet: Outlet) -> None:
    """A delivery given up after days is not given up again at its first failure."""
    await outlet.bind()
    await outlet.sell()
    provider = Scripted(lambda _call: Answer(503))
    await outlet.relay(provider).drain()
    outlet.clock.ms += 86_400_000
    await outlet.relay(provider).drain()
    assert await outlet.states() == {"dead": 1}
    await redrive(outlet.writer, outlet.tenant_id, Filter())
    await outlet.relay(provider).drain()
    (row,) = await outlet.rows()
    assert (row.state, row.failures, row.attempts) == ("pending", 1, 3)


async def test_a_redrive_is_limited_and_takes_only_what_is_stuck(outlet: Outlet) -> None:
    """The oldest first; what waits or is done is left alone."""
    await outlet.bind()
    dead = await failed(outlet, 3)
    await outlet.sell(2)
    assert await redrive(outlet.writer, outlet.tenant_id, Filter(limit=2)) == 2
    assert [row.delivery_id for row in await outlet.rows(states=["dead"])] == dead[2:]
    assert await redrive(outlet.writer, outlet.tenant_id, Filter(states=["pending", "delivered"])) == 0


async def test_what_is_in_doubt_goes_out_when_a_person_says_so(outlet: Outlet) -> None:
    """The doubt is then the person's, and does not come back by itself."""
    await outlet.bind()
    await outlet.sell()
    provider = Scripted(lambda _call: Answer(503), promise="once")
    await outlet.relay(provider).drain()
    assert await outlet.states() == {"in_doubt": 1}
    await redrive(outlet.writer, outlet.tenant_id, Filter())
    provider.answer = provider.take
    await outlet.relay(provider).drain()
    assert await outlet.states() == {"delivered": 1}


async def test_only_what_was_never_tried_can_be_cancelled(outlet: Outlet) -> None:
    """Anything else is refused with a reason; a cancelled one leaves its lane to the next."""
    await outlet.bind()
    tried = (await failed(outlet, 1, status=503))[0]
    (sale,) = await outlet.sell()
    await outlet.void(sale)
    created, voided = await outlet.rows(record_id=sale)
    await cancel(outlet.writer, outlet.tenant_id, created.delivery_id)
    reasons = []
    for delivery in (tried, created.delivery_id, NOBODY):
        with pytest.raises(OutboxError) as refused:
            await cancel(outlet.writer, outlet.tenant_id, delivery)
        reasons.append(refused.value.code)
    assert reasons == ["already_attempted", "not_waiting", "unknown_delivery"]
    provider = Scripted()
    await outlet.relay(provider).drain()
    assert [call.delivery_id for call in provider.calls] == [voided.delivery_id]


async def test_only_what_is_stuck_lets_others_pass(outlet: Outlet) -> None:
    """What waits or is done holds nobody up for ever."""
    await outlet.bind()
    await outlet.sell()
    (row,) = await outlet.rows()
    for delivery, code in ((row.delivery_id, "not_stuck"), (NOBODY, "unknown_delivery")):
        with pytest.raises(OutboxError) as refused:
            await let_pass(outlet.writer, outlet.tenant_id, delivery)
        assert refused.value.code == code
