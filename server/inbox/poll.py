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
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio
import structlog
from pydantic import BaseModel
from pydantic_core import to_json

from server import meters
from server.inbox.accounts import Address, Endpoint, open_account, poller_of
from server.inbox.turn import DEADLINE_S, Page, PollLostError, Turn, TurnEnd, claim_turn, finish_turn, store_page
from server.outbound import OutboundError
from server.ports import Account, Polled, Poller, Secrets, Source
from server.resilience.backoff import Schedule
from server.resilience.classify import SUCCESS, Classified, classify_error, classify_reason, classify_status
from server.resilience.contacts import Contacts
from server.resilience.entry import Look, Passed, nobody
from server.resilience.errors import DeliveryError
from server.resilience.retry_after import LeftAlone, parse_retry_after
from server.storage.database import Database, DatabaseError, Row, Tx
from server.storage.statement import Statement
from server.storage.writer import Writer
from sync.clock import decode_instant

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LONGEST_REST_S = 60.0
TROUBLE_S = 1.0
PARALLEL = 4
ALARM_AFTER = 5
BACKOFF = Schedule(base_s=30, cap_s=3600, lasts_s=0)

# Polls serve all tenants: one of the few queries across them. Endpoints never polled come first.
# Those last polled in another epoch are due as if they never had been.
_DUE_TEXT = """/* across tenants */ SELECT e.tenant_id, e.endpoint_id, e.provider, e.settings, e.sealed,
         CASE WHEN p.epoch = t.epoch THEN p.next_poll_at END AS due_at, p.leased_until, e.not_before,
         (SELECT g.ready_ms FROM gates AS g WHERE g.tenant_id = e.tenant_id AND g.endpoint_id = e.endpoint_id)
       FROM endpoints AS e JOIN tenants AS t ON t.tenant_id = e.tenant_id
       LEFT JOIN polls AS p ON p.tenant_id = e.tenant_id AND p.endpoint_id = e.endpoint_id
       WHERE NOT e.paused AND e.provider {providers}
       ORDER BY (CASE WHEN p.epoch = t.epoch THEN 1 ELSE 0 END), p.next_poll_at LIMIT 200"""
_DUE = Statement(
    _DUE_TEXT.format(providers="IN (SELECT value FROM json_each(:providers))"),
    postgresql=_DUE_TEXT.format(providers="= ANY (ARRAY (SELECT json_array_elements_text(:providers::json)))"),
)


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

    async def run(self) -> None:
        """Poll until cancelled: a poll that is cut off is begun again from its last page."""
        while True:
            try:
                rest_s = await self.poll_due()
            except DatabaseError as error:
                log.warning("polls_out_of_reach", error=str(error))
                rest_s = TROUBLE_S
            except Exception:
                log.exception("polling_failed", alarm=True)
                rest_s = LONGEST_REST_S
            await self.sleep(min(rest_s, LONGEST_REST_S))

    async def poll_due(self) -> float:
        """Poll every endpoint that is due; how many seconds until the next one is."""
        now_ms = self.clock()
        limiter = anyio.CapacityLimiter(PARALLEL)
        later: list[int] = []
        async with anyio.create_task_group() as polling:
            for address, endpoint, due_ms in await self.database.read(self._look):
                if due_ms > now_ms:
                    later.append(due_ms)
                else:
                    polling.start_soon(self._poll, address, endpoint, limiter, later)
        return max(min(later, default=now_ms + int(LONGEST_REST_S * 1000)) - self.clock(), 1000) / 1000

    async def _look(self, tx: Tx) -> list[tuple[Address, Endpoint, int]]:
        rows = await tx.fetch(_DUE, {"providers": to_json(sorted(self._sources)).decode()})
        look = Look(self.clock(), DEADLINE_S * 1000, self.forms)
        return [(Address(row[0], row[1]), Endpoint(*row[2:5]), self._due_ms(row, look)) for row in rows]

    def _due_ms(self, row: Row, look: Look) -> int:
        _, endpoint_id, provider, settings, _, *moments, ready_ms = row
        known = [decode_instant(at) for at in moments if at is not None]
        ready_ms = look.believed_ms(ready_ms or 0, provider, settings)
        return max([ready_ms, self.left_alone.until_ms(endpoint_id), *known])

    async def _poll(
        self, address: Address, endpoint: Endpoint, limiter: anyio.CapacityLimiter, later: list[int]
    ) -> None:
        async with limiter:
            try:
                account = open_account(address, endpoint, self.secrets)
                poller = poller_of(self._sources[endpoint.provider], account.settings)
                if poller is not None and not await self._take_turn(address, account, endpoint.provider, poller):
                    later.append(self.clock())  # when it is let through is known at the next look
            except DatabaseError as error:
                log.warning("poll_not_stored", endpoint_id=address.endpoint_id, error=str(error))
            except Exception:
                log.exception("poll_broke_off", endpoint_id=address.endpoint_id, alarm=True)

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
