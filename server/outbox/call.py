"""One call to a provider: outside any transaction, under a deadline that ends before the lease does.

Whatever happens comes back as a Result; nothing but cancellation is raised. Whether an earlier effect is looked up
first was decided before (`before`).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import anyio
import structlog

from server.outbound import OutboundError
from server.outbox.before import SEND, TOO_LATE, Ask
from server.outbox.claim import Claimed
from server.outbox.decide import Result
from server.ports import Account, Answer, Call, Operation, Provider, Secrets
from server.resilience.classify import Classified, classify_error, classify_reason, classify_status
from server.resilience.errors import DeliveryError
from server.resilience.retry_after import LeftAlone, parse_retry_after

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LEASE_MARGIN_MS = 200
"""What of a lease is left for settling."""

MAX_KEPT = 200
"""What is kept of a provider's references and request ids: the columns' width."""

MAX_CODE = 64

_NO_OPERATION = Classified("unknown", "no_such_operation")
_NO_SECRETS = Classified("unknown", "secrets_do_not_open")
_LEASE_SPENT = Classified("transient", "lease_spent")


@dataclass(frozen=True)
class Caller:
    """Calls providers."""

    providers: Mapping[str, Provider]
    secrets: Secrets
    clock: Callable[[], int]
    deadline_s: float
    left_alone: LeftAlone = field(default_factory=LeftAlone)

    def operation(self, claimed: Claimed) -> Operation | None:
        """What a delivery asks of its provider, if the provider knows it."""
        provider = self.providers.get(claimed.endpoint.provider)
        return None if provider is None else provider.operations().get(claimed.operation)

    def is_long(self, claimed: Claimed) -> bool:
        """Whether its operation was declared to take longer than a lease is sure to last: it has to be renewed."""
        operation = self.operation(claimed)
        return operation is not None and (operation.deadline_s or 0) > self.deadline_s

    async def call(self, claimed: Claimed, ask: Ask = SEND) -> Result | None:
        """Do one attempt; None where nothing was sent, for the endpoint asked meanwhile to be left alone."""
        operation = self.operation(claimed)
        if operation is None:
            return Result(_NO_OPERATION)
        left_s = (claimed.leased_until_ms - LEASE_MARGIN_MS - self.clock()) / 1000
        if left_s <= 0:
            return Result(_LEASE_SPENT)
        try:
            call = self.prepare(claimed)
        except Exception:
            log.exception("secrets_do_not_open", endpoint_id=claimed.endpoint_id, alarm=True)
            return Result(_NO_SECRETS)
        allowed_s = operation.deadline_s or self.deadline_s
        seconds = min(claimed.endpoint.limits.deadline or allowed_s, allowed_s)
        if not self.is_long(claimed):
            seconds = min(seconds, left_s)
        return await self._within(seconds, _Attempt(operation, call, ask), claimed)

    def prepare(self, claimed: Claimed) -> Call:
        """The call with its account's secrets in hand. Raises what the vault raises when they do not open."""
        endpoint = claimed.endpoint
        opened: dict[str, str] = {}
        if endpoint.sealed:
            opened = self.secrets.unseal(claimed.tenant_id, endpoint.provider, claimed.endpoint_id, endpoint.sealed)
        settings: dict[str, Any] = json.loads(endpoint.settings)
        return Call(
            Account(claimed.tenant_id, claimed.endpoint_id, settings, opened),
            claimed.delivery_id,
            claimed.idempotency_key,
            claimed.correlation_id,
            claimed.collection,
            claimed.record_id,
            claimed.payload,
            claimed.attempt,
            None if claimed.past is None else claimed.past.reference,
            claimed.names,
        )

    async def _within(self, seconds: float, attempt: "_Attempt", claimed: Claimed) -> Result | None:
        try:
            with anyio.fail_after(seconds):
                answer = await attempt.made(partial(self._check_left_alone, claimed))
            return Result(TOO_LATE, ending="dead") if answer is None else self._told(answer)
        except _LeftAloneError:
            return None
        except OutboundError as error:
            return Result(classify_reason(error.reason))
        except DeliveryError as error:
            classified = classify_error(error)._replace(code=kept(error.code, MAX_CODE) or "unnamed")
            return Result(classified, not_before_ms=parse_retry_after(error.retry_after, self.clock()))
        except TimeoutError as error:
            return Result(classify_error(error))
        except Exception as error:
            log.exception("provider_raised", delivery_id=claimed.delivery_id, provider=claimed.endpoint.provider)
            return Result(classify_error(error))

    def _check_left_alone(self, claimed: Claimed) -> None:
        if self.left_alone.until_ms(claimed.endpoint_id) > self.clock():
            raise _LeftAloneError

    def _told(self, answer: Answer) -> Result:
        classified = classify_status(answer.status)
        not_before_ms = None
        if classified.error_class in {"transient", "unknown"}:
            not_before_ms = parse_retry_after(answer.retry_after, self.clock(), answer.date)
        elif classified.error_class is not None:
            classified = classified._replace(code=kept(answer.code, MAX_CODE) or classified.code)
        return Result(classified, answer.status, kept(answer.reference), kept(answer.request_id), not_before_ms)


class _LeftAloneError(Exception):
    """The endpoint asked to be left alone, and nothing is sent."""


class _Attempt(NamedTuple):
    operation: Operation
    call: Call
    ask: Ask

    async def made(self, check: Callable[[], None]) -> Answer | None:
        """Its answer; None where there was nothing to find, and nothing is to be sent.

        `check` is asked before each call: while this waited, the endpoint may have asked to be left alone.
        """
        found = None
        check()
        if self.ask.look and self.operation.look_up is not None:
            found = await self.operation.look_up(self.call)
            check()
        return await self.operation.send(self.call) if found is None and self.ask.send else found


def kept(text: str | None, most: int = MAX_KEPT) -> str | None:
    """A text from outside that both databases take: whole, or not at all."""
    return text if text and len(text) <= most and text.isprintable() else None
