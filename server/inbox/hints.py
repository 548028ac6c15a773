"""Hints: webhooks that nobody signed. Worth a fetch, and nothing else.

Rules:

1. A hint is heard at an address that cannot be guessed: beside tenant and endpoint it has a part of its own (`hook`), a
   secret of the endpoint's.
2. Of its content only the object's name is kept; what counts is what is fetched.
3. One that waits already is not stored twice; one that comes while its object is being fetched makes for another fetch,
   since what is fetched may be older.
4. An endpoint's hints are counted by a bucket in memory, one a process: whoever knows the address can make this server
   ask so often, and no oftener.
"""

import hmac
from dataclasses import dataclass, field

from pydantic_core import to_json

from server.inbox.store import Incoming, Receipt, rearm_waiting, store
from server.ports import Account, WebhookRefusedError
from server.storage.writer import Writing

BURST = 60
EVERY_MS = 500
"""A bucket holds so many, and gets one more so often."""

HOOKS = ("hook", "previous_hook")


class HintsThrottledError(Exception):
    """More hints than this endpoint may send; `retry_after_s` says when to come again."""

    def __init__(self, retry_after_s: int) -> None:
        """In whole seconds."""
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


@dataclass
class Buckets:
    """How much each endpoint has left: the moment at which its bucket is full again, in ms since 1970."""

    _full_at_ms: dict[str, int] = field(default_factory=dict)

    def take(self, endpoint_id: str, now_ms: int) -> None:
        """Take one. Raises HintsThrottledError."""
        full_at_ms = max(self._full_at_ms.get(endpoint_id, 0), now_ms) + EVERY_MS
        over_ms = full_at_ms - now_ms - BURST * EVERY_MS
        if over_ms > 0:
            raise HintsThrottledError(-(-over_ms // 1000))
        self._full_at_ms[endpoint_id] = full_at_ms


def check_hook(account: Account, hook: str) -> None:
    """Whether a hint came to the endpoint's own address. Raises WebhookRefusedError."""
    known = [account.secrets[name] for name in HOOKS if account.secrets.get(name)]
    if not hook or not any(hmac.compare_digest(one.encode(), hook.encode()) for one in known):
        raise WebhookRefusedError("wrong_address")


def as_hint(incoming: Incoming, receipt_id: str) -> Incoming:
    """What is kept of a hint; each is an event of its own."""
    body = to_json({"object_id": incoming.object_id})
    return incoming._replace(event_id=f"hint:{receipt_id}", body=body, headers={})


async def store_hint(writing: Writing, incoming: Incoming, receipt_id: str) -> Receipt:
    """Store a hint, or wake the one that waits. Raises UnknownTenantError."""
    waiting = await rearm_waiting(writing, incoming)
    return waiting or await store(writing, as_hint(incoming, receipt_id), receipt_id)
