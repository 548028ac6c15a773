"""The relay: a delivery from its sale to its end, waking, stopping, and what it tells the log."""

from functools import partial

import anyio
import pytest

from server.outbox.relay import RelayOptions
from server.ports import Answer, Call
from tests.outbox.conftest import Logged
from tests.outbox.outlet import Outlet, Scripted
from tests.support.shop import sale_fields


async def test_a_sale_goes_out_once_and_learns_its_reference(outlet: Outlet) -> None:
    """Delivered, and the answer is in the record, where every client will see it."""
    await outlet.bind()
    (sale,) = await outlet.sell()
    provider = Scripted()
    await outlet.relay(provider).drain()
    await outlet.relay(provider).drain()
    assert [call.record_id for call in provider.calls] == [sale]
    record = await outlet.sale(sale)
    assert (record.fields["forward_status"], record.fields["forward_reference"]) == ("delivered", f"ref-{sale[-4:]}")
    assert await outlet.states() == {"delivered": 1}


async def test_what_is_written_back_goes_nowhere_again(outlet: Outlet) -> None:
    """The provider's own news makes no delivery; its author is the endpoint, and it met nobody: plainly applied."""
    endpoint = await outlet.bind()
    (sale,) = await outlet.sell()
    await outlet.relay(Scripted()).drain()
    assert len(await outlet.rows()) == 1
    assert (await outlet.sale(sale)).clock("forward_status")[2] == f"provider:{endpoint}"
    verdicts = await outlet.fetch("SELECT verdict FROM mutations ORDER BY mutation_id")
    assert [row[0] for row in verdicts] == [None, None]


def test_a_call_may_not_outlive_its_lease() -> None:
    """Such options are refused."""
    with pytest.raises(ValueError, match="before its lease"):
        RelayOptions(lease_s=5, deadline_s=5)


@pytest.mark.parametrize("ends", [True, False])
async def test_a_relay_that_stops_ends_its_calls_or_gives_them_back(outlet: Outlet, ends: bool) -> None:  # noqa: FBT001
    """A call that ends in time is settled; one that does not leaves its lease to the next relay at once."""
    await outlet.bind()
    await outlet.sell()
    began, go_on = anyio.Event(), anyio.Event()

    async def slow(_call: Call) -> Answer:
        began.set()
        await go_on.wait()
        return Answer(200)

    relay = outlet.relay(Scripted(slow), grace_s=30 if ends else 0)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(relay.run)
            await began.wait()
            relay.stop()
            if ends:
                go_on.set()
    assert await outlet.states() == {"delivered" if ends else "pending": 1}
    following = Scripted()
    await outlet.relay(following, owner="two").drain()
    assert len(following.calls) == (0 if ends else 1)
    assert await outlet.states() == {"delivered": 1}


async def test_a_cancelled_relay_gives_its_leases_back(outlet: Outlet) -> None:
    """Also one that nobody asked to stop."""
    await outlet.bind()
    await outlet.sell()
    began = anyio.Event()

    async def never(_call: Call) -> Answer:
        began.set()
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(outlet.relay(Scripted(never)).run)
            await began.wait()
            group.cancel_scope.cancel()
    (row,) = await outlet.rows()
    assert (row.state, row.attempts) == ("pending", 1)


async def test_a_commit_wakes_a_resting_relay(outlet: Outlet) -> None:
    """No clock moves: what was sold while it rested goes out at once."""
    await outlet.bind()
    delivered = anyio.Event()

    def answer(_call: Call) -> Answer:
        delivered.set()
        return Answer(200)

    relay = outlet.relay(Scripted(answer))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(relay.run)
            await anyio.sleep(0.05)
            await outlet.sell()
            await delivered.wait()
            relay.stop()
    assert await outlet.states() == {"delivered": 1}


async def test_one_line_an_attempt_tells_what_happened_and_nothing_more(outlet: Outlet, logged: Logged) -> None:
    """With the ids that lead from the client's request to the attempt; no payload, no secret, no address."""
    endpoint = await outlet.bind(url="https://till.example/in?token=canary-url", secret="canary-secret")
    sale = outlet.new_id()
    fields = sale_fields(note="canary-note")
    create = {"uid": outlet.new_id(), "op": "create", "collection": "sales", "record_id": sale, "fields": fields}
    await outlet.push(create, correlation_id="corr-77")
    await outlet.relay(Scripted(lambda _call: Answer(503, request_id="req-1"))).drain()
    (line,) = [entry for entry in logged if entry["event"] == "delivery_attempt"]
    (row,) = await outlet.rows()
    told = {name: line[name] for name in ("correlation_id", "delivery_id", "endpoint_id", "provider", "attempt")}
    assert told == {
        "correlation_id": "corr-77",
        "delivery_id": row.delivery_id,
        "endpoint_id": endpoint,
        "provider": "http",
        "attempt": 1,
    }
    assert (line["outcome"], line["status"], line["state"], line["alarm"]) == ("transient", 503, "pending", False)
    assert line["duration_ms"] == 0
    assert "canary" not in repr(logged)


async def test_what_only_a_person_can_help_raises_an_alarm(outlet: Outlet, logged: Logged) -> None:
    """A dead letter, and what nobody foresaw when it persists."""
    await outlet.bind()
    await outlet.sell()
    provider = Scripted()
    for status in (418, 418, 418, 400):
        provider.answer = partial(_saying, status)
        await outlet.relay(provider).drain()
        outlet.clock.ms += 60_000
    alarms = [entry["alarm"] for entry in logged if entry["event"] == "delivery_attempt"]
    assert alarms == [False, False, True, True]


def _saying(status: int, _call: Call) -> Answer:
    return Answer(status)
