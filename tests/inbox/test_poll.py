"""Polling finds what webhooks lost, asks in order, fetches nothing twice, and leaves alone who wants to be."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from server.inbox.accounts import Address
from server.inbox.poll import Polling
from server.ports import Account, Answer, Polled
from server.providers.sdi.api import Listed, Page
from server.providers.sdi.poller import InvoicetronicPoller
from sync.clock import encode_instant
from tests.inbox.mailroom import DICE, Mailroom, OpenSecrets, nap
from tests.inbox.post import Company, address, numbers, polling
from tests.outbox.outlet import Outlet, open_outlet
from tests.providers.test_sdi_webhook import tell
from tests.support.fatture import Fattura
from tests.support.shop import START_MS


async def test_what_no_webhook_told_is_found(post: Mailroom, company: Company) -> None:
    """Within the month that a new endpoint looks back, and then whatever is new; each fetched once."""
    files = [
        await company.add(Fattura(number=number), age_s=days * 86_400)
        for days, number in ((40, "too old"), (20, "old"), (0, "new"), (0, "told"))
    ]
    await tell(post, address(post), files[-1])
    await polling(post).poll_due()
    await post.processor().drain()
    assert await numbers(post) == ["new", "old", "told"]
    assert [event.source for event in await post.events()] == ["webhook", "poll", "poll"]
    files.append(await company.add(Fattura(number="later")))
    await polling(post).poll_due()
    assert await numbers(post) == ["new", "old", "told"]
    await post.pass_time(61)
    await polling(post).poll_due()
    await post.processor().drain()
    assert await numbers(post) == ["later", "new", "old", "told"]
    assert await company.fetches(*files) == 4
    ((failures, error),) = await post.fetch("SELECT failures, error FROM polls")
    assert (failures, error) == (0, None)


async def test_once_a_day_a_poll_looks_back_further(post: Mailroom, company: Company) -> None:
    """What appeared with an old date is found by that look, and nothing is fetched twice for it."""
    known = await company.add(Fattura(number="known"), age_s=600)
    await polling(post).poll_due()
    await post.processor().drain()
    late = await company.add(Fattura(number="late"), age_s=3 * 86_400)
    await post.pass_time(61)
    await polling(post).poll_due()
    await post.processor().drain()
    assert await numbers(post) == ["known"]
    await post.pass_time(86_400)
    await polling(post).poll_due()
    await post.processor().drain()
    assert await numbers(post) == ["known", "late"]
    assert await company.fetches(known, late) == 2


async def test_a_webhook_after_the_poll_makes_no_second_invoice(post: Mailroom, company: Company) -> None:
    """It is processed as any event, and says nothing new."""
    resource = await company.add(*(Fattura(number=str(n)) for n in (1, 2, 3)), identifier="63")
    await polling(post).poll_due()
    await post.processor().drain()
    await tell(post, address(post), resource)
    await post.processor().drain()
    assert await post.states() == {"done": 2}
    assert await numbers(post) == ["1", "2", "3"]


async def test_many_pages_are_read_in_order_and_whole(
    post: Mailroom, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where many have the same moment, and where the first attempt failed."""
    monkeypatch.setattr("server.providers.sdi.poller.PAGE_SIZE", 3)
    same = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    for place in range(5):
        await company.add(Fattura(number=f"a{place}"), last_update=same)
    for place in range(5):
        await company.add(Fattura(number=f"b{place}"), age_s=3600 - place)
    await company.intermediary.behave("status", status=503, times=1)
    await polling(post).poll_due()
    ((failures, error),) = await post.fetch("SELECT failures, error FROM polls")
    assert (failures, error) == (1, "server_error")
    await post.pass_time(31)
    await polling(post).poll_due()
    await post.processor().drain()
    assert len(await numbers(post)) == 10


async def test_a_failing_poll_backs_off_and_honours_retry_after(post: Mailroom, company: Company) -> None:
    """Nothing is asked before it is due, by whatever process."""
    await company.intermediary.behave("status", status=429, headers={"retry-after": "500"})
    await polling(post).poll_due()
    for _ in range(3):
        await post.pass_time(120)
        await polling(post).poll_due()
    assert await company.lists() == 1
    await company.intermediary.behave("well")
    await post.pass_time(150)
    await polling(post).poll_due()
    assert await company.lists() == 2


async def test_one_process_polls_at_a_time(post: Mailroom, company: Company) -> None:
    """A turn that is taken is left alone until its lease is over; then another takes it up."""
    await polling(post).poll_due()
    now = post.shop.clock()
    past, until = encode_instant(now - 100_000), encode_instant(now + 100_000)
    await post.execute("UPDATE polls SET next_poll_at = :past, leased_until = :until", past, until)
    await polling(post).poll_due()
    assert await company.lists() == 1
    await post.pass_time(101)
    await polling(post).poll_due()
    assert await company.lists() == 2


async def test_a_paused_endpoint_is_not_polled(post: Mailroom, company: Company) -> None:
    """What is paused is left alone altogether."""
    await post.execute("UPDATE endpoints SET paused = true")
    await polling(post).poll_due()
    assert await company.lists() == 0


class Asked:
    """A poller that answers at once, or when it is let: what matters is who is asked, and when."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.slow = ""
        self.go_on = anyio.Event()

    def every_s(self, _account: Account) -> int:
        return 60

    def rewind(self, _account: Account, cursor: str, _to_ms: int) -> str:
        return cursor

    async def poll(self, account: Account, cursor: str | None, _now_ms: int) -> Polled:
        self.asked.append(account.endpoint_id)
        if account.endpoint_id == self.slow:
            await self.go_on.wait()
        return Polled(Answer(200), [], cursor or "c", more=False)


class Desk:
    """A provider of which some accounts are polled."""

    name = "http"

    def __init__(self, poller: Asked) -> None:
        self._poller = poller

    def pollers(self) -> dict[str, Asked]:
        return {"polled": self._poller}

    def webhooks(self) -> dict[str, Any]:
        return {}


def asking(outlet: Outlet, poller: Asked, sleep: Callable[[float], Awaitable[None]]) -> Polling:
    """What polls those accounts."""
    desk: Any = Desk(poller)
    parts: dict[str, Any] = {"database": outlet.database, "writer": outlet.writer, "sources": [desk], "sleep": sleep}
    parts |= {"secrets": OpenSecrets(), "clock": outlet.clock, "random": lambda: DICE, "new_id": outlet.new_id}
    return Polling(**parts, found=lambda: None)


async def test_accounts_that_nobody_can_poll_keep_out_no_other(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are at the head of the line, and make room for those behind them."""
    monkeypatch.setattr("server.inbox.poll_due.MOST", 2)
    monkeypatch.setattr("server.inbox.poll.MOST", 2)
    async with open_outlet(database_url) as outlet:
        for _ in range(4):
            await outlet.bind()
        polled, poller = await outlet.bind(scheme="polled"), Asked()
        polls = asking(outlet, poller, nap)
        for _ in range(3):
            rest_s = await polls.poll_due()
            outlet.clock.ms += int(rest_s * 1000)
        assert poller.asked == [polled]


async def test_a_slow_turn_holds_up_no_other(database_url: str) -> None:
    """What falls due while it goes on is asked, and it itself is not asked twice."""
    async with open_outlet(database_url) as outlet:
        slow, quick = await outlet.bind(scheme="polled"), await outlet.bind(scheme="polled")
        poller, begun = Asked(), 0
        poller.slow = slow

        async def sleep(_seconds: float) -> None:
            nonlocal begun
            begun += 1
            while (begun == 1 and len(poller.asked) < 2) or polls._busy != {Address(outlet.tenant_id, slow)}:
                await anyio.lowlevel.checkpoint()
            if begun == 3:
                done.set()
                await anyio.sleep_forever()
            outlet.clock.ms += 61_000

        polls, done = asking(outlet, poller, sleep), anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(polls.run)
            with anyio.fail_after(5):
                await done.wait()
            tasks.cancel_scope.cancel()
        assert (poller.asked.count(slow), poller.asked.count(quick)) == (1, 3)


class Moving:
    """An API whose list moves while it is read: a stand-in, because no server lets itself be stopped between pages."""

    def __init__(self) -> None:
        begin = datetime(2025, 11, 24, 9, tzinfo=UTC)
        self.items = {n: begin + timedelta(minutes=n) for n in range(10)}
        self.queries: list[dict[str, str]] = []

    async def page(self, _account: Account, query: dict[str, str]) -> Page:
        self.queries.append(query)
        since = datetime.fromisoformat(query["last_update_from"])
        found = sorted((at, n) for n, at in self.items.items() if at >= since)
        size, place = int(query["page_size"]), int(query["page"])
        shown = [Listed(id=n, last_update=at) for at, n in found[(place - 1) * size : place * size]]
        first = min(self.items, key=lambda n: self.items[n])  # somebody reads the oldest: it goes to the end
        self.items[first] = max(self.items.values()) + timedelta(minutes=1)
        return Page(Answer(200), shown, len(found))


async def test_a_list_that_moves_while_it_is_read_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page begins where the one before ended, not so many items on."""
    monkeypatch.setattr("server.providers.sdi.poller.PAGE_SIZE", 3)
    api: Any = Moving()
    poller, account = InvoicetronicPoller(api), Account("t", "e", {"backfill_days": 1}, {})
    found: set[str] = set()
    cursor, more = None, True
    while more:
        polled = await poller.poll(account, cursor, START_MS)
        found |= {one.object_id for one in polled.found}
        cursor, more = polled.cursor, polled.more
        assert len(api.queries) < 20
    assert found == {f"receive/{n}" for n in range(10)}


async def test_a_moment_to_come_does_not_hide_what_comes_until_then() -> None:
    """The cursor never runs ahead of our own clock."""

    class Ahead:
        async def page(self, _account: Account, _query: dict[str, str]) -> Page:
            return Page(Answer(200), [Listed(id=1, last_update=datetime(2031, 1, 1, tzinfo=UTC))], 1)

    api: Any = Ahead()
    polled = await InvoicetronicPoller(api).poll(Account("t", "e", {}, {}), None, START_MS)
    assert "2031" not in (polled.cursor or "")
