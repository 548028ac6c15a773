"""Answers to our own calls, as what is observed of the object they made."""

from typing import NamedTuple, Protocol

from server.storage.writer import Writing


class Answered(NamedTuple):
    """The end of a delivery, as what is observed of its object. `settings` are its endpoint's, JSON text."""

    tenant_id: str
    endpoint_id: str
    settings: str
    collection: str
    record_id: str
    reference: str | None


class Observing(Protocol):
    """The inbox's door for answers to our own calls: what is told of the same object later finds its record."""

    async def answered(self, writing: Writing, answered: Answered, /) -> None:
        """Take note of an end, in the transaction that settles it. What waited for it is due at once."""

    def settled(self) -> None:
        """That transaction was committed."""


class Unobserved:
    """Nobody is told of answers: for whoever only sends."""

    async def answered(self, _writing: Writing, _answered: Answered) -> None:
        """Pass."""

    def settled(self) -> None:
        """Pass."""
