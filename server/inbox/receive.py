"""Receiving a webhook: verified over its raw bytes, stored in one insert, acknowledged. Nothing is processed here.

Rules:

1. What is not the vendor's is refused, counted and logged for security; its body is not kept.
2. What is, is stored raw before it is looked at any further, and only then acknowledged: no provider is asked, so an
   acknowledgement takes a commit, whatever state the rest of the world is in.
3. Of the headers, names are kept, and the values of those known to be harmless.
4. What a vendor does not sign is a hint (`hints`), and believed in nothing.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import NoReturn

import structlog

from server import meters
from server.inbox.accounts import Address, UnknownSchemeError, load_endpoint, open_account, parse_address, scheme_of
from server.inbox.copies import Copies
from server.inbox.hints import Buckets, check_hook, store_hint
from server.inbox.refusals import count_refusal
from server.inbox.store import Incoming, Receipt, store
from server.ports import (
    Account,
    Challenge,
    Challenged,
    Received,
    Recognised,
    Secrets,
    Source,
    WebhookRefusedError,
    WebhookScheme,
)
from server.resilience.contacts import Contacts
from server.storage.database import Database, DatabaseError
from server.storage.writer import Job, Writer, Writing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MAX_BODY_BYTES = 1024 * 1024
MASK = "***"
MAX_HEADERS = 64

_HARMLESS = frozenset(("content-type", "content-length", "content-encoding", "date", "user-agent"))
_EVENT_ID = re.compile(r"[!-~]{1,200}")
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_./:-]{1,64}")
_HEADER_NAME = re.compile(r"[a-z0-9_-]{1,64}")


Keeping = Callable[[Writing, Incoming, str], Awaitable[Receipt]]
"""How an event is stored, by its receipt's id."""


class UnknownWebhookError(Exception):
    """Nobody listens at this address: check it with `rientro provider list`."""


@dataclass(frozen=True)
class Receiver:
    """Takes webhooks in. `new_id` gives uuids of version 7, `stored` is called when there is something to process."""

    database: Database
    writer: Writer
    sources: Mapping[str, Source]
    secrets: Secrets
    clock: Callable[[], int]
    new_id: Callable[[], str]
    stored: Callable[[], None]
    contacts: Contacts = field(default_factory=Contacts)
    buckets: Buckets = field(default_factory=Buckets)
    copies: Copies | None = None

    async def receive(
        self,
        provider: str,
        address: str,
        headers: Mapping[str, str],
        body: bytes,
        correlation_id: str,
        *,
        certificate: str | None = None,
    ) -> Receipt:
        """Verify and store. `headers` have lower-case names.

        `certificate` is the connection's, in PEM: who speaks over one is not heard a second time, so a copy is kept.

        Raises UnknownWebhookError, WebhookRefusedError, HintsThrottledError, UnknownTenantError, DatabaseError and, for
        the copy, OSError.
        """
        began = time.perf_counter()
        parsed = parse_address(address)
        if parsed is None:
            raise UnknownWebhookError
        where, hook = parsed
        received = Received(headers, body, self.clock(), certificate)
        scheme, recognised = await self._recognise(provider, where, hook, received)
        incoming = _incoming(where, provider, recognised, received, scheme.kept_headers, correlation_id)
        keep = store_hint if scheme.kind == "hint" else store
        run = partial(self._store, keep=keep, incoming=incoming, receipt_id=self.new_id())
        receipt = await self.writer.submit(Job([where.tenant_id], run))
        if receipt.outcome in {"stored", "rearmed"}:
            self.stored()
        if certificate is not None and self.copies is not None:
            await self.copies.keep(incoming)
        _tell(incoming, receipt, began)
        return receipt

    async def challenge(
        self, provider: str, address: str, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Answer a vendor that asks whether its webhooks are expected; nothing is stored.

        Raises UnknownWebhookError, also where the vendor does not ask; WebhookRefusedError, DatabaseError.
        """
        parsed = parse_address(address)
        if parsed is None:
            raise UnknownWebhookError
        where, _ = parsed
        account, scheme = await self._open(provider, where)
        if not isinstance(scheme, Challenged):
            raise UnknownWebhookError
        try:
            return scheme.challenged(account, Challenge(headers, query, self.clock()))
        except WebhookRefusedError as refusal:
            await self._refuse(provider, where, refusal)

    async def _store(self, writing: Writing, keep: Keeping, incoming: Incoming, receipt_id: str) -> Receipt:
        receipt = await keep(writing, incoming, receipt_id)
        await self.contacts.heard(writing, incoming.tenant_id, incoming.endpoint_id)
        return receipt

    async def _recognise(
        self, provider: str, where: Address, hook: str, received: Received
    ) -> tuple[WebhookScheme, Recognised]:
        account, scheme = await self._open(provider, where)
        try:
            if scheme.kind == "hint":
                check_hook(account, hook)
                self.buckets.take(where.endpoint_id, received.now_ms)
            return scheme, scheme.verify(account, received)
        except WebhookRefusedError as refusal:
            await self._refuse(provider, where, refusal)

    async def _open(self, provider: str, where: Address) -> tuple[Account, WebhookScheme]:
        endpoint = await self.database.read(partial(load_endpoint, address=where))
        if endpoint is None or endpoint.provider != provider:
            raise UnknownWebhookError
        account = open_account(where, endpoint, self.secrets)
        try:
            return account, scheme_of(self.sources.get(provider), account.settings)
        except UnknownSchemeError:
            raise UnknownWebhookError from None

    async def _refuse(self, provider: str, where: Address, refusal: WebhookRefusedError) -> NoReturn:
        log.warning(
            "webhook_refused",
            security=True,
            tenant_id=where.tenant_id,
            endpoint_id=where.endpoint_id,
            provider=provider,
            reason=refusal.reason,
        )
        meters.WEBHOOKS_REFUSED.labels(provider, refusal.reason).inc()
        try:
            await count_refusal(self.writer, where, refusal.reason)
        except DatabaseError as error:  # it is refused whether or not it can be counted
            log.warning("refusal_not_counted", endpoint_id=where.endpoint_id, error=str(error))
        raise refusal


def _incoming(
    where: Address,
    provider: str,
    recognised: Recognised,
    received: Received,
    kept: frozenset[str],
    correlation_id: str,
) -> Incoming:
    return Incoming(
        *where,
        provider=provider,
        source="webhook",
        event_id=fit_event_id(recognised.event_id),
        event_type=recognised.event_type if _EVENT_TYPE.fullmatch(recognised.event_type) else "",
        object_id=recognised.object_id and fit_event_id(recognised.object_id),
        body=received.body,
        headers=redacted(received.headers, kept),
        verified_by=recognised.verified_by,
        correlation_id=correlation_id,
        by_id=recognised.by_id,
    )


def fit_event_id(text: str) -> str:
    """An id both databases take as it is, else its hash: as good for telling one event from another."""
    if _EVENT_ID.fullmatch(text):
        return text
    return f"sha256:{sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def redacted(headers: Mapping[str, str], kept: frozenset[str]) -> dict[str, str]:
    """Which headers came, and what the harmless ones said."""
    shown: dict[str, str] = {}
    for name, value in headers.items():
        if _HEADER_NAME.fullmatch(name) and len(shown) < MAX_HEADERS:
            harmless = (name in _HARMLESS or name in kept) and value.isprintable() and value.isascii()
            shown[name] = value[:200] if harmless else MASK
    return shown


def _tell(incoming: Incoming, receipt: Receipt, began: float) -> None:
    """One line a receipt; another id's body is somebody's business."""
    contradicts, seconds = receipt.outcome == "contradicts", time.perf_counter() - began
    meters.WEBHOOKS.labels(incoming.provider, receipt.outcome).inc()
    meters.WEBHOOK_SECONDS.labels(incoming.provider).observe(seconds)
    tell = log.warning if contradicts else log.info
    tell(
        "webhook_received",
        correlation_id=incoming.correlation_id,
        first_correlation_id=receipt.correlation_id,
        tenant_id=incoming.tenant_id,
        endpoint_id=incoming.endpoint_id,
        provider=incoming.provider,
        receipt_id=receipt.receipt_id,
        event_type=incoming.event_type,
        outcome=receipt.outcome,
        verified_by=incoming.verified_by,
        ms=round(seconds * 1000, 2),
        alarm=contradicts,
    )
