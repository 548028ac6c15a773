"""Polling backs every webhook: what was never delivered is found by asking, from where the last poll ended.

Rules:

1. A page's events and the cursor after it are stored together: a crash between two pages costs a page asked again.
2. One process polls an endpoint at a time (lease and fence in the database); the others find it taken.
3. What is found goes the way of a webhook: the same rows, the same processor. An object that came before, by whatever
   event, is left alone, so that polling costs no second fetch.
4. Every poll reads a stretch again that was read before (the poller's overlap), for what is told late has an old date.
5. In a new epoch the history after some backup is lost here: the cursor goes back to before that, at once.
6. A failing poll backs off, never comes back before the other side wants it, and alarms when it goes on failing.
7. Every page takes from its endpoint's gate (`turn`). What waits for it costs no attempt.
8. Turns go on beside each other, and what falls due meanwhile does not wait for them. A look takes the longest due; who
   could not have a turn then is put off, here alone, and makes room for the next ones.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio
import structlog
from pydantic import BaseModel

from server import meters
from server.inbox.accounts import Address, Endpoint, open_account, poller_of
from server.inbox.poll_due import MOST, due_polls
from server.inbox.turn import DEADLINE_S, Page, PollLostError, Turn, TurnEnd, claim_turn, finish_turn, store_page
from server.outbound import OutboundError
from server.ports import Account, Polled, Poller, Secrets, Source
from server.resilience.backoff import Schedule
from server.resilience.classify import SUCCESS, Classified, classify_error, classify_reason, classify_status
from server.resilience.contacts import Contacts
from server.resilience.entry import Look, Passed, nobody
from server.resilience.errors import DeliveryError
from server.resilience.retry_after import LeftAlone, parse_retry_after
from server.storage.database import Database, DatabaseError
from server.storage.writer import Writer

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LONGEST_REST_S = 60.0
TROUBLE_S = 1.0
PARALLEL = 4
ALARM_AFTER = 5
BACKOFF = Schedule(base_s=30, cap_s=3600, lasts_s=0)


class _PollFailedError(Exception):
    """The other side did not answer as it should."""

    def __init__(
        self, classified: Classified, passed: Passed, status: int | None = None, not_before_ms: int | None = None
    ) -> None:
        super().__init__(classified.code)
        self.classified, self.passed, self.status, self.not_before_ms = classified, passed, status, not_before_ms


@dataclass(kw_only=True)
class Polling:
    """Polls. `found` is called when there is something to process; `new_id` gives uuids of version 7.

    `forms` say what settings declare by default, by provider. `opened` is called when a poll showed that an endpoint
    works again.
    """

    database: Database
    writer: Writer
    sources: Sequence[Source]
    secrets: Secrets
    clock: Callable[[], int]
    random: Callable[[], float]
    new_id: Callable[[], str]
    found: Callable[[], None]
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    contacts: Contacts = field(default_factory=Contacts)
    forms: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    left_alone: LeftAlone = field(default_factory=LeftAlone)
    opened: Callable[[], None] = nobody

    def __post_init__(self) -> None:
        """Nothing runs yet."""
        self._sources = {source.name: source for source in self.sources if source.pollers()}
        self._put_off: dict[str, int] = {}
        self._busy: set[Address] = set()

    async def run(self) -> None:
        """Poll until cancelled: a poll that is cut off is begun again from its last page."""
        limiter = anyio.CapacityLimiter(PARALLEL)
        async with anyio.create_task_group() as turns:
            while True:
                try:
                    rest_s = await self._begin(turns, limiter)
                except DatabaseError as error:
                    log.warning("polls_out_of_reach", error=str(error))
                    rest_s = TROUBLE_S
                except Exception:
                    log.exception("polling_failed", alarm=True)
                    rest_s = LONGEST_REST_S
                await self.sleep(min(rest_s, TROUBLE_S if self._busy else LONGEST_REST_S))

    async def poll_due(self) -> float:
        """Poll every endpoint that is due, and wait for it; how many seconds until another one may be."""
        async with anyio.create_task_group() as turns:
            rest_s = await self._begin(turns, anyio.CapacityLimiter(PARALLEL))
        return min(rest_s, self._rest_s(list(self._put_off.values())))

    async def _begin(self, turns: anyio.abc.TaskGroup, limiter: anyio.CapacityLimiter) -> float:
        """Begin the turns that are due; how many seconds until another one may be."""
        now_ms = self.clock()
        self._put_off = {one: until_ms for one, until_ms in self._put_off.items() if until_ms > now_ms}
        later = list(self._put_off.values())
        apart = [*self._put_off, *(address.endpoint_id for address in self._busy)]
        look = Look(now_ms, DEADLINE_S * 1000, self.forms)
        looked = await self.database.read(partial(due_polls, look=look, providers=self._sources, apart=apart))
        for address, endpoint, ready_ms, is_first in looked:
            due_ms = max(ready_ms, self.left_alone.until_ms(address.endpoint_id))
            if due_ms <= now_ms:
                self._busy.add(address)
                turns.start_soon(self._poll, address, endpoint, limiter)
                continue
            later.append(due_ms)
            if is_first:
                self._put_off[address.endpoint_id] = min(due_ms, now_ms + int(LONGEST_REST_S * 1000))
        if len(looked) == MOST:
            later.append(now_ms)  # there are more
        return self._rest_s(later)

    def _rest_s(self, later: Sequence[int]) -> float:
        return max(min(later, default=self.clock() + int(LONGEST_REST_S * 1000)) - self.clock(), 1000) / 1000

    async def _poll(self, address: Address, endpoint: Endpoint, limiter: anyio.CapacityLimiter) -> None:
        put_off_s = LONGEST_REST_S  # there is nobody to ask, or no way to
        try:
            async with limiter:
                account = open_account(address, endpoint, self.secrets)
                poller = poller_of(self._sources[endpoint.provider], account.settings)
                if poller is not None:
                    is_over = await self._take_turn(address, account, endpoint.provider, poller)
                    put_off_s = 0 if is_over else TROUBLE_S  # when it is let through is known at the next look
        except DatabaseError as error:
            log.warning("poll_not_stored", endpoint_id=address.endpoint_id, error=str(error))
        except Exception:
            log.exception("poll_broke_off", endpoint_id=address.endpoint_id, alarm=True)
        finally:
            self._busy.discard(address)
        if put_off_s:
            self._put_off[address.endpoint_id] = self.clock() + int(put_off_s * 1000)

    async def _take_turn(self, address: Address, account: Account, provider: str, poller: Poller) -> bool:
        """Whether there was one to be had, and it came to its end."""
        form = self.forms.get(provider)
        claimed = await claim_turn(self.writer, address, partial(poller.rewind, account), form)
        if claimed is None:
            return False
        fence, cursor, failures, rewound, is_first, passed = claimed
        if rewound:
            log.warning("poll_rewound", tenant_id=address.tenant_id, endpoint_id=address.endpoint_id)
        turn = Turn(address, account, provider, poller, fence, failures, self.new_id(), is_first, form)
        try:
            end = await self._pages(turn, cursor, passed)
        except PollLostError:
            log.warning("poll_lost", endpoint_id=address.endpoint_id)
            return True
        except _PollFailedError as error:
            end = self._failed(turn, error)
        await finish_turn(self.writer, turn, end, self.contacts, self.random())
        return end.is_over

    async def _pages(self, turn: Turn, cursor: str | None, passed: Passed) -> TurnEnd:
        """Page after page, as long as they are let through."""
        stored, calling = 0, passed
        while self.left_alone.until_ms(turn.address.endpoint_id) <= self.clock():
            polled = await self._ask(turn, cursor, calling)
            more = polled.more and polled.cursor != cursor
            new_ids = [self.new_id() for _ in polled.found]
            kept = await store_page(self.writer, turn, Page(polled, new_ids, more, calling, self.random()))
            stored, cursor = stored + kept.stored, polled.cursor
            if kept.stored:
                self.found()
            if kept.closed:
                self.opened()
            if not more:
                _tell(turn, stored=stored)
                return TurnEnd(SUCCESS, 0, self.clock() + turn.poller.every_s(turn.account) * 1000)
            if kept.passed is None:
                return TurnEnd(SUCCESS, 0, self.clock(), is_over=False)
            calling = kept.passed
        return TurnEnd(SUCCESS, turn.failures, self.clock(), is_over=False, passed=calling)

    async def _ask(self, turn: Turn, cursor: str | None, passed: Passed) -> Polled:
        try:
            with anyio.fail_after(min(passed.limits.deadline or DEADLINE_S, DEADLINE_S)):
                polled = await turn.poller.poll(turn.account, cursor, self.clock())
        except OutboundError as error:
            raise _PollFailedError(classify_reason(error.reason), passed) from None
        except DeliveryError as error:
            not_before_ms = parse_retry_after(error.retry_after, self.clock())
            raise _PollFailedError(classify_error(error), passed, not_before_ms=not_before_ms) from error
        except Exception as error:  # whatever it was, it has a class
            raise _PollFailedError(classify_error(error), passed) from error
        answer = polled.answer
        classified = classify_status(answer.status)
        if classified.error_class is not None:
            not_before_ms = parse_retry_after(answer.retry_after, self.clock(), answer.date)
            raise _PollFailedError(classified, passed, answer.status, not_before_ms)
        return polled

    def _failed(self, turn: Turn, error: _PollFailedError) -> TurnEnd:
        failures, not_before_ms = turn.failures + 1, error.not_before_ms
        self.left_alone.heard(turn.address.endpoint_id, not_before_ms)
        due_ms = max(self.clock() + BACKOFF.delay_ms(failures, self.random), not_before_ms or 0)
        _tell(turn, code=error.classified.code, failures=failures)
        end = TurnEnd(error.classified, failures, due_ms, passed=error.passed, status=error.status)
        return end._replace(not_before_ms=not_before_ms)


def _tell(turn: Turn, *, stored: int = 0, code: str | None = None, failures: int = 0) -> None:
    """One line a poll; one that goes on failing is somebody's business."""
    alarm = failures >= ALARM_AFTER
    meters.POLLS.labels(turn.provider, "done" if code is None else "failed").inc()
    tell = log.error if alarm else log.info
    tell(
        "polled",
        correlation_id=turn.correlation_id,
        tenant_id=turn.address.tenant_id,
        endpoint_id=turn.address.endpoint_id,
        provider=turn.provider,
        stored=stored,
        code=code,
        failures=failures,
        alarm=alarm,
    )
