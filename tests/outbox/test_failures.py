"""Classes of failure, and what an operation promises; with a provider that does as it is told."""

from typing import Any

import pytest

from server.outbound import OutboundError
from server.ports import Answer, Call, DeliveryState
from server.resilience.errors import PermanentError, TransientError
from tests.outbox.outlet import Outlet, Scripted, open_outlet


@pytest.mark.parametrize(
    ("status", "state", "told"),
    [
        (200, "delivered", "delivered"),
        (204, "delivered", "delivered"),
        (402, "answered", "answered"),
        *[(status, "dead", "dead") for status in (301, 302, 307, 400, 401, 403, 404, 410, 422)],
        *[(status, "pending", None) for status in (408, 409, 425, 429, 500, 502, 503, 504, 418, 451)],
    ],
)
async def test_each_status_ends_as_its_class_says(
    sqlite_url: str, status: int, state: DeliveryState, told: str | None
) -> None:
    """Success, a business refusal, a failure for a person, a failure that passes."""
    async with open_outlet(sqlite_url) as outlet:
        await outlet.bind()
        (sale,) = await outlet.sell()
        await outlet.relay(Scripted(lambda _call: Answer(status))).drain()
        assert await outlet.states() == {state: 1}
        assert (await outlet.sale(sale)).fields["forward_status"] == told


async def test_a_dead_one_leaves_the_others_alone(outlet: Outlet) -> None:
    """A permanent failure is not tried again and stops nobody."""
    await outlet.bind()
    bad, *good = await outlet.sell(5)
    provider = Scripted()
    provider.answer = lambda call: Answer(400) if call.record_id == bad else provider.take(call)
    for _ in range(3):
        await outlet.relay(provider).drain()
        outlet.clock.ms += 3_600_000
    assert await outlet.states() == {"dead": 1, "delivered": 4}
    assert len(provider.of(bad)) == 1
    assert {call.record_id for call in provider.calls} == {bad, *good}


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (OutboundError("connect"), "pending", "connect_failed"),
        (OutboundError("private_address"), "dead", "private_address"),
        (PermanentError("bad_settings"), "dead", "bad_settings"),
        (TransientError("busy"), "pending", "busy"),
        (ZeroDivisionError("a secret"), "pending", "unexpected_error"),
        (TimeoutError(), "pending", "deadline"),
    ],
)
async def test_what_a_provider_raises_is_classified(
    sqlite_url: str, error: Exception, state: DeliveryState, code: str
) -> None:
    """By our own words only: the error's text is not kept."""

    def failing(_call: Call) -> Answer:
        raise error

    async with open_outlet(sqlite_url) as outlet:
        await outlet.bind()
        await outlet.sell()
        await outlet.relay(Scripted(failing)).drain()
        ((found, word),) = [(row.state, row.error) for row in await outlet.rows()]
        assert (found, word) == (state, code)


@pytest.mark.parametrize(
    ("answer", "state"), [(Answer(503), "in_doubt"), (Answer(429), "pending"), (Answer(200), "delivered")]
)
async def test_at_most_one_effect_ends_in_doubt_where_it_may_have_happened(
    outlet: Outlet, answer: Answer, state: DeliveryState
) -> None:
    """An operation that promises `once` is repeated only when nothing can have happened."""
    await outlet.bind()
    await outlet.sell()
    provider = Scripted(lambda _call: answer, promise="once")
    await outlet.relay(provider).drain()
    outlet.clock.ms += 60_000
    assert await outlet.states() == {state: 1}
    provider.answer = provider.take
    await outlet.relay(provider).drain()
    assert len(provider.calls) == (2 if state == "pending" else 1)


async def test_an_operation_that_looks_up_does_so_before_it_repeats(outlet: Outlet) -> None:
    """An answer lost after taking effect is found again, and nothing is sent twice."""
    await outlet.bind()
    (sale,) = await outlet.sell()
    provider = Scripted(promise="lookup")

    def lost(call: Call) -> Answer:
        provider.take(call)
        raise OutboundError("read")

    provider.answer = lost
    provider.known = lambda call: Answer(200, reference="found") if call.idempotency_key in provider.effects else None
    for _ in range(2):
        await outlet.relay(provider).drain()
        outlet.clock.ms += 60_000
    assert len(provider.calls) == 1
    assert (await outlet.sale(sale)).fields["forward_reference"] == "found"


async def test_an_answer_that_cannot_be_written_back_is_not_asked_for_again(outlet: Outlet) -> None:
    """The settle stands without it, with an alarm: the provider must not be called for ever."""
    await outlet.bind()
    await outlet.sell()

    class Broken:
        async def apply(self, *_arguments: Any) -> list[Any]:
            raise KeyError

    provider = Scripted()
    relay = outlet.relay(provider)
    relay.applying = Broken()
    relay.__post_init__()
    await relay.drain()
    assert await outlet.states() == {"delivered": 1}
    assert len(provider.calls) == 1


@pytest.mark.parametrize("reference", ["", "x" * 201, "a\x00b", "\ud800", "a\nb"])
async def test_a_reference_that_cannot_be_kept_does_not_stop_the_delivery(outlet: Outlet, reference: str) -> None:
    """What the databases would refuse is dropped: the provider must not be called again for it."""
    await outlet.bind()
    (sale,) = await outlet.sell()
    await outlet.relay(Scripted(lambda _call: Answer(200, reference=reference, request_id=reference))).drain()
    assert await outlet.states() == {"delivered": 1}
    assert (await outlet.sale(sale)).fields["forward_reference"] is None
