"""Polls take from their endpoint's gate, page by page, and say what came of it."""

import json
from dataclasses import replace
from typing import Any, TypeVar, cast

import pytest

from server.inbox.poll import Polling
from server.storage.database import Tx
from server.storage.writer import Job, Writer, Writing
from sync.clock import encode_instant
from tests.inbox.mailroom import Mailroom
from tests.inbox.post import Company, address, numbers, polling
from tests.outbox.test_limits import Counting
from tests.providers.test_sdi_webhook import tell
from tests.support.fatture import Fattura

T = TypeVar("T")
QUICK: dict[str, Any] = {"breaker_failures": 1, "breaker_pause": 600, "breaker_cap": 1200}


async def limit(room: Mailroom, **limits: Any) -> None:
    """Give the endpoint limits."""
    ((settings,),) = await room.fetch("SELECT settings FROM endpoints")
    await room.execute("UPDATE endpoints SET settings = :settings", json.dumps(json.loads(settings) | limits))


async def poll(room: Mailroom) -> tuple[str | None, int, bool]:
    """Poll what is due; the last turn's error, failures in a row, and whether a round came to its end."""
    await polling(room).poll_due()
    rows = await room.fetch("SELECT error, failures, finished_at FROM polls")
    return (rows[0][0], rows[0][1], rows[0][2] is not None) if rows else (None, 0, False)


async def test_a_round_that_is_not_let_through_goes_on_where_it_was(
    post: Mailroom, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page in ten seconds: a turn each, none of them a failure, and none over before the last."""
    monkeypatch.setattr("server.providers.sdi.poller.PAGE_SIZE", 3)
    for place in range(10):
        await company.add(Fattura(number=f"a{place}"), age_s=3600 - place)
    await limit(post, window_limit=1, window=10)
    pages, end = 1, await poll(post)
    while end == (None, 0, False):
        await polling(post).poll_due()
        assert await company.lists() == pages
        await post.pass_time(10.2)
        end, pages = await poll(post), pages + 1
    assert (end, 4 <= pages <= 6) == ((None, 0, True), True)
    assert len(await post.events()) == 10


async def test_an_open_breaker_puts_polls_off_and_costs_no_attempt(post: Mailroom, company: Company) -> None:
    """A fetch opened it; then the poll shows that it works, and the fetch goes on."""
    await limit(post, **QUICK)
    told = await company.add(Fattura(number="told"))
    await company.intermediary.behave("status", status=503)
    await tell(post, address(post), told)
    await post.processor().drain()
    for _ in range(3):
        assert await poll(post) == (None, 0, False)
        await post.pass_time(60)
    assert await company.lists() == 0
    await company.intermediary.behave("well")
    await post.pass_time(600)
    heard: list[str] = []
    polls: Polling = polling(post)
    polls.opened = lambda: heard.append("opened")
    await polls.poll_due()
    assert (await company.lists(), heard) == (1, ["opened"])
    assert await post.fetch("SELECT state FROM gates") == [("closed",)]
    await post.processor().drain()
    assert await numbers(post) == ["told"]


async def test_polls_that_fail_open_the_breaker_for_all(post: Mailroom, company: Company) -> None:
    """A probe that fails makes the pause longer, as any other."""
    await limit(post, **QUICK)
    await company.intermediary.behave("status", status=503)
    assert await poll(post) == ("server_error", 1, False)
    await tell(post, address(post), await company.add(Fattura(number="told")))
    await post.processor().drain()
    assert [(event.state, event.attempts) for event in await post.events()] == [("pending", 0)]
    await post.pass_time(601)
    assert await poll(post) == ("server_error", 2, False)
    assert await post.fetch("SELECT state, openings FROM gates") == [("open", 2)]


async def test_what_a_poll_is_asked_to_wait_holds_for_fetches_too(post: Mailroom, company: Company) -> None:
    """`Retry-After` is the account's, whoever heard it, in whatever process."""
    await company.intermediary.behave("status", status=429, headers={"retry-after": "500"})
    begun_ms = post.shop.clock()
    await poll(post)
    await company.intermediary.behave("well")
    ((not_before,),) = await post.fetch("SELECT not_before FROM endpoints")
    assert not_before == encode_instant(begun_ms + 500_001)
    told = await company.add(Fattura(number="told"))
    await tell(post, address(post), told)
    await post.processor().drain()
    assert await company.fetches(told) == 0
    await post.pass_time(501)
    await post.processor().drain()
    assert await company.fetches(told) == 1


async def test_what_a_fetch_is_asked_to_wait_holds_for_polls_too(post: Mailroom, company: Company) -> None:
    """It is put off, and no failure."""
    await company.intermediary.behave("status", status=429, headers={"retry-after": "500"})
    await tell(post, address(post), await company.add(Fattura(number="told")))
    await post.processor().drain()
    await company.intermediary.behave("well")
    assert (await poll(post), await company.lists()) == ((None, 0, False), 0)
    await post.pass_time(501)
    assert (await poll(post), await company.lists()) == ((None, 0, True), 1)


async def test_a_poll_is_cut_off_at_its_endpoints_own_deadline(post: Mailroom, company: Company) -> None:
    """For a whole page."""
    await limit(post, deadline=0.05)
    await company.intermediary.behave("slow", seconds=5)
    assert await poll(post) == ("deadline", 1, False)


class CountingWriter:
    """A writer that counts what its jobs ask the database."""

    def __init__(self, real: Writer) -> None:
        self._real, self.statements = real, 0

    async def submit(self, job: Job[T]) -> T:
        async def run(writing: Writing) -> T:
            counting = Counting(writing.tx)
            try:
                return await job.run(replace(writing, tx=cast("Tx", counting)))
            finally:
                self.statements += counting.statements

        return await self._real.submit(Job(job.tenants, run))


@pytest.mark.parametrize(("limits", "statements"), [({}, 6), ({"rate": 100}, 8)])
async def test_a_poll_costs_two_statements_more_with_limits(
    post: Mailroom, company: Company, limits: dict[str, Any], statements: int
) -> None:
    """The endpoint, what is known of its polls, the turn; a page without news; end and contact; and the gate's two."""
    await limit(post, **limits)
    await poll(post)
    await post.pass_time(61)
    counting, polls = CountingWriter(post.shop.writer), polling(post)
    polls.writer = cast("Writer", counting)
    await polls.poll_due()
    assert await company.lists() == 2
    assert counting.statements == statements
