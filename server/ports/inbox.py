"""A provider as the inbox sees it: its ways of telling us things, and what to ask it regularly."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from server.ports.accounts import Account
from server.ports.outbox import Answer
from server.ports.webhooks import WebhookScheme


class Found(NamedTuple):
    """An event that a poll found: processed as if its webhook had come. An object is taken in once an endpoint.

    `by_id`: not the object but the event is; its id is that of its webhook, whatever either's body.
    """

    event_id: str
    event_type: str
    object_id: str
    body: bytes
    by_id: bool = False


class Polled(NamedTuple):
    """One page of a poll, and the cursor after it."""

    answer: Answer
    found: Sequence[Found] = ()
    cursor: str | None = None
    more: bool = False


class Poller(Protocol):
    """Finds what webhooks lost."""

    def every_s(self, account: Account) -> int:
        """How long to rest between two polls."""

    async def poll(self, account: Account, cursor: str | None, now_ms: int) -> Polled:
        """A page, from a cursor or (None) from the beginning. Raises OutboundError or a DeliveryError.

        A round begins some time before its cursor: what becomes visible late is found all the same.
        """

    def rewind(self, account: Account, cursor: str, since_ms: int) -> str:
        """A cursor from which everything is found that became visible since a moment; never a later one than given."""


class Source(Protocol):
    """A provider as the inbox sees it: somebody who tells us things. An endpoint's setting `scheme` picks how."""

    @property
    def name(self) -> str:
        """As endpoints and webhook addresses name it."""

    def webhooks(self) -> Mapping[str, WebhookScheme]:
        """Its ways of telling, by name; an endpoint that names none has the first."""

    def pollers(self) -> Mapping[str, Poller]:
        """What to ask it regularly, by the scheme whose events that gives."""
