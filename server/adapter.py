"""What a provider is, in whole: what the outbox asks of it, what the inbox hears from it, and what people ask about it.

Relay and inbox each know their part of it (`server.ports`); the composition root makes the whole.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from server.mapping import PayloadMapping
from server.ports import Account, Provider, Source


class Health(NamedTuple):
    """What a harmless call showed: whether the account can be used as far as it shows, and that in plain words.

    `status` is the answer's; None where nobody was asked.
    """

    good: bool
    said: str
    status: int | None = None


class Adapter(Provider, Source, Protocol):
    """An adapter to one kind of outside party."""

    def mappings(self) -> Sequence[PayloadMapping[Any, Any]]:
        """How its payloads become records."""

    async def health(self, account: Account) -> Health:
        """Ask the other side how it does, and make nothing there. Raises OutboundError or a DeliveryError."""
