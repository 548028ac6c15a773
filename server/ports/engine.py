"""What the engine offers to whoever brings news, and asks of whoever forwards it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from server.storage.writer import Tenant, Writing
from sync.judge import Accepted
from sync.outcome import Outcome
from sync.protocol import Mutation


class Cause(NamedTuple):
    """Why the server writes: the correlation id it goes on under, and the provider whose news it is, if any."""

    correlation_id: str
    provider: str | None = None


class Collector(Protocol):
    """Gathers the deliveries of one transaction while its mutations are judged."""

    def accepted(self, change: Accepted) -> None:
        """Look at one accepted change, while it is fresh."""

    async def store(self) -> None:
        """Write the deliveries, in the transaction that accepted the changes."""


class Forwarding(Protocol):
    """The outbox's door for whoever accepts mutations."""

    async def collector(self, writing: Writing, tenant: Tenant, cause: Cause) -> Collector:
        """A collector for one transaction; the provider named in `cause` gets no echo of its own news."""


class Applying(Protocol):
    """The engine's door for mutations the server makes: answers, webhooks, polls, the command line."""

    async def apply(
        self, writing: Writing, tenant_id: str, author: str, mutations: Sequence[Mutation], cause: Cause
    ) -> list[Outcome]:
        """Apply mutations inside somebody's transaction; one whose uid was here before is not applied again.

        `author` is `provider:<endpoint>` or `system:<part>`. Outcomes come in order; a rejected one is kept with its
        code, and the others stand.
        """
