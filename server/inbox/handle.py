"""Making sense of one event: fetch what it points at, read it. Outside any transaction, under a deadline.

Whatever happens comes back as a Result; nothing but cancellation is raised. What is large is read in a thread: it must
not hold up the process's other work.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import anyio
import structlog
from anyio import to_thread

from server.inbox.accounts import Address, UnknownSchemeError, open_account, scheme_of
from server.inbox.claim import Claimed
from server.outbound import OutboundError
from server.ports import Fetched, Reading, Secrets, Source, UnusableEventError, WebhookEvent, WebhookScheme
from server.resilience.classify import SUCCESS, Classified, classify_error, classify_reason, classify_status
from server.resilience.errors import DeliveryError
from server.resilience.retry_after import parse_retry_after

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LEASE_MARGIN_MS = 200
"""What of a lease is left for ending."""

SMALL_BYTES = 16 * 1024
"""What is read on the spot: a thread would cost more than the reading."""

_MISSING = frozenset((404, 410))
_NO_SCHEME = Classified("unknown", "no_such_scheme")
_NO_SECRETS = Classified("unknown", "secrets_do_not_open")
_LEASE_SPENT = Classified("transient", "lease_spent")


class Called(NamedTuple):
    """What a call to the other side came to."""

    classified: Classified
    status: int | None = None


class Result(NamedTuple):
    """What an attempt brought: what was read, or why nothing was (`unusable`: and never will be).

    `missing`: what a hint names is not there. `not_before_ms`: until when the other side asked to be left alone.
    `called`: what asking it came to, where it was asked.
    """

    classified: Classified
    reading: Reading = Reading()
    unusable: UnusableEventError | None = None
    fetched: Fetched | None = None
    not_before_ms: int | None = None
    missing: bool = False
    called: Called | None = None


@dataclass(frozen=True)
class Handler:
    """Fetches and reads."""

    sources: Mapping[str, Source]
    secrets: Secrets
    clock: Callable[[], int]
    deadline_s: float

    async def handle(self, claimed: Claimed) -> Result:
        """Do one attempt."""
        left_s = (claimed.leased_until_ms - LEASE_MARGIN_MS - self.clock()) / 1000
        if left_s <= 0:
            return Result(_LEASE_SPENT)
        try:
            scheme, event = self._prepare(claimed)
        except UnknownSchemeError:
            return Result(_NO_SCHEME)
        except Exception:
            log.exception("secrets_do_not_open", endpoint_id=claimed.endpoint_id, alarm=True)
            return Result(_NO_SECRETS)
        own_s = None if claimed.passed is None else claimed.passed.limits.deadline
        return await self._within(min(own_s or self.deadline_s, self.deadline_s, left_s), scheme, event, claimed)

    def _prepare(self, claimed: Claimed) -> tuple[WebhookScheme, WebhookEvent]:
        endpoint = claimed.endpoint
        account = open_account(Address(claimed.tenant_id, claimed.endpoint_id), endpoint, self.secrets)
        scheme = scheme_of(self.sources.get(endpoint.provider), account.settings)
        return scheme, WebhookEvent(account, claimed.event_id, claimed.body, claimed.received_at, claimed.event_type)

    async def _within(self, seconds: float, scheme: WebhookScheme, event: WebhookEvent, claimed: Claimed) -> Result:
        ends_at = anyio.current_time() + seconds
        fetching = await self._fetch(ends_at, scheme, event, claimed)
        if fetching.classified.error_class is not None or fetching.unusable is not None:
            return fetching
        try:
            with anyio.CancelScope(deadline=ends_at):
                return fetching._replace(reading=await _read(scheme, event, fetching.fetched))
        except UnusableEventError as error:
            return fetching._replace(unusable=error)
        except Exception as error:
            log.exception("source_raised", receipt_id=claimed.receipt_id, provider=claimed.endpoint.provider)
            return Result(classify_error(error), called=fetching.called)
        return Result(classify_error(TimeoutError()), called=fetching.called)

    async def _fetch(self, ends_at: float, scheme: WebhookScheme, event: WebhookEvent, claimed: Claimed) -> Result:
        """What is pointed at, not read yet, or why it is not there."""
        try:
            with anyio.fail_after(max(0, ends_at - anyio.current_time())):
                fetched = await scheme.fetch(event)
        except UnusableEventError as error:
            return Result(SUCCESS, unusable=error)
        except OutboundError as error:
            failed = Result(classify_reason(error.reason))
        except DeliveryError as error:
            failed = Result(classify_error(error), not_before_ms=parse_retry_after(error.retry_after, self.clock()))
        except TimeoutError as error:
            failed = Result(classify_error(error))
        except Exception as error:
            log.exception("source_raised", receipt_id=claimed.receipt_id, provider=claimed.endpoint.provider)
            failed = Result(classify_error(error))
        else:
            return Result(SUCCESS) if fetched is None else self._answered(scheme, fetched)
        return failed._replace(called=Called(failed.classified))

    def _answered(self, scheme: WebhookScheme, fetched: Fetched) -> Result:
        answer = fetched.answer
        classified = classify_status(answer.status)
        if classified.error_class is None:
            return Result(SUCCESS, fetched=fetched, called=Called(SUCCESS, answer.status))
        not_before_ms = parse_retry_after(answer.retry_after, self.clock(), answer.date)
        missing = scheme.kind == "hint" and answer.status in _MISSING
        called = Called(SUCCESS if missing else classified, answer.status)  # it was reached, and says what is so
        return Result(classified, not_before_ms=not_before_ms, missing=missing, called=called)


async def _read(scheme: WebhookScheme, event: WebhookEvent, fetched: Fetched | None) -> Reading:
    if fetched is None and len(event.body) <= SMALL_BYTES:
        return scheme.read(event, None)
    return await to_thread.run_sync(scheme.read, event, fetched, abandon_on_cancel=True)
