"""One account's deliveries, fetches and polls in one process: its rate is theirs together, and each gets its turn."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from itertools import count
from typing import NamedTuple

import pytest

from server.inbox.poll import Polling
from server.inbox.processor import Processor, ProcessorOptions
from server.inbox.store import Incoming, store
from server.ports import Account, Answer, Call, Found, Polled, Poller, WebhookEvent
from server.resilience.retry_after import LeftAlone
from server.storage.writer import Job, Writing
from tests.inbox.mailroom import DICE, SCHEDULES, OpenSecrets, nap
from tests.inbox.scripted import Scripted as Telling
from tests.outbox.outlet import Outlet, Scripted, open_outlet

STEP_MS = 20
RATE = 10


class Called(NamedTuple):
    """Who called the account, and when."""

    at_ms: int
    kind: str


class Both(Telling):
    """The account as it tells us things, and as it is polled: there is always another page."""

    name = "http"

    def pollers(self) -> Mapping[str, Poller]:
        return {"scripted": self}

    def every_s(self, _account: Account) -> int:
        return 1

    def rewind(self, _account: Account, cursor: str, _since_ms: int) -> str:
        return cursor

    def __init__(self, calls: list[Called], outlet: Outlet) -> None:
        super().__init__(self._fetched)
        self._calls, self._outlet, self._numbers = calls, outlet, count()

    def _fetched(self, _event: WebhookEvent) -> None:
        self._calls.append(Called(self._outlet.clock.ms, "fetch"))

    async def poll(self, _account: Account, _cursor: str | None, _now_ms: int) -> Polled:
        self._calls.append(Called(self._outlet.clock.ms, "poll"))
        number = next(self._numbers)
        found = Found(f"poll:{number}", "told", f"object/{number}", b'{"name": "Rossi"}')
        return Polled(Answer(200), [found], str(number), more=True)


@pytest.fixture
async def outlet(database_url: str) -> AsyncIterator[Outlet]:
    """A shop whose sales go out, on a fresh database of each kind."""
    async with open_outlet(database_url) as opened:
        yield opened


def incoming(outlet: Outlet, endpoint_id: str, number: int) -> Incoming:
    """An event that points at something."""
    body = b'{"name": "Rossi"}'
    return Incoming(
        outlet.tenant_id, endpoint_id, "http", "webhook", f"e{number}", "told", None, body, {}, "secret", "corr"
    )


async def test_deliveries_fetches_and_polls_share_the_rate_and_each_gets_its_turn(outlet: Outlet) -> None:
    """Each has more to do than the whole rate allows; no second has more calls than that, and none is left out."""
    calls: list[Called] = []
    provider = Scripted()

    def deliver(call: Call) -> Answer:
        calls.append(Called(outlet.clock.ms, "deliver"))
        return provider.take(call)

    provider.answer = deliver
    endpoint_id = await outlet.bind(rate=RATE, burst=1)
    both, left_alone = Both(calls, outlet), LeftAlone()
    relay = outlet.relay(provider)
    processor = Processor(
        database=outlet.database, writer=outlet.writer, registry=outlet.registry, sources=[both],
        secrets=OpenSecrets(), applying=outlet.applier, owner="one", clock=outlet.clock, random=lambda: DICE, sleep=nap,
        options=ProcessorOptions(schedules=SCHEDULES, watch=False), left_alone=left_alone,
    )  # fmt: skip
    polling = Polling(
        database=outlet.database, writer=outlet.writer, sources=[both], secrets=OpenSecrets(), clock=outlet.clock,
        random=lambda: DICE, new_id=outlet.new_id, found=lambda: None, left_alone=left_alone,
    )  # fmt: skip
    await outlet.sell(40)

    async def tell(writing: Writing) -> None:
        for number in range(40):
            await store(writing, incoming(outlet, endpoint_id, number), outlet.new_id())

    await outlet.writer.submit(Job([outlet.tenant_id], tell))
    begun_ms = outlet.clock.ms
    while outlet.clock.ms < begun_ms + 3_000:
        await relay.drain()
        await processor.drain()
        await polling.poll_due()
        outlet.clock.ms += STEP_MS
    most = max(sum(one.at_ms <= other.at_ms < one.at_ms + 1000 for other in calls) for one in calls)
    assert most <= RATE
    assert len(calls) >= 3 * RATE - 1
    assert min(Counter(one.kind for one in calls).values()) >= len(calls) // 3 - 1
