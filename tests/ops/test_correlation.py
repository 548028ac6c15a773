"""Lines logged on the way of a delivery or an event say whose they are; and no provider's error says too much."""

import io
import json
from collections.abc import AsyncIterator

import pytest
import structlog

from server.outbound import OutboundError
from server.ports import Answer, Call
from tests.ops.canaries import ALL, EMAIL, WORD, found_in
from tests.outbox.outlet import Answering, Outlet, Scripted, open_outlet

EVERYTHING = " ".join(ALL)


@pytest.fixture
async def outlet(sqlite_url: str) -> AsyncIterator[Outlet]:
    """A shop whose sales go out."""
    async with open_outlet(sqlite_url) as opened:
        yield opened


async def test_every_line_of_an_attempt_names_delivery_provider_and_attempt(outlet: Outlet, lines: io.StringIO) -> None:
    """Also one that a library or an adapter logs in the middle of it, and none after it."""

    def answer(_call: Call) -> Answer:
        structlog.get_logger("an.adapter").info("asked")
        return Answer(200)

    await outlet.bind(secret="x")
    await outlet.sell()
    await outlet.relay(Scripted(answer)).drain()
    structlog.get_logger().info("later")
    told = {line["event"]: line for line in map(json.loads, lines.getvalue().splitlines())}
    whose = {"correlation_id": "corr-1", "provider": "http", "attempt": 1}
    assert whose.items() <= told["asked"].items()
    assert whose.items() <= told["delivery_attempt"].items()
    assert told["asked"]["delivery_id"] == told["delivery_attempt"]["delivery_id"]
    assert "attempt" not in told["later"]


def _raise(error: Exception) -> Answering:
    def answer(_call: Call) -> Answer:
        customer = EVERYTHING
        raise error from ValueError(customer)

    return answer


ANSWERS: dict[str, Answering] = {
    "raises": _raise(RuntimeError(EVERYTHING)),
    "out_of_reach": _raise(OutboundError("read")),
    "raises_a_key": _raise(KeyError(EMAIL)),
    "refuses": lambda _call: Answer(422, reference=EVERYTHING, request_id=EVERYTHING, retry_after=WORD, date=WORD),
    "takes_it": lambda _call: Answer(200, reference=EMAIL, request_id="req-1"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_no_provider_s_error_says_more_than_a_code(outlet: Outlet, lines: io.StringIO, answer: Answering) -> None:
    """Whatever it raises or answers: secrets of the account and texts of the provider stay out of the log."""
    await outlet.bind(secret=WORD, url=f"https://user:{WORD}@example.org/?key={WORD}")
    await outlet.sell()
    await outlet.relay(Scripted(answer)).drain()
    assert "delivery_attempt" in lines.getvalue()
    assert found_in(lines.getvalue()) == []
